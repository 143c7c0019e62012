"""The folder of everything that can be fetched again."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """The folder named by VOICEMAN_CACHE_DIR, `~/.cache/voiceman` by default."""
    configured = os.environ.get("VOICEMAN_CACHE_DIR")
    return Path(configured) if configured else Path.home() / ".cache" / "voiceman"
