"""NVIDIA's perf_analyzer over `forensic` with windows of real speech.

    python -m perf.perf_analyzer

Starts a server of its own, or measures the one at --url. Latency and throughput come from
perf_analyzer; the time per composing model, the batch sizes and the occupancy of Whisper's
slots come from the server's own counters, before and after each level of concurrency.
"""

import base64
import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tritonclient.grpc import InferenceServerClient

from perf.record import ROOT, table, write_result
from voiceman.audio import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ
from voiceman.contracts import FORENSIC_STEPS
from voiceman.server.process import start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_client.decode import decode
from voiceman_export.assets import fetch
from voiceman_export.registries import ProgramMissingError

COMMAND = "python -m perf.perf_analyzer"
# Requests by concurrency: on two cores a window takes seconds, and the whole run minutes.
REQUESTS = {1: 5, 4: 10, 16: 25}
TIMEOUT_S = 1800
MICRO, NANO = 1e-6, 1e-9
COMPUTE = ("compute_input", "compute_infer", "compute_output")
# Names under which the program looks for libraries that the pytriton package carries.
LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}


@dataclass(frozen=True)
class Program:
    """perf_analyzer, ready to run, and its input."""

    path: Path
    environment: Mapping[str, str]
    windows: Path

    def run(self, url: str, concurrency: int, requests: int) -> dict[str, float]:
        """Measure one level; returns the columns of its report."""
        report = self.path.with_name("report.csv")
        report.unlink(missing_ok=True)
        done = subprocess.run(
            [
                *(str(self.path), "-m", "forensic", "-i", "grpc", "-u", url),
                *("--input-data", str(self.windows), "-f", str(report), "--verbose-csv"),
                *("--concurrency-range", str(concurrency), "--request-count", str(requests)),
            ],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode or not report.is_file():
            sys.exit(
                f"perf_analyzer ended with exit {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        with report.open(newline="") as file:
            (row,) = csv.DictReader(file)
        return {name: float(value) for name, value in row.items() if value}


def prepare(folder: Path) -> tuple[Program, list[float]]:
    """Lay out program, libraries and input; returns the seconds of the windows too."""
    program = folder / "perf_analyzer"
    shutil.copyfile(fetch("perf-analyzer") / "perf_analyzer", program)
    program.chmod(0o755)
    package = importlib.util.find_spec("pytriton")
    if package is None or package.origin is None:
        sys.exit("perf_analyzer needs libraries of nvidia-pytriton; install voiceman[server]")
    libraries = Path(package.origin).parents[1] / "nvidia_pytriton.libs"
    for name, pattern in LIBRARIES.items():
        (folder / name).symlink_to(next(libraries.glob(pattern)))
    search = os.pathsep.join([str(folder), str(libraries)])
    windows, durations_s = write_windows(folder / "windows.json")
    return Program(program, {**os.environ, "LD_LIBRARY_PATH": search}, windows), durations_s


def write_windows(path: Path) -> tuple[Path, list[float]]:
    """Real speech as perf_analyzer's input: one window of at most 30 s of each recording."""
    recordings = [fetch("telephone-call") / "sample.wav"]
    try:
        recordings += sorted(fetch("korean-calls").glob("ko-KR*.wav"))
    except ProgramMissingError as err:
        click.echo(f"without the Korean calls: {err}", err=True)
    sounds = [decode(one, "mix").waveforms[0][:MAX_WINDOW_SAMPLES] for one in recordings]
    data = [
        {
            "WAVEFORM": {
                "content": {"b64": base64.b64encode(sound.tobytes()).decode()},
                "shape": [len(sound)],
            }
        }
        for sound in sounds
    ]
    path.write_text(json.dumps({"data": data}))
    return path, [round(len(sound) / SAMPLE_RATE_HZ, 1) for sound in sounds]


def read_counters(grpc_url: str, metrics_url: str | None) -> dict[str, dict[str, float]]:
    """Sums since the server's start, by model; Whisper's engine as "engine"."""
    with InferenceServerClient(grpc_url) as client:
        statistics: Any = client.get_inference_statistics(as_json=True)
    counters: dict[str, dict[str, float]] = {"engine": {}}
    for model in statistics["model_stats"]:
        sums = model.get("inference_stats", {})
        spent = {name: float(sums.get(name, {}).get("ns", 0)) * NANO for name in sums}
        counters[model["name"]] = {
            "requests": float(model.get("inference_count", 0)),
            "batches": float(model.get("execution_count", 0)),
            "queue_s": spent.get("queue", 0.0),
            "compute_s": sum(spent.get(part, 0.0) for part in COMPUTE),
        }
    if metrics_url:
        with urllib.request.urlopen(f"http://{metrics_url}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        for line in lines:
            if line.startswith("voiceman_whisper_"):
                name, value = line.rsplit(" ", 1)
                counters["engine"][name.split("{")[0]] = float(value)
    return counters


def describe(
    concurrency: int,
    report: Mapping[str, float],
    before: Mapping[str, Mapping[str, float]],
    after: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """One level of concurrency: latencies, and per composing model the mean of a request."""
    spent = {
        name: {key: value - before[name].get(key, 0.0) for key, value in sums.items()}
        for name, sums in after.items()
    }
    models = {
        step.name: {
            "queue_ms": round(1e3 * spent[step.name]["queue_s"] / spent[step.name]["requests"], 1),
            "compute_ms": round(
                1e3 * spent[step.name]["compute_s"] / spent[step.name]["requests"], 1
            ),
            "mean_batch": round(spent[step.name]["requests"] / spent[step.name]["batches"], 2),
        }
        for step in FORENSIC_STEPS
    }
    mean_s = report["Avg latency"] * MICRO
    # Whisper answers late: Triton sees it hand the window over, not work on it. The voice
    # models overlap, so what the steps leave of the latency is a lower limit.
    steps_s = sum(model["queue_ms"] + model["compute_ms"] for model in models.values()) / 1e3
    engine = spent["engine"]
    steps = engine.get("voiceman_whisper_steps_total", 0.0)
    return {
        "concurrency": concurrency,
        "windows_per_s": round(report["Inferences/Second"], 3),
        "latency_mean_s": round(mean_s, 2),
        **{f"latency_p{p}_s": round(report[f"p{p} latency"] * MICRO, 2) for p in (50, 90, 99)},
        "whisper_engine_at_least_s": round(max(0.0, mean_s - steps_s), 2),
        "whisper_mean_slots_busy": (
            round(engine["voiceman_whisper_rows_total"] / steps, 2) if steps else None
        ),
        "models": models,
    }


def as_text(levels: list[dict[str, Any]], durations_s: list[float], load: float) -> str:
    """The tables."""
    mean_s = sum(durations_s) / len(durations_s)
    overview = table(
        [
            *("concurrency", "windows/s", "audio s/s, about", "mean s", "p50 s", "p90 s", "p99 s"),
            *("Whisper's engine, at least s", "its slots busy, mean"),
        ],
        [
            [
                level["concurrency"],
                level["windows_per_s"],
                round(level["windows_per_s"] * mean_s, 2),
                level["latency_mean_s"],
                *(level[f"latency_p{p}_s"] for p in (50, 90, 99)),
                level["whisper_engine_at_least_s"],
                level["whisper_mean_slots_busy"],
            ]
            for level in levels
        ],
    )
    steps = table(
        ["model", *(f"{level['concurrency']} at a time" for level in levels)],
        [
            [
                step.name,
                *(
                    "{queue_ms} + {compute_ms} ({mean_batch})".format(**level["models"][step.name])
                    for level in levels
                ),
            ]
            for step in FORENSIC_STEPS
        ],
    )
    return (
        f"Windows of {', '.join(map(str, durations_s))} s, in turn. Load of the machine before the "
        f"run: {load} (0 is a quiet one).\n\n{overview}\n"
        "Time of a request in each composing model: ms in its queue + ms of compute (mean batch "
        "size).\nWhisper answers late from its own engine, so its line here is the handing over "
        f"only.\n\n{steps}"
    )


@click.command(context_settings={"show_default": True})
@click.option("--url", help="gRPC address of a running server. Without it: one is started.")
@click.option("--metrics-url", help="Metrics address of the server at --url.")
@click.option(
    "--concurrency",
    "concurrencies",
    type=click.Choice([str(level) for level in REQUESTS]),
    multiple=True,
    default=[str(level) for level in REQUESTS],
    help="Requests in flight; may be given several times.",
)
def main(url: str | None, metrics_url: str | None, concurrencies: tuple[str, ...]) -> None:
    """Measure `forensic` and write the table below perf/results/."""
    load = round(os.getloadavg()[0], 1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voiceman-perf-")))
        program, durations_s = prepare(folder)
        if url is None:
            settings = ServerSettings(ROOT / "model_repository", ports=Ports.automatic())
            server = stack.enter_context(start(settings))
            url, metrics_url = server.grpc_url, server.metrics_url
        levels: list[dict[str, Any]] = []
        for concurrency in map(int, concurrencies):
            click.echo(f"{REQUESTS[concurrency]} requests, {concurrency} at a time", err=True)
            before = read_counters(url, metrics_url)
            report = program.run(url, concurrency, REQUESTS[concurrency])
            levels.append(describe(concurrency, report, before, read_counters(url, metrics_url)))
    text = as_text(levels, durations_s, load)
    figures = {"windows_s": durations_s, "load_before": load, "levels": levels}
    path = write_result("perf-analyzer", COMMAND, figures, text, "perf_analyzer over `forensic`")
    click.echo(text)
    click.echo(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
