"""A user's own file of crime-language patterns: read, sent with every window, checked.

The format is that of the shipped tables, see `voiceman.analysis.pattern_tables`.
"""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import ConfigurationError
from voiceman.options import MOST_PATTERNS_BYTES

_TO_INSTALL = "to check patterns, install what reads them: pip install 'voiceman[patterns]'"


@dataclass(frozen=True)
class UsersPatterns:
    """A file of patterns as it is sent to the server.

    Attributes:
        text: TOML.
        sha256: of the file.
    """

    text: str
    sha256: str


@dataclass(frozen=True)
class Checked:
    """What became of the examples of one pattern.

    Attributes:
        id: of the pattern.
        broken: a sentence for every example that does not hold; empty: all do.
    """

    id: str
    broken: tuple[str, ...]


def read_patterns(path: Path) -> UsersPatterns:
    """Read a file of patterns.

    Raises:
        ConfigurationError: it cannot be read, is too large, or no TOML; names it.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
        tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as err:
        raise ConfigurationError(f"{path}: no file of patterns: {err}") from err
    if len(content) > MOST_PATTERNS_BYTES:
        raise ConfigurationError(
            f"{path}: {len(content)} bytes of patterns, allowed are {MOST_PATTERNS_BYTES}"
        )
    return UsersPatterns(text, hashlib.sha256(content).hexdigest())


def check_patterns(path: Path) -> Iterator[Checked]:
    """Try the examples of a file of patterns, on top of the shipped tables.

    Raises:
        ConfigurationError: the file breaks the format (names the entry), or what reads patterns
            is not installed.
    """
    try:
        # The client installs without what these need.
        from voiceman.analysis import (  # noqa: PLC0415
            crime_language,
            pattern_entries,
            pattern_tables,
        )
    except ImportError as err:
        raise ConfigurationError(f"{_TO_INSTALL} ({err})") from err
    entries = pattern_entries.parse_entries(read_patterns(path).text, str(path), ConfigurationError)
    shipped = pattern_tables.default_tables()
    if entries["language"] not in shipped:
        raise ConfigurationError(
            f"{path}: language {entries['language']!r}; there are {', '.join(sorted(shipped))}"
        )
    table = pattern_entries.lay_over(
        shipped[entries["language"]], entries, str(path), ConfigurationError
    )
    own = {entry["id"] for entry in entries["pattern"]}
    for pattern in table.patterns:
        if pattern.id in own:
            yield Checked(
                pattern.id, tuple(crime_language.broken_examples(table, frozenset({pattern.id})))
            )
