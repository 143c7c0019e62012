"""What client and server cost around the models, in CPU time, and what the cache of answers saves.

    python -m perf.overhead [--minutes 30]

One `voiceman-server`, and one `voiceman-client submit` over recordings of five minutes (m4a, mp3
and wav in turn, put together from the catalogue's real speech). Wall times say little on a machine
that does other things; the figures are CPU seconds, user and system, of every process:

    models     the models' processes
    around     all else: client, decoders, tritonserver, and voiceman-server, which watches it

Handing tensors over costs CPU time in tritonserver, which counts as around, and in the models'
processes, which cannot be told from their work. Triton's own `compute_infer` stands beside: time
on the clock, in which requests of one model overlap and Whisper's decoding is not contained. What
the server uses at rest, with the requests by which voiceman-server tries idle models, stands
beside too: it is no part of a run that keeps the models busy. Client and tritonserver use some
milliseconds in every second that a run takes: the slower the models, the more of these.

    start-up   what `submit` uses for one second of silence: to start client and decoder, load
               their libraries and write a report; every run has it once
    decode     decoding and preparing the same files in one process that has warmed up

Bounds: around at most 5 % of the models, start-up included. The client without its start-up at
most 10 % more than decoding alone, and 1 ms for every window. A second submit of the same
recordings into a new folder, answered from the cache, 100 times as fast, once as its user sees it
and once from the run's first line of log to its last. Exit code 1 where one does not hold.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from perf.cpu_time import ClientRun, Used, compute_s, look, run_client
from perf.faults.processes import Server, running_server
from perf.long_recordings import encode, write_recordings
from perf.record import ROOT, table, write_result
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_client.chain import read_chain
from voiceman_client.decode import decode
from voiceman_client.prepare import prepare
from voiceman_client.run_log import LOG_NAME

COMMAND = "make bench-overhead"
IDLE_S = 20.0  # two looks of voiceman-server
OTHERS_S = 30.0
MOST_AROUND = 0.05  # of the models
MOST_OVER_DECODE, MOST_PER_WINDOW_S = 0.10, 0.001
LEAST_TIMES_CACHED = 100.0
CLIENT = Path(sys.executable).with_name("voiceman-client")


def decode_s(recordings: list[Path]) -> float:
    """CPU seconds that decoding and preparing take, without processes and pipes."""
    used: list[float] = []
    for _ in range(2):  # the first time pays for libraries and memory
        began_s = time.process_time()
        for path in recordings:
            prepare(decode(path, "auto").waveforms)
        used.append(time.process_time() - began_s)
    return used[-1]


@dataclass(frozen=True)
class Run:
    """A submit, and what the server used meanwhile.

    Attributes:
        client: what the client used.
        server: what the server used.
        inside_s: seconds from the first line of the run's log to its last.
        windows: that the server answered.
    """

    client: ClientRun
    server: Used
    inside_s: float
    windows: int


def submit(server: Server, recordings: Path, folder: Path) -> Run:
    """Submit a folder of recordings into a new folder; all runs beside it share a cache."""
    before = look(server)
    client = run_client(
        [
            *(CLIENT, "submit", recordings, "--output", folder),
            *("--server", server.address, "--metrics", f"127.0.0.1:{server.ports.metrics}"),
        ],
        folder.with_suffix(".log"),
        {"VOICEMAN_CACHE_DIR": str(folder.with_name("cache"))},
    )
    lines = read_chain((folder / LOG_NAME).read_bytes()).lines
    began, ended = (datetime.fromisoformat(lines[index].time) for index in (0, -1))
    windows = sum(line.event == "window_answered" for line in lines)
    return Run(client, look(server).since(before), (ended - began).total_seconds(), windows)


@dataclass(frozen=True)
class Measured:
    """All that was measured.

    Attributes:
        audio_s: seconds of sound.
        idle: what the server uses in a second of rest.
        start: the run over a second of silence.
        first: the run over all recordings.
        again: the same, answered from the cache.
        decode_s: CPU seconds of decoding and preparing alone.
        compute_s: Triton's `compute_infer` of every model during the first run.
    """

    audio_s: float
    idle: Used
    start: Run
    first: Run
    again: Run
    decode_s: float
    compute_s: dict[str, float]

    @property
    def models_s(self) -> float:
        """CPU seconds of the models."""
        return sum(self.first.server.models.values())

    @property
    def around_s(self) -> dict[str, float]:
        """CPU seconds of all else, by what it is."""
        run = self.first
        return {
            "client": run.client.main_s,
            "decoders": run.client.decoders_s,
            "tritonserver": run.server.tritonserver,
            "voiceman-server": run.server.watch,
        }

    @property
    def ratios(self) -> dict[str, float]:
        """What the bounds are of."""
        client_s = self.first.client.cpu_s - self.start.client.cpu_s
        allowed_s = self.decode_s * (1 + MOST_OVER_DECODE) + MOST_PER_WINDOW_S * self.first.windows
        around_s = sum(self.around_s.values())
        return {
            "around_of_models": around_s / self.models_s,
            "around_without_start_of_models": (around_s - self.start.client.cpu_s) / self.models_s,
            "client_of_allowed": client_s / allowed_s,
            "times_cached": self.first.client.wall_s / self.again.client.wall_s,
            "times_cached_inside": self.first.inside_s / self.again.inside_s,
        }

    @property
    def missed(self) -> list[str]:
        """The bounds that do not hold."""
        ratios = self.ratios
        bounds = {
            "around_of_models": ratios["around_of_models"] <= MOST_AROUND,
            "client_of_allowed": ratios["client_of_allowed"] <= 1.0,
            "times_cached": ratios["times_cached"] >= LEAST_TIMES_CACHED,
            "times_cached_inside": ratios["times_cached_inside"] >= LEAST_TIMES_CACHED,
        }
        return [f"{name}: {ratios[name]:.3g}" for name, holds in bounds.items() if not holds]


def measure(folder: Path, minutes: float) -> Measured:
    """All runs."""
    recordings, others, silence = folder / "in", folder / "others", folder / "silence"
    for path in (recordings, others, silence):
        path.mkdir(parents=True)
    audio_s = write_recordings(recordings, 60 * minutes)
    write_recordings(others, OTHERS_S)
    encode(silence / "one-second.wav", np.zeros(SAMPLE_RATE_HZ, np.int16))
    with running_server(folder, "default") as server:
        submit(server, others, folder / "unmeasured")  # lexicons are loaded, files are read
        start = submit(server, silence, folder / "start")
        before = look(server)
        time.sleep(IDLE_S)
        idle = look(server).since(before).divided(IDLE_S)
        computed = compute_s(server)
        first = submit(server, recordings, folder / "first")
        computed = {name: s - computed[name] for name, s in compute_s(server).items()}
        again = submit(server, recordings, folder / "again")
    alone_s = decode_s(sorted(recordings.iterdir()))
    return Measured(audio_s, idle, start, first, again, alone_s, computed)


def figures(measured: Measured) -> dict[str, object]:
    """What was measured as JSON values."""
    return _rounded(
        {
            **asdict(measured),
            "around_s": measured.around_s,
            "models_s": measured.models_s,
            **measured.ratios,
            "missed": measured.missed,
        }
    )


def _rounded(values: dict[str, object]) -> dict[str, object]:
    return json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 4))


def _text(measured: Measured) -> str:
    first, again, ratios = measured.first, measured.again, measured.ratios
    around_s = sum(measured.around_s.values())
    rows: list[list[object]] = [
        [f"around: {name}", f"{s:.2f}", f"{s / measured.models_s:.2%}"]
        for name, s in measured.around_s.items()
    ]
    rows += [
        [
            "around, in all",
            f"{around_s:.2f}",
            f"{ratios['around_of_models']:.2%}",
        ],
        ["of this, start-up", f"{measured.start.client.cpu_s:.2f}", ""],
        ["around without start-up", "", f"{ratios['around_without_start_of_models']:.2%}"],
        ["models", f"{measured.models_s:.2f}", "100 %"],
    ]
    each = [
        [name, f"{s:.2f}", f"{measured.compute_s.get(name, 0.0):.2f}"]
        for name, s in sorted(first.server.models.items(), key=lambda item: -item[1])
    ]
    over_s = first.client.cpu_s - measured.start.client.cpu_s - measured.decode_s
    return (
        f"{measured.audio_s / 60:.0f} minutes of sound, {first.windows} windows.\n\n"
        + table(("CPU time of", "s", "of the models"), rows)
        + "\n"
        + table(("model", "CPU s of its process", "compute_infer, s on the clock"), each)
        + f"\nAt rest the server uses {_at_rest(measured.idle):.3f} CPU-seconds a second.\n"
        f"\nDecoding alone: {measured.decode_s:.2f} CPU-seconds. The client without its start-up "
        f"used {over_s:.2f} more, {over_s / measured.decode_s:.0%} of decoding or "
        f"{1000 * over_s / first.windows:.1f} ms per window.\n\n"
        f"Submitted again, from the cache: {again.client.wall_s:.2f} instead of "
        f"{first.client.wall_s:.1f} s on the clock, {ratios['times_cached']:.0f} times as fast; "
        f"inside the run {again.inside_s:.2f} instead of {first.inside_s:.1f} s, "
        f"{ratios['times_cached_inside']:.0f} times as fast.\n"
        + "".join(f"\n- missed: {what}" for what in measured.missed)
    )


def _at_rest(idle: Used) -> float:
    return idle.tritonserver + idle.watch + sum(idle.models.values())


def main() -> None:
    """Measure and write the result; exit code 1 if a bound was missed."""
    parser = argparse.ArgumentParser(description="What client and server cost around the models.")
    parser.add_argument("--minutes", type=float, default=30.0, help="of sound")
    parser.add_argument("--folder", type=Path, help="to work in and to keep")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="overhead-"))
    measured = measure(folder, given.minutes)
    text = _text(measured)
    path = write_result(
        "overhead", COMMAND, figures(measured), text, "What it costs around the models"
    )
    print(text)
    print(path.relative_to(ROOT), folder)
    sys.exit(1 if measured.missed else 0)


if __name__ == "__main__":
    main()
