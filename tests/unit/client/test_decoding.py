"""A file that kills the decoder fails alone."""

import asyncio
import json
import signal
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from media import tone, write_sound

from voiceman.errors import RecordingNotFoundError, RecordingUnreadableError
from voiceman_client.decoding import DecoderPool

# The real worker, except that a file called "crash" kills it as a fault in a codec would.
CRASHING = textwrap.dedent(
    """
    import os, signal
    from voiceman_client import decoding
    answer = decoding._answer
    def crash(request):
        if request["path"].endswith("crash.wav"):
            os.kill(os.getpid(), signal.SIGSEGV)
        return answer(request)
    decoding._answer = crash
    decoding.main()
    """
)


async def decode_all(paths, workers=2, **pool_options):
    pool = DecoderPool(workers, **pool_options)
    try:
        return await asyncio.gather(
            *(pool.decode(path, "auto") for path in paths), return_exceptions=True
        )
    finally:
        await pool.close()


def test_recordings_arrive_whole(tmp_path):
    left, right = tone(3.0, 200) * 0 + 1, tone(3.0)
    path = write_sound(tmp_path / "a.wav", [left, right])
    pool_result = asyncio.run(decode_all([path]))
    (recording,) = pool_result
    np.testing.assert_array_equal(recording.waveforms[0], (left.astype(int) + right) // 2)
    assert recording.source.path == str(path)


def test_an_unreadable_file_keeps_its_error_and_its_worker(tmp_path):
    good = write_sound(tmp_path / "good.wav", tone(1.0))
    missing, recording = asyncio.run(decode_all([tmp_path / "no.wav", good], workers=1))
    assert isinstance(missing, RecordingNotFoundError)
    assert recording.duration_s == 1.0


def test_a_crash_costs_one_file(tmp_path):
    paths = [
        write_sound(tmp_path / name, tone(1.0)) for name in ("a.wav", "crash.wav", "b.wav", "c.wav")
    ]
    command = (sys.executable, "-c", CRASHING)
    first, crashed, *others = asyncio.run(decode_all(paths, command=command))
    assert isinstance(crashed, RecordingUnreadableError)
    assert "crash.wav: the decoder crashed" in str(crashed)
    assert [recording.duration_s for recording in (first, *others)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_are_bounded_and_used_again(tmp_path, workers):
    path = write_sound(tmp_path / "a.wav", tone(0.1))

    async def count():
        pool = DecoderPool(workers)
        await asyncio.gather(*(pool.decode(path, "auto") for _ in range(6)))
        started = len(pool._all)
        await pool.close()
        return started

    assert asyncio.run(count()) <= workers


def test_an_answer_that_makes_no_sense_costs_the_worker_and_not_the_pool():
    garbage = "import sys; sys.stdin.readline(); sys.stdout.buffer.write(bytes(7) + b'\\x02{!'); "
    command = (sys.executable, "-c", f"{garbage}sys.stdout.flush(); sys.stdin.read()")

    async def ask():
        pool = DecoderPool(1, command)
        with pytest.raises(json.JSONDecodeError):
            await pool.decode(Path("a.wav"), "auto")
        (worker,) = pool._all
        code = await worker.wait()
        await pool.close()
        return code, pool._idle

    assert asyncio.run(ask()) == (-signal.SIGKILL, [])


def test_a_file_with_very_many_flags_arrives(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1.0))
    many = textwrap.dedent(
        """
        from dataclasses import replace
        from voiceman_client import decoding
        decode = decoding.decode
        flag = {"kind": "gap", "start": 0.0, "end": 1.0, "detail": "x" * 100}
        decoding.decode = lambda *args: replace(decode(*args), flags=(flag,) * 20_000)
        decoding.main()
        """
    )
    (recording,) = asyncio.run(decode_all([path], command=(sys.executable, "-c", many)))
    assert len(recording.flags) == 20_000
