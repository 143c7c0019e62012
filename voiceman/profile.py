"""The profile of a server: as fast as it can, or so that the same input gives the same bytes.

It is chosen at the server's start and reaches the models as a variable of their environment.
"""

import os
from collections.abc import Mapping
from typing import Literal, get_args

from voiceman.errors import ConfigurationError

Profile = Literal["default", "reproducible"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
VARIABLE = "VOICEMAN_PROFILE"


def profile_in_use(environment: Mapping[str, str] = os.environ) -> Profile:
    """The profile that this process works under.

    Raises:
        ConfigurationError: the variable holds none; names those that there are.
    """
    name = environment.get(VARIABLE) or "default"
    for profile in PROFILES:
        if name == profile:
            return profile
    raise ConfigurationError(f"{VARIABLE} is {name!r}; known are {', '.join(PROFILES)}")


def is_reproducible() -> bool:
    """Whether shapes are fixed, so that nothing depends on neighbours, memory or time."""
    return profile_in_use() == "reproducible"
