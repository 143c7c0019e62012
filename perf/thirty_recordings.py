"""Thirty recordings of mixed lengths in one `submit`: batches, occupancy, memory.

    python -m perf.thirty_recordings

Cuts 30 recordings of 2 to 45 s from the catalogue's real speech, submits them in one call to a
server of its own, and shows from the server's own counters that windows of several recordings
were in flight at once. Then it submits them twice more: in the first run, allocators grow to what
the largest batch needs; memory that was lost would go on growing after it.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import wave
from contextlib import suppress
from pathlib import Path

import psutil
from tritonclient.grpc import InferenceServerClient

from perf.record import ROOT, table, write_result
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.server.process import RunningServer, start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_client.decode import decode
from voiceman_client.report.case import json_files
from voiceman_export.assets import fetch

RECORDINGS = 30
RUNS = 3
SEED = 183
LENGTHS_S = (2.0, 45.0)
COMMAND = "python -m perf.thirty_recordings"
CLIENT = Path(sys.executable).with_name("voiceman-client")


def cut_recordings(
    folder: Path, count: int = RECORDINGS, lengths_s: tuple[float, float] = LENGTHS_S
) -> float:
    """Write the recordings into a folder; returns their seconds in all."""
    sources = [
        *sorted(fetch("korean-calls").rglob("*.wav")),
        fetch("telephone-call") / "sample.wav",
    ]
    choice = random.Random(SEED)
    total_s = 0.0
    for number in range(count):
        sound = decode(choice.choice(sources), "mix").waveforms[0]
        samples = min(len(sound), int(choice.uniform(*lengths_s) * SAMPLE_RATE_HZ))
        at = choice.randint(0, len(sound) - samples)
        with wave.open(str(folder / f"{number:02}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(sound[at : at + samples].tobytes())
        total_s += samples / SAMPLE_RATE_HZ
    return total_s


def resident_mb(process: psutil.Process) -> float:
    """Memory that a process and its descendants hold for themselves and share, in MB."""
    total_bytes = 0
    with suppress(psutil.NoSuchProcess):  # one may end while it is looked at
        for one in [process, *process.children(recursive=True)]:
            total_bytes += one.memory_info().rss
    return total_bytes / 1e6


class MemoryLog:
    """Samples of a process's memory, twice a second, until stopped."""

    def __init__(self, pid: int) -> None:
        """Start sampling."""
        self.samples_mb: list[float] = []
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.samples_mb.append(resident_mb(self._process))

    def stop(self) -> dict[str, float]:
        """Median and peak, in MB."""
        self._stop.set()
        self._thread.join()
        return {
            "median_mb": round(statistics.median(self.samples_mb)),
            "peak_mb": round(max(self.samples_mb)),
        }


def read_metrics(server: RunningServer) -> dict[str, float]:
    """The engine's own counters from the metrics page."""
    with urllib.request.urlopen(f"http://{server.metrics_url}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return {
        line.split("{")[0].split()[0]: float(line.split()[-1])
        for line in lines
        if line.startswith("voiceman_whisper_")
    }


def read_batches(server: RunningServer) -> dict[str, tuple[int, int]]:
    """Requests and batches of every model since the server's start."""
    with InferenceServerClient(server.grpc_url) as client:
        stats = client.get_inference_statistics(as_json=True)
    return {
        model["name"]: (int(model.get("inference_count", 0)), int(model.get("execution_count", 0)))
        for model in stats["model_stats"]
    }


def submit(server: RunningServer, recordings: Path, results: Path) -> dict[str, object]:
    """Run `voiceman-client submit` once; wall seconds and the memory of both sides."""
    began = time.monotonic()
    client = subprocess.Popen(
        [CLIENT, "submit", recordings, "--output", results],
        env={**os.environ, "VOICEMAN_SERVER": server.grpc_url},
        stdout=subprocess.DEVNULL,
    )
    logs = {"server_memory": MemoryLog(server.process.pid), "client_memory": MemoryLog(client.pid)}
    status = client.wait()
    wall_s = time.monotonic() - began
    memory = {side: log.stop() for side, log in logs.items()}
    if status:
        sys.exit(f"submit ended with exit code {status}")
    written = len(json_files(results))
    return {"recordings_written": written, "wall_s": round(wall_s, 1), **memory}


def mean_batches(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]
) -> dict[str, float]:
    """Requests per batch of every model between two readings."""
    return {
        model: round((after[model][0] - count) / max(1, after[model][1] - runs), 2)
        for model, (count, runs) in sorted(before.items())
        if model not in {"whisper", "forensic"}  # one answers late, the other is the ensemble
    }


def _rows(runs: list[dict[str, object]]) -> list[list[object]]:
    flat = [
        {
            f"{key} {part}": value[part]
            for key, value in run.items()
            if isinstance(value, dict)
            for part in value
        }
        | {key: value for key, value in run.items() if not isinstance(value, dict)}
        for run in runs
    ]
    return [[name, *(run[name] for run in flat)] for name in flat[0]]


def main() -> None:
    """Measure and write the result."""
    settings = ServerSettings(ROOT / "model_repository", ports=Ports.automatic())
    with tempfile.TemporaryDirectory() as name, start(settings) as server:
        folder = Path(name)
        (folder / "in").mkdir()
        audio_s = cut_recordings(folder / "in")
        batches, slots = read_batches(server), read_metrics(server)
        runs = [submit(server, folder / "in", folder / str(run)) for run in range(RUNS)]
        batches, slots_after = mean_batches(batches, read_batches(server)), read_metrics(server)
    steps, rows = (
        slots_after[name] - slots[name]
        for name in ("voiceman_whisper_steps_total", "voiceman_whisper_rows_total")
    )
    figures = {
        "recordings": RECORDINGS,
        "audio_s": round(audio_s, 1),
        "whisper_mean_slots_busy": round(rows / steps, 2),
        "mean_batch_size": batches,
        "runs": runs,
    }
    text = (
        f"{RECORDINGS} recordings, {audio_s:.0f} s of sound, {RUNS} times to one server.\n"
        f"Whisper slots busy per step, mean: {rows / steps:.2f}.\n\n"
        + table(["figure", *(f"run {run + 1}" for run in range(RUNS))], _rows(runs))
        + "\nMean batch of the other models:\n\n"
        + table(["model", "requests per batch"], list(batches.items()))
    )
    path = write_result(
        "thirty-recordings", COMMAND, figures, text, "Thirty recordings in one submit"
    )
    print(text)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
