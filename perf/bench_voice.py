"""The voice models beside the libraries they come from: the same weights and utterances, in turn.

    python -m perf.bench_voice [--rounds 3] [--utterances 40]

Utterances of 1.5 to 9 s are cut from the corpus of `perf.whisper_corpus`. Ours answers requests of
eight utterances, as the server's batches are, cut and normalised as in the server; the library gets
one utterance after the other, as its own examples do it. Speaker embedding (with its log-mel
features, speechbrain's own beside them) and voice activity have their real weights, the others
random ones of the published sizes (`perf.random_voices`): speed does not depend on them. These are
timed in bf16, which their export allows or not, and in fp32. One thread for everybody; who begins
alternates from round to round.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from perf.record import ROOT, table, write_result
from perf.voice_contests import Contest, Run, contests
from perf.whisper_corpus import load_corpus
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform

EXPLANATION = __doc__.split("\n\n")[2].strip()
COMMAND = "make bench-voice"
LANGUAGES = ("ko", "en", "es")
LENGTHS_S = (1.5, 9.0)


def cut_utterances(count: int) -> list[Int16Waveform]:
    """Pieces of real speech with lengths that are spread over LENGTHS_S, the same every time."""
    speech = np.concatenate([recording.waveform for recording in load_corpus(LANGUAGES)])
    rng = np.random.default_rng(1)
    lengths = (rng.uniform(*LENGTHS_S, count) * SAMPLE_RATE_HZ).astype(int)
    starts = rng.integers(0, len(speech) - lengths.max(), count)
    return [speech[s : s + n] for s, n in zip(starts, lengths, strict=True)]


def cpu_s(run: Run, utterances: Sequence[Int16Waveform]) -> float:
    """CPU seconds of one pass."""
    began = time.process_time()
    run(utterances)
    return time.process_time() - began


def measure(contest: Contest, utterances: Sequence[Int16Waveform], rounds: int) -> dict[str, Any]:
    """All sides in turn, after a warm-up."""
    sides = contest.ours | {"library": contest.theirs}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run(utterances[:2])
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(cpu_s(sides[name], utterances))
            print(f"{contest.model}, {name}: {found[name][-1]:.1f} CPU-s", flush=True)
    audio_s = sum(map(len, utterances)) / SAMPLE_RATE_HZ
    theirs = median(found["library"])
    return {
        name: {
            "utterances_per_cpu_s": round(len(utterances) / median(values), 2),
            "cpu_s_per_audio_s": round(median(values) / audio_s, 4),
            "times_as_fast": round(theirs / median(values), 2),
            "cpu_s": [round(value, 2) for value in values],
        }
        for name, values in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--utterances", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    utterances = cut_utterances(arguments.utterances)
    figures: dict[str, Any] = {}
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        for contest in contests(Path(name)):
            figures[contest.model] = measure(contest, utterances, arguments.rounds)
            for side, found in figures[contest.model].items():
                title = contest.peer if side == "library" else f"voiceman, {side}"
                speed, cost = found["utterances_per_cpu_s"], found["cpu_s_per_audio_s"]
                rows.append([contest.model, title, speed, cost, found["times_as_fast"]])
    columns = ("model", "engine", "utterances per CPU-s", "CPU-s per audio s", "times as fast")
    audio_s = sum(map(len, utterances)) / SAMPLE_RATE_HZ
    heard = f"{len(utterances)} utterances, {audio_s:.0f} s."
    text = f"{EXPLANATION}\n\n{heard}\n\n{table(columns, rows)}"
    path = write_result(
        "voice-models", COMMAND, figures, text, "The voice models and their sources"
    )
    print(f"written to {path.relative_to(ROOT)}")
    print(text)


if __name__ == "__main__":
    main()
