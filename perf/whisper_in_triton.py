"""Whisper inside the server beside the same engine driven directly.

    python -m perf.whisper_in_triton [--rounds 4]

Windows of real Korean and English speech go all at once to the model `whisper` of a running
server, as unary calls, and to an engine of the same settings in this process. Rounds alternate;
the server stands idle while the engine works. The ratio is the share of the engine's speed that
is left once requests, queues and answers have had theirs.
"""

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from tritonclient.grpc import InferenceServerClient, InferResult
from tritonclient.utils import InferenceServerException

from perf.peers.windowing import SpokenWindow, Windowing
from perf.record import ROOT, table, write_result
from perf.whisper_corpus import load_corpus
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.options import WindowOptions
from voiceman.server.process import start
from voiceman.server.settings import Ports, ServerSettings
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.window import Window
from voiceman_client.transport import to_tensors

COMMAND = "python -m perf.whisper_in_triton"
WEIGHTS = ROOT / "model_repository" / "whisper" / "1" / "weights"
WORKERS = 1  # of both sides: half of this machine's cores, the server's default
SETTINGS = EngineSettings(slots=8, line=8, workers=WORKERS, precision="int8")
TIMEOUT_S = 300.0
BAR = 0.92
FULL_SCALE = 2.0**15


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    os.environ["VOICEMAN_WHISPER_THREADS"] = str(WORKERS)
    os.environ["VOICEMAN_WHISPER_PRECISION"] = SETTINGS.precision
    windows = Windowing(1).cut(load_corpus(("ko", "en")))
    seconds: dict[str, list[float]] = {"server": [], "engine": []}
    settings = ServerSettings(ROOT / "model_repository", ports=Ports.automatic())
    checkpoint = load_checkpoint(WEIGHTS)
    with (
        start(settings) as server,
        InferenceServerClient(server.grpc_url) as client,
        Engine(checkpoint, SETTINGS, torch.device("cpu")) as engine,
    ):
        ways = {
            "server": lambda: through_server(client, windows),
            "engine": lambda: directly(engine, windows),
        }
        for work in ways.values():
            work()  # the first round pays for pages and caches
        for number in range(rounds):
            for way in sorted(ways, reverse=number % 2 == 1):
                started_s = time.perf_counter()
                ways[way]()
                seconds[way].append(time.perf_counter() - started_s)
    write(seconds, sum(len(each.waveform) for each in windows) / SAMPLE_RATE_HZ, len(windows))


def directly(engine: Engine, windows: Sequence[SpokenWindow]) -> None:
    """All windows through an engine."""
    futures = [
        engine.submit(Window(each.waveform, each.language, WindowOptions(), each.speech))
        for each in windows
    ]
    for future in futures:
        future.result(TIMEOUT_S)


def through_server(client: InferenceServerClient, windows: Sequence[SpokenWindow]) -> None:
    """All windows as unary calls at once."""
    answers = [Future[InferResult]() for _ in windows]

    def take(
        answer: Future[InferResult],
        result: InferResult | None,
        error: InferenceServerException | None,
    ) -> None:
        if result is None:
            answer.set_exception(error or InferenceServerException("no answer"))
        else:
            answer.set_result(result)

    for answer, each in zip(answers, windows, strict=True):
        client.async_infer(
            "whisper",
            to_tensors("whisper", tensors(each)),
            lambda result, error, answer=answer: take(answer, result, error),
            client_timeout=TIMEOUT_S,
        )
    for answer in answers:
        answer.result(TIMEOUT_S)


def tensors(window: SpokenWindow) -> dict[str, Any]:
    """A window as the model wants it; the samples are those of the recording again, exactly."""
    return {
        "WAVEFORM": np.round(window.waveform * FULL_SCALE).astype(np.int16),
        "TURNS": np.array(window.speech or (), np.float32).reshape(-1, 2),
        "LANGUAGE": window.language,
    }


def write(seconds: dict[str, list[float]], audio_s: float, windows: int) -> None:
    """The table, on standard output and under perf/results."""
    rtfx = {way: audio_s / statistics.median(times) for way, times in seconds.items()}
    pairs = zip(seconds["engine"], seconds["server"], strict=True)
    share = statistics.median(engine / server for engine, server in pairs)
    figures = {
        "audio_s": round(audio_s, 1),
        "windows": windows,
        "settings": vars(SETTINGS),
        "rtfx": {way: round(value, 2) for way, value in rtfx.items()},
        "share_of_the_engine": round(share, 3),
        "bar": BAR,
        "seconds": {way: [round(each, 2) for each in times] for way, times in seconds.items()},
    }
    rows = [(way, f"{rtfx[way]:.1f}", f"{min(times):.1f} s") for way, times in seconds.items()]
    text = table(("way", "RTFx (median)", "fastest round"), rows) + (
        f"\n{windows} windows, {audio_s:.0f} s of sound, {len(seconds['server'])} alternating "
        f"rounds. Median of the rounds' ratios: {share:.1%} of the engine's speed "
        f"(asked: {BAR:.0%}).\n"
    )
    print(text)
    print(write_result("whisper-in-triton", COMMAND, figures, text, "Whisper in the server"))


if __name__ == "__main__":
    main()
