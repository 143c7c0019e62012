"""Word times from CTC emissions, here and in WhisperX, from the same emissions.

    .venv-peers/bin/python -m perf.bench_alignment

The emissions are made up (`perf.made_up_emissions`): ten minutes of words, half English letters,
half Korean syllables. WhisperX runs `whisperx.alignment.align` as it is, with a model that returns
the emission of the segment that it is given. Two things are put in its place: torchaudio, which it
imports for its own models only, and NLTK's sentence splitter, whose data must be downloaded (every
segment is one sentence here). Voiceman runs `ctc_words` with a network that does the same. Both
run in one process with one thread, in alternating rounds; speeds are medians over the rounds.

Then the telephone call, whose passages are timed by hand: how far the first word of a passage is
from its start and the last one from its end, for words that Whisper base heard, by cross-attention
and, where `word_alignment` has English weights, by CTC.
"""

import statistics
import sys
import time
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers

from perf.made_up_emissions import Talk, make_talk
from perf.passage_edges import edge_errors
from perf.record import ROOT, table, write_result
from voiceman.analysis.ctc_segments import ctc_words
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform

COMMAND = "make bench-alignment"
EXPLANATION = __doc__.split("\n\n")[2].strip()
SECONDS = 300.0  # of each language
ROUNDS = 3
BAR_S = 0.02

Times = list[tuple[float, float]]


def whisperx_alignment() -> types.ModuleType:
    """WhisperX's module, without what it does not need here."""
    # Transformers looks for torchaudio when it is imported: it must not find the substitute.
    _ = transformers.Wav2Vec2ForCTC, transformers.Wav2Vec2Processor
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    from whisperx import alignment  # noqa: PLC0415

    class WholeText:
        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [(0, len(text))]

    alignment.nltk_load = lambda _: WholeText()
    return alignment


def number_segments(talk: Talk) -> list[Int16Waveform]:
    """A waveform for each window whose samples say which segment is heard."""
    waveforms: list[Int16Waveform] = []
    number = 0
    for transcript in talk.transcripts:
        waveform = np.zeros(round(transcript["duration"] * SAMPLE_RATE_HZ), np.int16)
        for segment in transcript["segments"]:
            number += 1
            first, last = (round(segment[key] * SAMPLE_RATE_HZ) for key in ("start", "end"))
            waveform[first:last] = number
        waveforms.append(waveform)
    return waveforms


def voiceman_times(talk: Talk, waveforms: Sequence[Int16Waveform]) -> Times:
    def network(samples: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        numbers = np.rint(samples[:, 0] * 32768).astype(int) - 1
        frames = talk.form.frames(samples.shape[1])
        padded = np.zeros((len(samples), frames, talk.emissions[0].shape[1]), np.float32)
        for row, number in zip(padded, numbers, strict=True):
            row[: len(talk.emissions[number])] = talk.emissions[number]
        return padded

    found = ctc_words(waveforms, talk.transcripts, talk.form, network)
    return [(w["start"], w["end"]) for window in found for words in window for w in words]


def whisperx_times(
    alignment: types.ModuleType, talk: Talk, waveforms: Sequence[Int16Waveform]
) -> Times:
    def model(waveform: torch.Tensor) -> types.SimpleNamespace:
        number = round(float(waveform[0, 0]) * 32768) - 1
        return types.SimpleNamespace(logits=torch.from_numpy(talk.emissions[number])[None])

    vocabulary = talk.form.vocabulary
    dictionary = {"<pad>": vocabulary.blank, "|": vocabulary.delimiter, **vocabulary.labels}
    metadata = {"language": talk.language, "dictionary": dictionary, "type": "huggingface"}
    times: Times = []
    for transcript, waveform in zip(talk.transcripts, waveforms, strict=True):
        audio = waveform.astype(np.float32) / 32768
        aligned = alignment.align(transcript["segments"], model, metadata, audio, "cpu")
        times += [(word["start"], word["end"]) for word in aligned["word_segments"]]
    return times


def timed(align: Callable[[], Times]) -> tuple[float, Times]:
    begin = time.perf_counter()
    found = align()
    return time.perf_counter() - begin, found


def true_starts(talk: Talk) -> np.ndarray:
    """Where the words begin, seconds, [words]."""
    begins = zip(talk.segments, talk.true_starts, strict=True)
    return np.array([s["start"] + start for s, starts in begins for start in starts])


def compare(talk: Talk, alignment: types.ModuleType) -> dict[str, Any]:
    """Speed, agreement and error over one talk."""
    waveforms = number_segments(talk)
    seconds: dict[str, list[float]] = {"voiceman": [], "whisperx": []}
    found: dict[str, Times] = {}
    aligners: dict[str, Callable[[], Times]] = {
        "voiceman": lambda: voiceman_times(talk, waveforms),
        "whisperx": lambda: whisperx_times(alignment, talk, waveforms),
    }
    for _ in range(ROUNDS):
        for name, align in aligners.items():
            passed, found[name] = timed(align)
            seconds[name].append(passed)
    apart = np.abs(np.subtract(found["voiceman"], found["whisperx"]))
    truth = true_starts(talk)
    spent = {name: statistics.median(rounds) for name, rounds in seconds.items()}
    return {
        "audio_s": round(talk.seconds, 1),
        "segments": len(talk.segments),
        "words": len(truth),
        "boundaries_within_20_ms": round(float((apart <= BAR_S + 1e-9).mean()), 5),
        "largest_difference_ms": round(1000 * float(apart.max()), 1),
        "seconds": {name: round(value, 3) for name, value in spent.items()},
        "ratio": round(spent["whisperx"] / spent["voiceman"], 1),
        "median_start_error_ms": {
            name: round(1000 * float(np.median(np.abs(np.array(times)[:, 0] - truth))), 1)
            for name, times in found.items()
        },
    }


def main() -> None:
    torch.set_num_threads(1)
    alignment = whisperx_alignment()
    talks = {
        language: make_talk(language, SECONDS, seed) for seed, language in enumerate(("en", "ko"))
    }
    figures: dict[str, Any] = {name: compare(talk, alignment) for name, talk in talks.items()}
    spent = [figures[name]["seconds"] for name in talks]
    ratio = sum(s["whisperx"] for s in spent) / sum(s["voiceman"] for s in spent)
    call = edge_errors(threads=1)
    columns = ("language", "words", "within 20 ms", "whisperx s", "voiceman s", "times as fast")
    columns += ("median start error here, ms", "there, ms")
    rows = [
        [name, f["words"], f"{f['boundaries_within_20_ms']:.2%}", *_speeds(f), *_errors(f)]
        for name, f in figures.items()
    ]
    titles = ("aligner", *call["whisper-cross-attention"])
    edges = [[name, *_padded(f, len(titles) - 1)] for name, f in call.items()]
    text = (
        f"{EXPLANATION}\n\n{table(columns, rows)}\nBoth together: {ratio:.1f} times as fast.\n\n"
        f"The telephone call, edges of passages:\n\n{table(titles, edges)}"
    )
    path = write_result(
        "alignment",
        COMMAND,
        {**figures, "ratio": round(ratio, 1), "telephone_call": call},
        text,
        "Word times by CTC beside WhisperX",
    )
    print(text + f"\nwritten to {path.relative_to(ROOT)}")


def _padded(figures: dict[str, Any] | str, columns: int) -> list[Any]:
    """Cells of an aligner; the reason why there are none stands in the first."""
    return [figures, *[""] * (columns - 1)] if isinstance(figures, str) else [*figures.values()]


def _speeds(figures: dict[str, Any]) -> list[float]:
    return [figures["seconds"]["whisperx"], figures["seconds"]["voiceman"], figures["ratio"]]


def _errors(figures: dict[str, Any]) -> list[float]:
    errors = figures["median_start_error_ms"]
    return [errors["voiceman"], errors["whisperx"]]


if __name__ == "__main__":
    main()
