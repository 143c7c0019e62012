"""A file that kills the decoder fails alone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from media import tone, write_sound

from voiceman.errors import (
    RecordingLimitError,
    RecordingNotFoundError,
    RecordingUnreadableError,
)
from voiceman_client.cores import Cores
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.decoder_worker import WorkerSetup
from voiceman_client.decoding import DecoderPool

# The real worker, except for what a file called so does to it.
HOSTILE = textwrap.dedent(
    """
    import os, signal, time
    from pathlib import Path
    from voiceman_client import decoder_worker
    decode = decoder_worker.decode

    def hostile(path, *args):
        match path.stem:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "killed" | "killed-always":
                tried = path.with_suffix(".tried")
                if path.stem == "killed-always" or not tried.exists():
                    tried.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(60)
            case "spin":
                while True:
                    pass
            case "eat":
                return bytearray(1 << 40)
            case "write":
                with open(path.with_suffix(".out"), "wb") as file:
                    file.write(b"1")
        return decode(path, *args)

    decoder_worker.decode = hostile
    decoder_worker.main()
    """
)
HOSTILE_COMMAND = (sys.executable, "-c", HOSTILE)


def message(content):
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "big") + text


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
    (recording,) = asyncio.run(decode_all([path], level=False))
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
    first, crashed, *others = asyncio.run(decode_all(paths, command=HOSTILE_COMMAND))
    assert isinstance(crashed, RecordingUnreadableError)
    assert "crash.wav: the decoder crashed" in str(crashed)
    assert [recording.duration_s for recording in (first, *others)] == [1.0, 1.0, 1.0]


def test_a_file_whose_worker_was_killed_is_tried_again_but_not_for_ever(tmp_path):
    paths = [
        write_sound(tmp_path / f"{name}.wav", tone(1.0)) for name in ("killed", "killed-always")
    ]
    recording, given_up = asyncio.run(decode_all(paths, command=HOSTILE_COMMAND))
    assert recording.duration_s == 1.0
    assert isinstance(given_up, RecordingUnreadableError)
    assert "exit status -9" in str(given_up)


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


@pytest.mark.parametrize(
    "answered",
    [
        b"\0\0\0\0\0\0\0\x02{!",
        b"\0\0\0\0\0\0\0\x03[1]",
        b"\xff" * 8,
        message({"error": "SystemExit", "message": "a.wav"}),
        message({"error": "QueueFullError", "message": "a.wav"}),
        message({"file_bytes": "many"}),
        message({"source": {}, "channels": [0, 1, 2], "samples": 1}),
        message({"source": {}, "channels": [0], "samples": 1 << 40}),
        message({"source": {}, "channels": [0]}),
    ],
)
def test_an_answer_that_makes_no_sense_costs_the_worker_and_not_the_pool(answered):
    garbage = f"import sys; sys.stdin.readline(); sys.stdout.buffer.write({answered!r}); "
    command = (sys.executable, "-c", f"{garbage}sys.stdout.flush(); sys.stdin.read()")

    async def ask():
        pool = DecoderPool(1, command)
        with pytest.raises(
            RecordingUnreadableError, match=r"a\.wav: the decoder answered nonsense"
        ):
            await pool.decode(Path("a.wav"), "auto")
        left = pool._all, pool._idle
        await pool.close()
        return left

    assert asyncio.run(ask()) == (set(), [])


def test_a_file_with_very_many_flags_arrives(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1.0))
    many = textwrap.dedent(
        """
        from dataclasses import replace
        from voiceman_client import decoder_worker
        decode = decoder_worker.decode
        flag = {"kind": "gap", "start": 0.0, "end": 1.0, "detail": "x" * 100}
        decoder_worker.decode = lambda *args: replace(decode(*args), flags=(flag,) * 20_000)
        decoder_worker.main()
        """
    )
    (recording,) = asyncio.run(decode_all([path], command=(sys.executable, "-c", many)))
    assert len(recording.flags) == 20_000


QUICK = DecodeLimits(start_s=2.0)


@pytest.mark.parametrize("claim", [{"decoded_s": 1e9}, {"file_bytes": 1e15}, {"decoded_s": "NaN"}])
def test_a_worker_cannot_give_itself_time(claim):
    said = message(claim).replace(b'"NaN"', b"NaN")
    command = (
        *(sys.executable, "-c"),
        f"import sys; sys.stdin.readline(); sys.stdout.buffer.write({said!r}); "
        "sys.stdout.flush(); sys.stdin.read()",
    )
    limits = DecodeLimits(start_s=2.0, recording_s=10.0, file_bytes=1000)
    (error,) = asyncio.run(
        asyncio.wait_for(decode_all([Path("a.wav")], command=command, limits=limits), 30)
    )
    assert isinstance(error, RecordingLimitError)
    assert "takes longer to decode" in str(error)


def decode_one(path, **pool_options):
    (answer,) = asyncio.run(decode_all([path], workers=1, **pool_options))
    return answer


@pytest.mark.parametrize("kind", ["hang", "spin"])
def test_a_file_that_never_ends_costs_its_time_and_its_worker(tmp_path, kind):
    paths = [write_sound(tmp_path / f"{name}.wav", tone(1.0)) for name in (kind, "a", "b")]
    began_s = time.monotonic()
    stuck, *others = asyncio.run(decode_all(paths, command=HOSTILE_COMMAND, limits=QUICK))
    assert time.monotonic() - began_s < 10
    assert isinstance(stuck, RecordingLimitError)
    assert f"{kind}.wav: takes longer to decode than the limit of 2 s for 32" in str(stuck)
    assert [recording.duration_s for recording in others] == [1.0, 1.0]


def test_a_worker_that_spins_dies_without_its_client(tmp_path):
    """The kernel counts its CPU time, and it dies with the client that would have killed it."""
    path = write_sound(tmp_path / "spin.wav", tone(1.0))
    limits = DecodeLimits(start_s=1.0, recording_s=1.0)
    setup = WorkerSetup(limits).to_json()
    worker = subprocess.Popen(
        [*HOSTILE_COMMAND, setup], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    request = {"path": str(path), "channels": "auto"}
    worker.stdin.write(json.dumps(request).encode() + b"\n")
    worker.stdin.flush()
    assert worker.wait(60) == -signal.SIGXCPU


def test_too_much_cpu_time_is_named(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1.0))
    dying = (sys.executable, "-c", "import os; input(); os.kill(os.getpid(), 24)")
    error = decode_one(path, command=dying)
    assert isinstance(error, RecordingLimitError)
    assert "a.wav: takes more CPU time to decode than the limit of 60 s, 1 s per MB" in str(error)


def test_too_much_memory_costs_one_file_and_no_worker(tmp_path):
    limits = DecodeLimits()

    async def eat():
        pool = DecoderPool(1, HOSTILE_COMMAND)
        names = ("eat", "a")
        paths = [write_sound(tmp_path / f"{name}.wav", tone(1.0)) for name in names]
        with pytest.raises(
            RecordingLimitError, match=f"more memory than the {limits.memory_bytes}"
        ):
            await pool.decode(paths[0], "auto")
        recording = await pool.decode(paths[1], "auto")
        await pool.close()
        return recording.duration_s, pool.started

    assert asyncio.run(eat()) == (1.0, 1)


def test_a_small_file_with_much_sound_meets_the_memory_limit(tmp_path):
    path = write_sound(tmp_path / "a.flac", np.zeros(1200 * 16_000, np.int16), "flac")
    assert path.stat().st_size < 1_000_000  # 38 MB of samples
    assert decode_one(path, limits=DecodeLimits(memory_bytes=400_000_000)).duration_s == 1200
    error = decode_one(path, limits=DecodeLimits(memory_bytes=90_000_000))
    assert isinstance(error, RecordingLimitError)
    assert "a.flac: takes more memory than the 90000000 bytes" in str(error)


def test_a_worker_writes_no_files(tmp_path):
    error = decode_one(write_sound(tmp_path / "write.wav", tone(1.0)), command=HOSTILE_COMMAND)
    assert "File too large" in str(error)


def test_a_file_over_the_limits_of_size_or_length_is_refused(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(3.0))
    error = decode_one(path, limits=DecodeLimits(file_bytes=1000))
    assert isinstance(error, RecordingLimitError)
    assert "a.wav: 96078 bytes, at most 1000 are taken" in str(error)
    error = decode_one(path, limits=DecodeLimits(recording_s=2.0))
    assert isinstance(error, RecordingLimitError)


def test_workers_end_with_a_client_that_is_killed(tmp_path):
    path = write_sound(tmp_path / "hang.wav", tone(1.0))
    client = textwrap.dedent(
        f"""
        import asyncio, sys
        from pathlib import Path
        from voiceman_client.decoding import DecoderPool
        async def main():
            pool = DecoderPool(1, {HOSTILE_COMMAND!r})
            def show(progress):
                (worker,) = pool._all
                print(worker.pid, flush=True)
            await pool.decode(Path({str(path)!r}), "auto", show)
        asyncio.run(main())
        """
    )
    killed = subprocess.Popen([sys.executable, "-c", client], stdout=subprocess.PIPE)
    pid = int(killed.stdout.readline())
    killed.kill()
    killed.wait()
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail(f"worker {pid} outlived its client")


def test_an_idle_worker_that_died_is_replaced_and_no_file_blamed(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1.0))

    async def decode_twice():
        pool = DecoderPool(1)
        await pool.decode(path, "auto")
        (worker,) = pool._all
        worker.kill()
        await worker.wait()
        await pool.decode(path, "auto")
        await pool.close()
        return pool.started

    assert asyncio.run(decode_twice()) == 2


def test_decoding_and_preparation_run_on_cores_of_their_own(tmp_path):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs two cores")
    told = textwrap.dedent(
        """
        import os, sys
        from voiceman_client import decoder_worker
        decode, prepare = decoder_worker.decode, decoder_worker.prepare
        def tell(what, run):
            def told(*args, **options):
                print(what, sorted(os.sched_getaffinity(0)), os.nice(0), file=sys.stderr)
                return run(*args, **options)
            return told
        decoder_worker.decode = tell("decode", decode)
        decoder_worker.prepare = tell("prepare", prepare)
        decoder_worker.main()
        """
    )
    path = write_sound(tmp_path / "a.wav", tone(1.0))
    setup = WorkerSetup(DecodeLimits(), (cores[0],), (cores[1],)).to_json()
    request = json.dumps({"path": str(path), "channels": "auto"})
    done = subprocess.run(
        [sys.executable, "-c", told, setup],
        input=f"{request}\n{request}\n".encode(),
        capture_output=True,
        check=True,
    )
    nice = os.nice(0) + DecodeLimits().nice
    each = f"decode [{cores[0]}] {nice}\nprepare [{cores[1]}] {nice}\n"
    assert done.stderr.decode() == 2 * each
    alike = DecoderPool(1, cores=Cores((0, 1), (0, 1)))
    assert json.loads(alike._command[-1])["decode_on"] == []


def test_progress_tells_bytes_and_seconds(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "a.mp3", tone(200.0), "libmp3lame")
    size_bytes, told = path.stat().st_size, []
    eager = textwrap.dedent(
        """
        from voiceman_client import decoder_worker
        decoder_worker._REPORT_EVERY_S = 0.01
        decoder_worker.main()
        """
    )

    async def decode():
        pool = DecoderPool(1, (sys.executable, "-c", eager))
        recording = await pool.decode(path, "auto", told.append)
        await pool.close()
        return recording

    recording = asyncio.run(decode())
    assert len(told) > 3
    assert {progress.file_bytes for progress in told} == {size_bytes}
    for name in ("read_bytes", "decoded_s"):
        values = [getattr(progress, name) for progress in told]
        assert values == sorted(values)
        assert values[0] == 0
    assert told[-1].read_bytes == size_bytes
    assert told[-1].decoded_s == recording.duration_s
    assert told[-2].read_bytes / size_bytes == pytest.approx(
        told[-2].decoded_s / recording.duration_s, abs=0.02
    )
