"""Word times by CTC forced alignment, put in the place of those from cross-attention.

A segment that cannot be aligned so keeps the times from cross-attention and is flagged.
"""

from collections.abc import Sequence

import numpy as np

from voiceman.analysis.ctc_alignment import time_words
from voiceman.analysis.ctc_labels import Spelling, spell
from voiceman.analysis.ctc_network import CtcFormat, hear_labels
from voiceman.analysis.cutting import cut_utterance
from voiceman.analysis.network_inputs import Network
from voiceman.analysis.word_times import keep_inside
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, Waveform
from voiceman.evidence import AlignedTranscript, Flag, Segment, Transcript, WhisperSegment, Word

ALIGNER = "ctc"
FALLBACK_FLAG = "aligned_by_attention"

# The words of a segment, or the reason why they could not be aligned.
SegmentWords = list[Word] | str


def ctc_words(
    waveforms: Sequence[Int16Waveform],
    transcripts: Sequence[Transcript],
    form: CtcFormat,
    network: Network,
) -> list[list[SegmentWords]]:
    """Align the segments of several windows in one language.

    Args:
        waveforms: INT16 [n] of every window.
        transcripts: of every window.
        form: of the language's network.
        network: the language's network, to log-probabilities [b, frames, labels].

    Returns:
        For every window, for every segment its words, inside of the segment's own times.
    """
    found: list[list[SegmentWords]] = []
    places: list[tuple[int, int]] = []
    sounds: list[Waveform] = []
    spellings: list[Spelling] = []
    for window, (waveform, transcript) in enumerate(zip(waveforms, transcripts, strict=True)):
        found.append([[] for _ in transcript["segments"]])
        for index, segment in enumerate(transcript["segments"]):
            if not segment["words"]:
                continue
            sound = _cut(waveform, segment, form)
            if isinstance(sound, str):
                found[window][index] = sound
                continue
            places.append((window, index))
            sounds.append(sound)
            spellings.append(spell([w["word"] for w in segment["words"]], form.vocabulary))
    placements = hear_labels(sounds, spellings, form, network)
    for (window, index), sound, spelling, placement in zip(
        places, sounds, spellings, placements, strict=True
    ):
        if isinstance(placement, str):
            found[window][index] = placement
            continue
        segment = transcripts[window]["segments"][index]
        frame_s = len(sound) / SAMPLE_RATE_HZ / form.frames(len(sound))
        found[window][index] = time_words(
            segment["words"], spelling, placement, max(0.0, segment["start"]), frame_s
        )
    return found


def replace_words(
    transcript: Transcript, aligned: AlignedTranscript, found: Sequence[SegmentWords]
) -> AlignedTranscript:
    """Take the words that were found by CTC, and cross-attention's where there are none.

    Segments aligned by CTC have the times that Whisper gave them. Words of other segments, which
    cross-attention may have put beyond these, give way.

    Args:
        transcript: as Whisper wrote it.
        aligned: the same with times from cross-attention.
        found: for every segment its words, or why there are none.
    """
    segments: list[Segment] = []
    flags = list(aligned["flags"])
    for heard, usual, words in zip(transcript["segments"], aligned["segments"], found, strict=True):
        if isinstance(words, str):
            flags.append(
                Flag(kind=FALLBACK_FLAG, start=heard["start"], end=heard["end"], detail=words)
            )
        if not words or isinstance(words, str):
            segments.append(usual)
            continue
        start, end = heard["start"], heard["end"]
        segments.append({**usual, "start": start, "end": end, "words": words, "aligner": ALIGNER})
    _settle(segments, transcript["duration"])
    return {**aligned, "segments": segments, "flags": flags, "aligner": ALIGNER}


def _cut(waveform: Int16Waveform, segment: WhisperSegment, form: CtcFormat) -> Waveform | str:
    span = np.array([segment["start"], segment["end"]], np.float32)
    return cut_utterance(waveform, span, form.shortest / SAMPLE_RATE_HZ)


def _settle(segments: Sequence[Segment], duration: float) -> None:
    """Put words in order: none begins before the last one ends, or behind the next by CTC."""
    limits: list[float] = []
    limit = duration
    for segment in reversed(segments):
        limits.append(limit)
        if segment["aligner"] == ALIGNER:
            limit = min(limit, segment["words"][0]["start"])
    earliest = 0.0
    for segment, latest in zip(segments, reversed(limits), strict=True):
        earliest = keep_inside(segment, earliest, max(earliest, latest))
