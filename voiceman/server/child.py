"""tritonserver as a child process: started, its log passed on, and never left behind."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from voiceman.errors import EnvironmentCheckError

log = logging.getLogger(__name__)

POLL_S = 0.1
KILL_AFTER_S = 10  # beyond the exit timeout, in which Triton should have ended by itself
LAST_LINES = 20
# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# What Triton logs as errors on every machine without a GPU, where nothing is wrong.
_MISSES_GPU = ("CudaDriverHelper", "pinned system memory", "CUDA driver version is insufficient")


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU that a process may open."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def launch(
    command: Sequence[str], environment: dict[str, str], inherited: int
) -> subprocess.Popen[str]:
    """Start a process in a session of its own that dies with the thread that starts it.

    Args:
        command: the program and its arguments.
        environment: its environment variables.
        inherited: a file descriptor that it and all its children keep open.
    """
    log.info("starting %s", command[0])
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(inherited,),
        # A Ctrl-C in the terminal is for us; Triton gets its SIGTERM from us, once.
        start_new_session=True,
        preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509  # it only makes two system calls
    )


def _die_with(parent: int) -> Callable[[], None]:
    """A function for the child, after which the kernel kills it when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)

    def set_death_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return set_death_signal


def adopt_orphans() -> None:
    """Let model processes become children of this process when tritonserver dies before them.

    Only their parent can wait for their end; in a container this process may be the only one.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextmanager
def open_log(path: Path | None) -> Generator[IO[str]]:
    """The file for Triton's log; standard error without a path.

    Raises:
        EnvironmentCheckError: it cannot be written.
    """
    if path is None:
        yield sys.stderr
        return
    try:
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as err:
        raise EnvironmentCheckError(
            f"{path}: {err.strerror}; set --log-file to a file that can be written"
        ) from err
    with file:
        yield file


def copy_log(process: subprocess.Popen[str], sink: IO[str]) -> deque[str]:
    """Pass on Triton's log in a thread of its own; returns its last lines, always up to date."""
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    source = process.stdout
    if source is None:
        raise ValueError("the process was started without a pipe")

    noise = () if has_gpu() else _MISSES_GPU

    def copy() -> None:
        for line in source:
            if not any(words in line for words in noise):
                last_lines.append(line.rstrip())
                sink.write(line)

    threading.Thread(target=copy, name="triton-log", daemon=True).start()
    return last_lines


def death(process: subprocess.Popen[str], lines: deque[str]) -> str:
    """How a process that has ended did so, with the last lines of its log."""
    # Its log thread may still hold the line that tells why.
    time.sleep(POLL_S)
    code = process.returncode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit {code}"
    return "\n".join([f"tritonserver {how}; its last lines:", *lines])


def stop(process: subprocess.Popen[str], exit_timeout_s: float) -> None:
    """Let Triton drain its requests and end, and make sure that nothing of it is left."""
    try:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(exit_timeout_s + KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                log.warning("tritonserver did not end by itself and is killed")
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill Triton and its model processes; returns when they are gone as far as it can be seen.

    The memory of a model process, on the GPU too, is free only after its end.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + KILL_AFTER_S
    # Without `adopt_orphans` there are no children to wait for.
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            pid, _ = os.waitpid(-process.pid, os.WNOHANG)
            if not pid:
                time.sleep(POLL_S)
