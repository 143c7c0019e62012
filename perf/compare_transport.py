"""Multiplexed unary calls beside one ordered stream: what a slow window costs the others.

    python -m perf.compare_transport

Sends the same windows of real speech, the longest first, all at once to `forensic`: as unary
calls over one connection, and over one gRPC stream (ModelStreamInfer), which returns answers in
the order of the requests. Rounds alternate on one server; figures are medians over the rounds.
"""

import statistics
import threading
import time
from collections.abc import Sequence

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferResult
from tritonclient.utils import InferenceServerException

from perf.record import ROOT, table, write_result
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.server.process import start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_client.decode import decode
from voiceman_client.transport import to_tensors
from voiceman_export.assets import fetch

COMMAND = "python -m perf.compare_transport"
# Start and end in the telephone call, seconds: one long window, then short ones.
SPANS = (
    (0.0, 30.0),
    (6.6, 8.3),
    (8.3, 10.1),
    (10.8, 14.2),
    (14.4, 17.8),
    (17.8, 21.5),
    (6.6, 14.2),
    (21.5, 24.0),
)
ROUNDS = 4
TIMEOUT_S = 300.0


def main() -> None:
    """Measure and write the result."""
    call = decode(fetch("telephone-call") / "sample.wav", "mix").waveforms[0]
    windows = [call[round(a * SAMPLE_RATE_HZ) : round(b * SAMPLE_RATE_HZ)] for a, b in SPANS]
    settings = ServerSettings(ROOT / "model_repository", ports=Ports.automatic())
    rounds: dict[str, list[list[float]]] = {"unary": [], "stream": []}
    with start(settings) as server, InferenceServerClient(server.grpc_url) as client:
        requests = [_request(window) for window in windows]
        send = {"unary": send_unary, "stream": send_stream}
        send["unary"](client, requests)  # the first round pays for pages and caches
        for number in range(ROUNDS):
            order = ("unary", "stream") if number % 2 == 0 else ("stream", "unary")
            for way in order:
                rounds[way].append(send[way](client, requests))
    write(rounds)


def _request(window: Int16Waveform) -> list[InferInput]:
    turns = np.array([[0.0, len(window) / SAMPLE_RATE_HZ]], np.float32)
    return to_tensors("forensic", {"WAVEFORM": window, "TURNS": turns, "LANGUAGE": "en"})


class Answers:
    """When each answer came, in seconds from the start."""

    def __init__(self, count: int) -> None:
        """Start the clock."""
        self._started_s = time.monotonic()
        self._times: list[float] = [0.0] * count
        self._left = count
        self._all_in = threading.Event()
        self._error: InferenceServerException | None = None

    def take(
        self, number: int, result: InferResult | None, error: InferenceServerException | None
    ) -> None:
        """Note one answer; calls come one at a time."""
        if error is not None or result is None:
            self._error = error or InferenceServerException("no answer")
            self._all_in.set()
            return
        self._times[number] = time.monotonic() - self._started_s
        self._left -= 1
        if self._left == 0:
            self._all_in.set()

    def wait(self) -> list[float]:
        """Seconds to each answer, once all are there; raises the error of any."""
        if not self._all_in.wait(TIMEOUT_S):
            raise TimeoutError(f"{self._left} answers are missing after {TIMEOUT_S} s")
        if self._error is not None:
            raise self._error
        return self._times


def send_unary(
    client: InferenceServerClient, requests: Sequence[Sequence[InferInput]]
) -> list[float]:
    """All windows as unary calls at once; seconds to each answer."""
    answers = Answers(len(requests))
    one_at_a_time = threading.Lock()

    def take(number: int, result: InferResult, error: InferenceServerException | None) -> None:
        with one_at_a_time:
            answers.take(number, result, error)

    for number, inputs in enumerate(requests):
        client.async_infer(
            "forensic",
            inputs,
            lambda result, error, number=number: take(number, result, error),
            client_timeout=TIMEOUT_S,
        )
    return answers.wait()


def send_stream(
    client: InferenceServerClient, requests: Sequence[Sequence[InferInput]]
) -> list[float]:
    """All windows on one stream at once; seconds to each answer."""
    answers = Answers(len(requests))

    def take(result: InferResult | None, error: InferenceServerException | None) -> None:
        number = int(result.get_response().id) if result is not None else 0
        answers.take(number, result, error)

    client.start_stream(take)
    try:
        for number, inputs in enumerate(requests):
            client.async_stream_infer("forensic", inputs, request_id=str(number))
        return answers.wait()
    finally:
        client.stop_stream()


def write(rounds: dict[str, list[list[float]]]) -> None:
    """The table, on standard output and under perf/results."""
    median = {
        way: [statistics.median(times) for times in zip(*found, strict=True)]
        for way, found in rounds.items()
    }
    held = [late - early for late, early in zip(median["stream"], median["unary"], strict=True)]
    figures = {
        "windows_s": [round(end - start, 1) for start, end in SPANS],
        "seconds_to_answer": {way: rounded(times) for way, times in median.items()},
        "first_answer_s": {way: round(min(times), 2) for way, times in median.items()},
        "mean_answer_s": {way: round(statistics.mean(times), 2) for way, times in median.items()},
        "last_answer_s": {way: round(max(times), 2) for way, times in median.items()},
        "held_by_the_stream_s": rounded(held),
        "rounds": {way: [rounded(times) for times in found] for way, found in rounds.items()},
    }
    rows = [
        (number, f"{end - start:.1f} s", f"{unary:.2f} s", f"{stream:.2f} s", f"{late:+.2f} s")
        for number, ((start, end), unary, stream, late) in enumerate(
            zip(SPANS, median["unary"], median["stream"], held, strict=True)
        )
    ]
    summary = [
        (name, "", f"{found['unary']:.2f} s", f"{found['stream']:.2f} s", "")
        for name, found in (
            ("first answer", figures["first_answer_s"]),
            ("mean", figures["mean_answer_s"]),
            ("last answer", figures["last_answer_s"]),
        )
    ]
    text = table(("window", "sound", "unary", "one stream", "held back"), [*rows, *summary])
    text += (
        "\nSeconds from sending all windows at once to each answer; medians of "
        f"{ROUNDS} alternating rounds. The stream returns answers in the order of the requests.\n"
    )
    print(text)
    print(write_result("transport", COMMAND, figures, text, "Unary calls and one ordered stream"))


def rounded(times: Sequence[float]) -> list[float]:
    """Seconds with two digits."""
    return [round(value, 2) for value in times]


if __name__ == "__main__":
    main()
