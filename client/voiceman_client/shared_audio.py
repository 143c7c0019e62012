"""Sound for a server on this machine: in shared memory, which costs a copy instead of a message.

A region is a file in /dev/shm that this process holds locked, and that the server has mapped under
the same name. Whether the server sees the same /dev/shm, the first registration tells; where it
does not (another machine, a container of its own), sound travels in the requests.

    client killed      its locks are gone: the next client removes its files and registrations
    server restarted   it knows no region any more: they are registered anew
    answer lost        the region rests until the server says that nobody reads it: it refuses to
                       unregister one that a request still uses
"""

import asyncio
import fcntl
import logging
import mmap
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

log = logging.getLogger(__name__)

_FOLDER = Path("/dev/shm")  # noqa: S108  # where Triton looks for regions, not ours to choose
_PREFIX = "voiceman-audio-"
_STEP_BYTES = 1 << 20  # sizes are multiples: a window takes one, a piece of 5 minutes ten
_MOST_WASTED = 2.0  # times what is needed: larger ones are left to larger sounds
_LEFT_BYTES = 256 << 20  # of /dev/shm, for the server's models
_ANSWER_S = 2.0  # for the server, when asked about regions
_PATIENCE_S = 0.1  # then the sound is sent: a server that is slow to share is no reason to wait
_LOOK_AGAIN_S = 1.0


@dataclass(eq=False)
class Region:
    """A piece of shared memory.

    Attributes:
        name: of its file, and the server's name for it.
        memory: what is in it.
        lock: descriptor of the file, locked as long as this process lives.
        registered: with which start of the server; 0: with none.
    """

    name: str
    memory: mmap.mmap
    lock: int
    registered: int = 0

    def write(self, samples: npt.NDArray[np.int16]) -> None:
        """Copy samples to its beginning."""
        np.frombuffer(self.memory, np.int16, samples.size)[:] = samples.reshape(-1)

    def remove(self) -> None:
        """Take it off this machine; a server that has it mapped keeps what is in it."""
        with suppress(OSError):
            (_FOLDER / self.name).unlink()
        self.memory.close()
        os.close(self.lock)


class SharedAudio:
    """The regions of one connection; used from one event loop, closed when that has ended."""

    def __init__(self, grpc: InferenceServerClient) -> None:
        """Make no region yet.

        Args:
            grpc: the connection.
        """
        self._grpc = grpc
        self._usable = _FOLDER.is_dir()
        self._swept = False
        self._starts = 1  # of the server, as far as they were noticed
        self._free: list[Region] = []
        self._lent: set[Region] = set()
        self._resting: list[Region] = []
        self._look_s = 0.0
        self._pool = threading.Lock()  # of the three lists
        self._asking = threading.Lock()  # one question about regions at a time

    async def lend(self, samples: npt.NDArray[np.int16]) -> Region | None:
        """A region with these samples, to be given back or left; None: send them."""
        if not self._usable:
            return None
        region = self._take(samples.nbytes, registered=True)
        if region is None:
            region = await asyncio.to_thread(self._provide, samples.nbytes)
        if region is not None:
            region.write(samples)
        return region

    def give_back(self, region: Region) -> None:
        """The server has answered: nobody reads it any more."""
        self._lent.discard(region)
        self._free.append(region)

    def leave(self, region: Region) -> None:
        """No answer came: the server may still read it."""
        self._lent.discard(region)
        self._resting.append(region)

    def forget(self, region: Region) -> None:
        """The server does not know it: it was started anew, and knows no other."""
        if region.registered == self._starts:
            self._starts += 1

    def close(self) -> None:
        """Remove all regions."""
        there = True
        for region in (*self._free, *self._resting, *self._lent):
            if there and region.registered == self._starts:
                there = self._unregister(region.name) is not None
            region.remove()
        for regions in (self._free, self._resting, self._lent):
            regions.clear()
        self._usable = False

    def _take(self, size_bytes: int, *, registered: bool) -> Region | None:
        """The smallest free region that is large enough, as long as it is not far too large."""
        with self._pool:
            fitting = [
                region
                for region in self._free
                if size_bytes <= len(region.memory) <= max(_STEP_BYTES, _MOST_WASTED * size_bytes)
                and (region.registered == self._starts or not registered)
            ]
            region = min(fitting, key=lambda each: len(each.memory), default=None)
            if region is not None:
                self._free.remove(region)
                self._lent.add(region)
        return region

    def _provide(self, size_bytes: int) -> Region | None:
        """A region that may have to be made; None: there is none soon."""
        if not self._asking.acquire(timeout=_PATIENCE_S):
            return None
        try:
            return self._find(size_bytes)
        finally:
            self._asking.release()

    def _find(self, size_bytes: int) -> Region | None:
        if not self._usable:
            return None
        self._look_at_resting()
        region = self._take(size_bytes, registered=False) or _make(size_bytes)
        if region is None:
            return None
        self._lent.add(region)
        if region.registered == self._starts or self._register(region):
            return region
        self._lent.discard(region)
        region.remove()
        return None

    def _register(self, region: Region) -> bool:
        try:
            self._grpc.register_system_shared_memory(
                region.name, f"/{region.name}", len(region.memory), client_timeout=_ANSWER_S
            )
        except InferenceServerException as err:
            status = str(err.status())
            if "ALREADY_EXISTS" not in status:
                # A server that does not answer now may share memory all the same.
                self._usable = "UNAVAILABLE" in status or "DEADLINE" in status
                log.debug("%s: not shared: %s", region.name, err)
                return False
        region.registered = self._starts
        if not self._swept:
            self._swept = True
            self._sweep()
        return True

    def _unregister(self, name: str) -> bool | None:
        """Whether nobody reads a region any more; None: the server does not say."""
        try:
            self._grpc.unregister_system_shared_memory(name, client_timeout=_ANSWER_S)
        except InferenceServerException as err:
            return False if "in use" in err.message() else None
        return True

    def _look_at_resting(self) -> None:
        """Take up regions again that nobody reads."""
        if not self._resting or time.monotonic() < self._look_s:
            return
        self._look_s = time.monotonic() + _LOOK_AGAIN_S
        for region in tuple(self._resting):
            # Whoever started anew holds no request from before.
            done = region.registered != self._starts or self._unregister(region.name)
            if done is None:
                return
            if done:
                region.registered = 0
                self._resting.remove(region)
                self._free.append(region)

    def _sweep(self) -> None:
        """Remove what clients left that were killed."""
        for path in _FOLDER.glob(f"{_PREFIX}*"):
            if _is_left(path):
                path.unlink(missing_ok=True)
        try:
            known: Any = self._grpc.get_system_shared_memory_status(client_timeout=_ANSWER_S)
        except InferenceServerException:
            return
        for name in known.regions:
            if name.startswith(_PREFIX) and not (_FOLDER / name).exists():
                self._unregister(name)


def _make(size_bytes: int) -> Region | None:
    """A new region; None: there is no room for it."""
    size_bytes = -(-size_bytes // _STEP_BYTES) * _STEP_BYTES
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
    try:
        room = os.statvfs(_FOLDER)
        if room.f_bavail * room.f_frsize < size_bytes + _LEFT_BYTES:
            return None
        file = os.open(_FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.posix_fallocate(file, 0, size_bytes)  # a page that is missing later kills the process
        # Who sweeps may have met it before it was locked.
        if (_FOLDER / name).exists():
            return Region(name, mmap.mmap(file, size_bytes), file)
    except OSError as err:
        log.debug("%s: %s", name, err)
        (_FOLDER / name).unlink(missing_ok=True)
    os.close(file)
    return None


def _is_left(path: Path) -> bool:
    """Whether the process is gone that made a region."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:  # removed meanwhile, or another user's
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True
