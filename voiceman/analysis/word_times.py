"""Word times from Whisper's cross-attention, by dynamic time warping.

Source: openai/whisper `timing.py` (`find_alignment`, `add_word_timestamps`); the path is the
same, computed row by row in numpy instead of cell by cell.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from voiceman.errors import InvalidRequestError
from voiceman.evidence import AlignedTranscript, Flag, Segment, Transcript, WhisperWord, Word

ALIGNER = "whisper-cross-attention"
FRAME_S = 0.02
SENTENCE_ENDS = tuple(".。!！?？")
# openai/whisper: no word's expected length is above this, and twice the median is too long.
MAX_MEDIAN_S = 0.7
TOO_LONG = 2.0
# Nobody says a word per frame: text that fits only so was not heard but made up, or repeated.
MIN_WORD_S = 0.02
# How far a word may reach over the segment's own times before those are believed.
SEGMENT_TOLERANCE_S = 0.5

Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def first_frames(similarity: Matrix) -> npt.NDArray[np.int64]:
    """The frame at which the best monotone path through a matrix enters each row.

    The path goes from the first cell to the last and steps down, right or diagonally; the
    sum of its cells is the greatest possible. Ties prefer right, as in openai/whisper.

    Args:
        similarity: [rows, frames], at least one of each.

    Returns:
        [rows], not decreasing, 0 in the first row.
    """
    cost = -np.asarray(similarity, np.float64)
    rows, frames = cost.shape
    columns = np.arange(frames)
    above = np.full(frames, np.inf)
    from_left = np.empty((rows, frames), bool)
    diagonal = np.empty((rows, frames), bool)
    for row in range(rows):
        above_left = np.concatenate(([0.0 if row == 0 else np.inf], above[:-1]))
        # total[j] = cost[j] + min(entry[j], total[j - 1]), solved for all j at once: less the
        # running sum of costs it is a running minimum.
        entry = np.minimum(above_left, above)
        summed = np.cumsum(cost[row])
        total = np.minimum.accumulate(entry - summed + cost[row]) + summed
        left = np.concatenate(([np.inf], total[:-1]))
        diagonal[row] = (above_left < above) & (above_left < left)
        from_left[row] = ~diagonal[row] & ~((above < above_left) & (above < left))
        above = total
    entered = np.maximum.accumulate(np.where(from_left, -1, columns), axis=1)
    starts = np.empty(rows, np.int64)
    frame = frames - 1
    for row in range(rows - 1, -1, -1):
        starts[row] = max(int(entered[row, frame]), 0)
        frame = max(int(starts[row]) - int(diagonal[row, starts[row]]), 0)
    return starts


def align_words(transcript: Transcript, attention: Matrix) -> AlignedTranscript:
    """Give every word of a transcript its times.

    Words follow each other, none lies outside its segment or the window; a segment's own
    times move where its words say so. A segment whose words find no sound is flagged
    "words_without_sound": its text is kept, but was probably not said.

    Args:
        transcript: words name their rows; the row behind a word's last is where it ends.
        attention: CROSS_ATTENTION [rows, 20 ms frames].

    Raises:
        InvalidRequestError: a word names a row that the matrix does not have.
    """
    spoken = [word for segment in transcript["segments"] for word in segment["words"]]
    times = _row_times(spoken, attention)
    words = [
        Word(
            word=word["word"],
            start=float(times[word["row_start"]]),
            end=float(times[word["row_end"]]),
            score=word["score"],
        )
        for word in spoken
    ]
    usual_s = _usual_duration(words)
    _shorten_after_sentences(words, usual_s)
    segments: list[Segment] = []
    flags = [*transcript["flags"], *_squeezed(transcript, times)]
    last_end = 0.0
    for segment in transcript["segments"]:
        own, words = words[: len(segment["words"])], words[len(segment["words"]) :]
        aligned = Segment(
            start=segment["start"],
            end=segment["end"],
            text=segment["text"],
            avg_logprob=segment["avg_logprob"],
            words=own,
            aligner=ALIGNER,
        )
        if own:
            _settle_first_word(aligned, last_end, usual_s)
            _settle_edges(aligned, usual_s)
        last_end = keep_inside(aligned, last_end, transcript["duration"])
        segments.append(aligned)
    found: AlignedTranscript = {
        "language": transcript["language"],
        "language_probability": transcript["language_probability"],
        "duration": transcript["duration"],
        "no_speech_probability": transcript["no_speech_probability"],
        "compression_ratio": transcript["compression_ratio"],
        "segments": segments,
        "flags": flags,
        "aligner": ALIGNER,
    }
    if "computed_in" in transcript:
        found["computed_in"] = transcript["computed_in"]
    return found


def _row_times(words: Sequence[WhisperWord], attention: Matrix) -> npt.NDArray[np.float64]:
    """Seconds at which each row of the attention begins, [rows]."""
    needed = max((word["row_end"] for word in words), default=-1) + 1
    if attention.shape[0] < needed or (needed and attention.shape[1] == 0):
        raise InvalidRequestError(
            f"CROSS_ATTENTION has {attention.shape[0]} rows of {attention.shape[1]} frames, "
            f"the words of TRANSCRIPT need {needed} rows"
        )
    if not needed:
        return np.zeros(0)
    return first_frames(attention) * FRAME_S


def _squeezed(transcript: Transcript, times: npt.NDArray[np.float64]) -> list[Flag]:
    """A flag for every segment whose words have no sound left to lie on."""
    flags: list[Flag] = []
    for segment in transcript["segments"]:
        words = segment["words"]
        if len(words) < 2:
            continue
        sound_s = float(times[words[-1]["row_end"]] - times[words[0]["row_start"]])
        if sound_s < MIN_WORD_S * len(words):
            detail = f"{len(words)} words in {sound_s:.2f} s of sound"
            flags.append(
                Flag(
                    kind="words_without_sound",
                    start=segment["start"],
                    end=segment["end"],
                    detail=detail,
                )
            )
    return flags


def _usual_duration(words: Sequence[Word]) -> float:
    """Median length of words that have one, seconds, at most MAX_MEDIAN_S."""
    durations = [word["end"] - word["start"] for word in words if word["end"] > word["start"]]
    return min(MAX_MEDIAN_S, float(np.median(durations))) if durations else 0.0


def _shorten_after_sentences(words: Sequence[Word], usual_s: float) -> None:
    """The first word of a sentence often swallows the pause before it: cut that off."""
    longest = usual_s * TOO_LONG
    for before, word in pairwise(words):
        if word["end"] - word["start"] > longest and before["word"].endswith(SENTENCE_ENDS):
            word["start"] = word["end"] - longest


def _settle_first_word(segment: Segment, last_end: float, usual_s: float) -> None:
    """After a pause, the first two words of a segment are no longer than usual."""
    words, longest = segment["words"], usual_s * TOO_LONG
    first = words[0]
    if first["end"] - last_end <= usual_s * 4:
        return
    second = words[1] if len(words) > 1 else None
    long_pair = second is not None and second["end"] - first["start"] > longest * 2
    if first["end"] - first["start"] <= longest and not long_pair:
        return
    if second is not None and second["end"] - second["start"] > longest:
        boundary = max(second["end"] / 2, second["end"] - longest)
        first["end"] = second["start"] = boundary
    first["start"] = max(0.0, first["end"] - longest)


def _settle_edges(segment: Segment, usual_s: float) -> None:
    """Believe a segment's own times where a word reaches far beyond them."""
    first, last = segment["words"][0], segment["words"][-1]
    starts_early = segment["start"] - SEGMENT_TOLERANCE_S > first["start"]
    if segment["start"] < first["end"] and starts_early:
        first["start"] = max(0.0, min(first["end"] - usual_s, segment["start"]))
    else:
        segment["start"] = first["start"]
    ends_late = segment["end"] + SEGMENT_TOLERANCE_S < last["end"]
    if segment["end"] > last["start"] and ends_late:
        last["end"] = max(last["start"] + usual_s, segment["end"])
    else:
        segment["end"] = last["end"]


def keep_inside(segment: Segment, earliest: float, latest: float) -> float:
    """Order the words of a segment and close it around them.

    Args:
        segment: is changed; times are rounded to milliseconds.
        earliest: seconds before which no word may lie.
        latest: seconds behind which neither a word nor the segment may lie.

    Returns:
        The `earliest` of the next segment: where this one ends, if it has words.
    """
    for word in segment["words"]:
        word["start"] = round(min(max(word["start"], earliest), latest), 3)
        word["end"] = round(min(max(word["end"], word["start"]), latest), 3)
        earliest = word["end"]
    if segment["words"]:
        segment["start"] = min(segment["start"], segment["words"][0]["start"])
        segment["end"] = max(segment["end"], segment["words"][-1]["end"])
        segment["start"] = max(segment["start"], 0.0)
    segment["start"] = round(min(segment["start"], latest), 3)
    segment["end"] = round(min(max(segment["end"], segment["start"]), latest), 3)
    return max(earliest, segment["end"]) if segment["words"] else earliest
