"""The two-speaker telephone call: who spoke when, and where its words lie.

    python -m perf.telephone_call [--server HOST:PORT]

Submits the catalogue's call (30 s, 8 kHz, both parties on one channel) through the Python
client, to a server of its own when no address is given, and compares the result with the
reference that comes with the recording: speaker turns (RTTM) and timed text (STM).

Speakers, in frames of 10 ms without a collar: missed, false and confused speaker time as shares
of the reference's speaker time; their sum is the diarization error rate (NIST RT-09) under the
best pairing of names. Those found are the result's speaker turns, overlaps included.

Words are paired with the reference's by the alignment of the word error rate; only equal words
count. `words_in_segment`: share whose midpoint lies in the reference segment of the word.
`first_word_start_error_s`: mean absolute difference between the start of a segment and the start
of its first word, where that was found. `words_with_speaker`: share with the right speaker.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from scipy.optimize import linear_sum_assignment

import voiceman_client
from perf.record import ROOT, table, write_result
from voiceman.server.process import start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_export.assets import fetch

COMMAND = "python -m perf.telephone_call"
FRAME_S = 0.01


@dataclass(frozen=True)
class Turn:
    """Somebody speaks from start to end, in seconds."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True)
class Passage(Turn):
    """A turn with its words, in lower case and without punctuation."""

    words: tuple[str, ...]


def read_rttm(path: Path) -> list[Turn]:
    """The turns of an RTTM file."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return [Turn(float(r[3]), float(r[3]) + float(r[4]), r[7]) for r in rows if r]


def read_stm(path: Path) -> list[Passage]:
    """The passages of an STM file."""
    rows = [line.split(maxsplit=5) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Passage(float(r[3]), float(r[4]), r[2], plain(r[5])) for r in rows if len(r) == 6]


def plain(text: str) -> tuple[str, ...]:
    """Words in lower case without punctuation, apostrophes kept."""
    return tuple(re.findall(r"[\w']+", text.lower()))


def frames(turns: Sequence[Turn], duration_s: float) -> dict[str, np.ndarray]:
    """By speaker, whether they speak at the centre of every frame."""
    centres = (np.arange(round(duration_s / FRAME_S)) + 0.5) * FRAME_S
    activity = {turn.speaker: np.zeros(len(centres), bool) for turn in turns}
    for turn in turns:
        activity[turn.speaker] |= (centres >= turn.start) & (centres < turn.end)
    return activity


def compare_speakers(
    reference: Sequence[Turn], found: Sequence[Turn], duration_s: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Shares of missed, false and confused speaker time, and the pairing found to reference."""
    truth, heard = frames(reference, duration_s), frames(found, duration_s)
    wanted, got = np.stack(list(truth.values())), np.stack(list(heard.values()))
    together = wanted.astype(int) @ got.T.astype(int)
    rows, columns = linear_sum_assignment(together, maximize=True)
    names = {list(heard)[c]: list(truth)[r] for r, c in zip(rows, columns, strict=True)}
    want, have = wanted.sum(axis=0), got.sum(axis=0)
    both = np.minimum(want, have).sum()
    parts = {
        "missed": np.maximum(want - have, 0).sum(),
        "false": np.maximum(have - want, 0).sum(),
        "confused": both - together[rows, columns].sum(),
    }
    shares = {name: round(float(part / want.sum()), 4) for name, part in parts.items()}
    return {**shares, "diarization_error": round(sum(shares.values()), 4)}, names


def pair_words(
    reference: Sequence[Passage], found: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[Passage, int, Mapping[str, Any]]], float]:
    """Equal words as the word error rate aligns them: passage, index in it, the word found.

    Returns:
        The pairs, and the word error rate.
    """
    wanted = [(passage, i, word) for passage in reference for i, word in enumerate(passage.words)]
    heard = [(word, text) for word in found for text in plain(word["word"])]
    aligned = jiwer.process_words(
        " ".join(text for *_, text in wanted), " ".join(text for _, text in heard)
    )
    pairs = [
        (*wanted[chunk.ref_start_idx + i][:2], heard[chunk.hyp_start_idx + i][0])
        for chunk in aligned.alignments[0]
        if chunk.type == "equal"
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    return pairs, aligned.wer


def compare_words(
    reference: Sequence[Passage], found: Sequence[dict[str, Any]], names: dict[str, str]
) -> dict[str, float | int]:
    """Where the words lie; see the module."""
    pairs, error_rate = pair_words(reference, found)
    inside = [p.start <= (w["start"] + w["end"]) / 2 <= p.end for p, _, w in pairs]
    errors = [abs(w["start"] - p.start) for p, i, w in pairs if i == 0]
    attributed = [names.get(w.get("speaker", "")) == p.speaker for p, _, w in pairs]
    return {
        "reference_words": sum(len(passage.words) for passage in reference),
        "found_words": sum(len(plain(word["word"])) for word in found),
        "word_error_rate": round(error_rate, 4),
        "words_in_segment": round(float(np.mean(inside)), 4),
        "first_words_found": len(errors),
        "first_word_start_error_s": round(float(np.mean(errors)), 4),
        "words_with_speaker": round(float(np.mean(attributed)), 4),
    }


@contextmanager
def address(given: str | None) -> Iterator[str]:
    """The given server, or one of our own for as long as it is needed."""
    if given:
        yield given
        return
    settings = ServerSettings(ROOT / "model_repository", ports=Ports.automatic())
    with start(settings) as server:
        yield server.grpc_url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", help="host:port of gRPC; default: start one")
    arguments = parser.parse_args()
    folder = fetch("telephone-call")
    turns, passages = read_rttm(folder / "sample.rttm"), read_stm(folder / "sample.stm")
    with address(arguments.server) as server:
        result = voiceman_client.process(folder / "sample.wav", server=server, language="en")
    spoken = [Turn(t["start"], t["end"], t["speaker"]) for t in result["speaker_turns"]]
    duration_s = result["provenance"]["duration"]
    speakers, _ = compare_speakers(turns, spoken, duration_s)
    _, names = compare_speakers(passages, spoken, duration_s)
    figures = {
        "speakers_in_reference": len({turn.speaker for turn in turns}),
        "speakers_found": len(result["speakers"]),
        "utterances": len(result["utterances"]),
        **speakers,
        **compare_words(passages, result["word_segments"], names),
    }
    text = table(("figure", "value"), list(figures.items()))
    path = write_result("telephone-call", COMMAND, figures, text, "Two speakers on the telephone")
    print(text + f"\nwritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
