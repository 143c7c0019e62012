"""Answers that need not be computed again: in memory, then on the disk, by SHA-256.

An entry is a file `ab/cdef...`, named after its key, of a line and the value:

    voiceman-cache/1 <SHA-256 of key and value>

so that a value is never given out that was damaged, cut short, or stored under another's name.
Several processes may use one folder at a time: entries appear whole, and who removes one takes
nothing away from who is reading it. A cache is never a reason to fail: whatever goes wrong with
it is said once and the run goes on without.
"""

import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceman.errors import ResultNotWrittenError
from voiceman_client.identity import sha256_of_json
from voiceman_client.writers import TEMPORARY_PREFIX, write_whole

log = logging.getLogger(__name__)

_MAGIC = b"voiceman-cache/1 "
_IN_MEMORY = 0.01  # of the limit: 300 MB of 30 GB
_KEPT = 0.9  # of the limit after making room, so that not every entry has to
_LOOK_AGAIN = 0.05  # of the limit written: what other processes wrote is counted again
_HALF_WRITTEN_S = 3600.0  # older ones belong to a process that is dead


@dataclass
class CacheCounts:
    """What a cache did for this process; a damaged entry is a miss as well."""

    hits: int = 0
    misses: int = 0
    damaged: int = 0
    stored: int = 0
    removed: int = 0


@dataclass(frozen=True)
class Entry:
    """A file of the cache."""

    path: Path
    size_bytes: int
    used_unix_s: float


def key_of(kind: str, parts: Mapping[str, Any]) -> str:
    """The key of what `parts` (all that the value depends on) determine: 64 hexadecimal digits.

    See `voiceman_client.identity.sha256_of_json`.
    """
    return sha256_of_json([kind, parts])


class AnswerCache:
    """A cache in a folder; threads may use it at the same time."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Use a folder; it is made when something is stored.

        Args:
            folder: of this cache alone. What people said will lie in it: it is made for its
                owner only.
            limit_bytes: of all files in it. Processes that write at the same time may pass it
                by 5 % each.
        """
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.counts = CacheCounts()
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._total_bytes = self._unlooked_bytes = limit_bytes  # not looked at yet
        self._said = self._full = False
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The value, or None; a damaged entry is removed and is None too."""
        with self._lock:
            value = self._memory.get(key)
        if value is None:
            value = self._read(key)
        else:
            _touch(self._path(key))
        with self._lock:
            if value is None:
                self.counts.misses += 1
            else:
                self.counts.hits += 1
                self._remember(key, value)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; the least recently used ones make room. Raises nothing."""
        content = _MAGIC + _digest(key, value).encode() + b"\n" + value
        if len(content) > self.limit_bytes:
            return
        with self._lock:
            self._remember(key, value)
            if self._full:
                return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path(key), content)
            with self._lock:
                self.counts.stored += 1
                self._make_room(len(content))
        except (OSError, ResultNotWrittenError) as err:
            self._full = True
            self._say_once(f"{self.folder}: nothing more is cached in this run ({_reason(err)})")

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _read(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            self._say_once(f"{path}: cannot be read ({err.strerror}); worked out again")
            return None
        head, _, value = content.partition(b"\n")
        if head != _MAGIC + _digest(key, value).encode():
            log.warning("%s: damaged, so it was removed; worked out again", path)
            with suppress(OSError):
                path.unlink()
            with self._lock:
                self.counts.damaged += 1
            return None
        _touch(path)
        return value

    def _remember(self, key: str, value: bytes) -> None:
        room = int(self.limit_bytes * _IN_MEMORY)
        self._memory_bytes -= len(self._memory.pop(key, b""))
        if len(value) > room:
            return
        self._memory[key] = value
        self._memory_bytes += len(value)
        while self._memory_bytes > room:
            _, dropped = self._memory.popitem(last=False)
            self._memory_bytes -= len(dropped)

    def _make_room(self, written_bytes: int) -> None:
        self._total_bytes += written_bytes
        self._unlooked_bytes += written_bytes
        if (
            self._total_bytes <= self.limit_bytes
            and self._unlooked_bytes <= self.limit_bytes * _LOOK_AGAIN
        ):
            return
        entries = sorted(entries_in(self.folder), key=lambda entry: entry.used_unix_s)
        self._total_bytes = sum(entry.size_bytes for entry in entries)
        self._unlooked_bytes = 0
        if self._total_bytes <= self.limit_bytes:
            return
        for entry in entries:
            if self._total_bytes <= self.limit_bytes * _KEPT:
                return
            entry.path.unlink(missing_ok=True)
            self.counts.removed += 1
            self._total_bytes -= entry.size_bytes

    def _say_once(self, what: str) -> None:
        with self._lock:
            if self._said:
                return
            self._said = True
        log.warning("%s", what)


def entries_in(folder: Path) -> Iterator[Entry]:
    """The entries of a cache, in no order; what a crash left half written is removed.

    Raises:
        OSError: the folder cannot be read; one that is not there has no entries.
    """
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        try:
            found = path.stat()
        except FileNotFoundError:  # another process removed it
            continue
        if not path.name.startswith(TEMPORARY_PREFIX):
            yield Entry(path, found.st_size, found.st_mtime)
        elif time.time() - found.st_mtime > _HALF_WRITTEN_S:
            path.unlink(missing_ok=True)


def clear(folder: Path) -> tuple[int, int]:
    """Remove all entries; how many, and their bytes.

    Raises:
        OSError: one cannot be removed.
    """
    count = size_bytes = 0
    for entry in entries_in(folder):
        entry.path.unlink(missing_ok=True)
        count, size_bytes = count + 1, size_bytes + entry.size_bytes
    return count, size_bytes


def _digest(key: str, value: bytes) -> str:
    digest = hashlib.sha256(key.encode() + b"\n")
    digest.update(value)
    return digest.hexdigest()


def _touch(path: Path) -> None:
    """Say that it was used; a folder that cannot be written may still be read."""
    with suppress(OSError):
        os.utime(path)


def _reason(err: Exception) -> str:
    cause = err.__cause__ if isinstance(err, ResultNotWrittenError) else err
    return (cause.strerror if isinstance(cause, OSError) else None) or str(err)
