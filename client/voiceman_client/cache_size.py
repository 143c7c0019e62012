"""Where answers are cached and how large the cache may be: detected, not guessed."""

import shutil
from pathlib import Path

from voiceman.cache import cache_dir
from voiceman.errors import ConfigurationError
from voiceman.memory import host_memory
from voiceman_client.answer_cache import AnswerCache, entries_in

GB = 10**9
# The requirements' S1 and N3; a machine with less than 64 GB of memory is a small one.
LARGE, SMALL, LEAST = 30 * GB, 10 * GB, 1 * GB
SMALL_MACHINE_BYTES = 64 * GB
_OF_FREE_DISK = 0.5  # results and recordings need the rest


def answers_folder() -> Path:
    """Where answers are: a folder in that of everything that can be fetched again."""
    return cache_dir() / "answers"


def size_limit(size_gb: float | None, memory_bytes: int, room_bytes: int) -> int:
    """Bytes that a cache may have.

    Args:
        size_gb: as the user wants it; None: 30 GB, or 10 GB on a machine with less than 64 GB of
            memory, but no more than half of the room, and 1 GB at least.
        memory_bytes: of the machine.
        room_bytes: on the disk: what is free, and what the cache has already. It is never passed.

    Raises:
        ConfigurationError: the user wants less than 1 GB.
    """
    if size_gb is not None and size_gb * GB < LEAST:
        raise ConfigurationError(
            f"the cache may have {size_gb:g} GB, at least {LEAST // GB} GB; or 0: none"
        )
    if size_gb is not None:
        return min(int(size_gb * GB), room_bytes)
    wanted = LARGE if memory_bytes >= SMALL_MACHINE_BYTES else SMALL
    return min(max(LEAST, min(wanted, int(room_bytes * _OF_FREE_DISK))), room_bytes)


def detected_limit(folder: Path, size_gb: float | None) -> int:
    """Bytes that the cache in a folder may have on this machine; see `size_limit` for errors."""
    try:
        memory_bytes = host_memory().total
    except OSError:  # no /proc
        memory_bytes = 0
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    used_bytes = sum(entry.size_bytes for entry in entries_in(folder))
    return size_limit(size_gb, memory_bytes, shutil.disk_usage(there).free + used_bytes)


def open_cache(size_gb: float | None) -> AnswerCache | None:
    """The cache of answers; None where the user wants none (0).

    Raises:
        ConfigurationError: the user wants less than 1 GB.
    """
    if size_gb == 0:
        return None
    folder = answers_folder()
    return AnswerCache(folder, detected_limit(folder, size_gb))
