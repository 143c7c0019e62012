"""The voice models beside the libraries they come from: the same weights and utterances, in turn.

    python -m perf.bench_voice [--rounds 3] [--utterances 40]

Utterances of 1.5 to 9 s are cut from the corpus of `perf.whisper_corpus`, so that their lengths
are many. Ours answers requests of eight utterances, as the server's batches are, cut and batched
as in the server; the library gets one utterance after the other, as its own examples do it. The
emotion models have random weights of the published sizes: speed does not depend on them. One
thread for everybody; who begins alternates from round to round.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import Wav2Vec2Config

from perf.record import ROOT, table, write_result
from perf.whisper_corpus import load_corpus
from voiceman.analysis.emotion import analyse_utterances, normalise
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, to_float32
from voiceman.contracts import EMOTION_DIMENSIONS
from voiceman.serving.emotion import CATEGORICAL, CPU, DIMENSIONAL, EmotionModel
from voiceman.serving.emotion_networks import WEIGHTS
from voiceman_export.emotion_categorical import EmotionCategorical
from voiceman_export.emotion_dimensional import EmotionDimensional
from voiceman_export.wav2vec2_layout import write_wav2vec2

EXPLANATION = __doc__.split("\n\n")[2].strip()
COMMAND = "make bench-voice"
LANGUAGES = ("ko", "en", "es")
LENGTHS_S = (1.5, 9.0)
REQUEST = 8
PUBLISHED = {  # what makes these networks as large as they are
    "emotion_dimensional": {
        "hidden_size": 1024,
        "num_hidden_layers": 12,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
        "id2label": dict(enumerate(EMOTION_DIMENSIONS)),
    },
    "emotion_categorical": {},  # wav2vec2-base
}
Run = Callable[[Sequence[Int16Waveform]], object]


@dataclass(frozen=True)
class Contest:
    """One model, ours and theirs."""

    model: str
    source: str
    ours: Run
    theirs: Run


def cut_utterances(count: int) -> list[Int16Waveform]:
    """Pieces of real speech with lengths that are spread over LENGTHS_S, the same every time."""
    speech = np.concatenate([recording.waveform for recording in load_corpus(LANGUAGES)])
    rng = np.random.default_rng(1)
    lengths = (rng.uniform(*LENGTHS_S, count) * SAMPLE_RATE_HZ).astype(int)
    starts = rng.integers(0, len(speech) - lengths.max(), count)
    return [speech[s : s + n] for s, n in zip(starts, lengths, strict=True)]


def ours_of(model: EmotionModel, folder: Path) -> Run:
    """The server's own way, without the server."""
    network = model.load(folder, CPU)

    def run(utterances: Sequence[Int16Waveform]) -> None:
        for at in range(0, len(utterances), REQUEST):
            some = utterances[at : at + REQUEST]
            spans = [np.array([[0, len(u) / SAMPLE_RATE_HZ]], np.float32) for u in some]
            analyse_utterances(
                some, spans, network, outputs=len(model.columns), masked=model.masked
            )

    return run


@contextmanager
def contests() -> Iterator[list[Contest]]:
    """All models, loaded; their folders last as long."""
    torch.manual_seed(0)
    dimensional = EmotionDimensional(Wav2Vec2Config(**PUBLISHED["emotion_dimensional"])).eval()
    config = Wav2Vec2Config(**PUBLISHED["emotion_categorical"])
    categorical = EmotionCategorical(config, output_norm=True, order=[0, 1, 2, 3]).eval()

    @torch.inference_mode()
    def theirs_dimensional(utterances: Sequence[Int16Waveform]) -> None:
        for utterance in utterances:
            waveform = torch.from_numpy(normalise(to_float32(utterance)))[None]
            dimensional(waveform, torch.ones_like(waveform, dtype=torch.int64))

    @torch.inference_mode()
    def theirs_categorical(utterances: Sequence[Int16Waveform]) -> None:
        for utterance in utterances:
            categorical(torch.from_numpy(to_float32(utterance))[None], torch.ones(1))

    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name) / "dimensional", Path(name) / "categorical"
        first.mkdir()
        second.mkdir()
        head = {f"classifier.{n}": v for n, v in dimensional.classifier.state_dict().items()}
        write_wav2vec2(dimensional.wav2vec2, head, {}, first / WEIGHTS)
        write_wav2vec2(
            categorical.wav2vec2,
            {"output.weight": categorical.output.weight},
            {"output_norm": True},
            second / WEIGHTS,
        )
        yield [
            Contest(
                "emotion_dimensional",
                "transformers",
                ours_of(DIMENSIONAL, first),
                theirs_dimensional,
            ),
            Contest(
                "emotion_categorical",
                "transformers, with speechbrain's pooling",
                ours_of(CATEGORICAL, second),
                theirs_categorical,
            ),
        ]


def cpu_s(run: Run, utterances: Sequence[Int16Waveform]) -> float:
    """CPU seconds of one pass."""
    began = time.process_time()
    run(utterances)
    return time.process_time() - began


def measure(contest: Contest, utterances: Sequence[Int16Waveform], rounds: int) -> dict[str, Any]:
    """Both sides in turn, after a warm-up."""
    sides: Mapping[str, Run] = {"ours": contest.ours, "theirs": contest.theirs}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run(utterances[:2])
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(cpu_s(sides[name], utterances))
            print(f"{contest.model}, {name}: {found[name][-1]:.1f} CPU-s", flush=True)
    audio_s = sum(map(len, utterances)) / SAMPLE_RATE_HZ
    ours, theirs = (median(found[name]) for name in sides)
    return {
        "beside": contest.source,
        "utterances_per_cpu_s": round(len(utterances) / ours, 2),
        "cpu_s_per_audio_s": round(ours / audio_s, 4),
        "library_utterances_per_cpu_s": round(len(utterances) / theirs, 2),
        "library_cpu_s_per_audio_s": round(theirs / audio_s, 4),
        "times_as_fast": round(theirs / ours, 2),
        "cpu_s": {name: [round(value, 2) for value in values] for name, values in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--utterances", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    utterances = cut_utterances(arguments.utterances)
    with contests() as all_of_them:
        figures = {
            contest.model: measure(contest, utterances, arguments.rounds) for contest in all_of_them
        }
    columns = ("model", "utterances per CPU-s", "CPU-s per audio s")
    columns += ("beside", "its utterances per CPU-s", "its CPU-s per audio s", "times as fast")
    rows = [
        [
            model,
            f["utterances_per_cpu_s"],
            f["cpu_s_per_audio_s"],
            f["beside"],
            f["library_utterances_per_cpu_s"],
            f["library_cpu_s_per_audio_s"],
            f["times_as_fast"],
        ]
        for model, f in figures.items()
    ]
    audio_s = sum(map(len, utterances)) / SAMPLE_RATE_HZ
    text = (
        f"{EXPLANATION}\n\n{len(utterances)} utterances, {audio_s:.0f} s.\n\n{table(columns, rows)}"
    )
    path = write_result(
        "voice-models", COMMAND, figures, text, "The voice models and their sources"
    )
    print(f"written to {path.relative_to(ROOT)}")
    print(text)


if __name__ == "__main__":
    main()
