"""Who speaks when in a whole recording: local speaker turns under the names of the speakers.

The segmentation hears who goes on and who joins in, within seconds and through overlaps; the
clustered utterances tell who it is, over hours and where one person talks alone. A turn takes
the name of the utterances in its own, unshared part. One that has none, because it is short or
lies inside another's, goes on with what the segmentation's speaker was called next to it, but
never under the name of somebody who talks at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.analysis.coverage import union
from voiceman.analysis.overlap import Spans, covered_s, find_overlaps
from voiceman.analysis.speakers import UNKNOWN, Speech
from voiceman.evidence import SpeakerTurn

# What must be heard of a turn's speaker alone; less may be the edge of a neighbour's utterance,
# whose words err by 0.1 to 0.2 s. Uncalibrated.
MIN_HEARD_S = 0.3
_DIGITS = 3  # milliseconds

Integers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class LocalTurn:
    """Somebody speaks from start to end.

    Attributes:
        start: seconds in the recording.
        end: seconds in the recording.
        speaker: number that is the same for the same speaker near by, on the same channel.
        channel: None: the recording is mixed down.
    """

    start: float
    end: float
    speaker: int
    channel: int | None


def name_turns(
    turns: Sequence[LocalTurn], speech: Speech, labels: Sequence[str]
) -> list[SpeakerTurn]:
    """Give the local turns of a recording the names of its speakers.

    Args:
        turns: in any order; they may overlap.
        speech: the utterances; those of a channel are disjoint.
        labels: speaker of every utterance, from `label_speakers`.

    Returns:
        The turns by time; those of one speaker are disjoint. Turns of speakers whom nothing
        tells apart from those they interrupt are UNKNOWN.
    """
    heard = np.isfinite(speech.embeddings).all(axis=1)
    named: list[SpeakerTurn] = []
    for channel in {turn.channel for turn in turns}:
        here = [turn for turn in turns if turn.channel == channel]
        voters = [i for i, c in enumerate(speech.channels) if c == channel and heard[i]]
        voters.sort(key=lambda i: float(speech.spans[i, 0]))
        times = np.array([(turn.start, turn.end) for turn in here])
        known, numbers = np.unique([labels[i] for i in voters], return_inverse=True)
        found = _heard_alone(times, speech.spans[voters].astype(np.float64), numbers)
        found = _carried_on(times, np.array([turn.speaker for turn in here]), found)
        for number in np.unique(found):
            spans = times[found == number].tolist()
            name = str(known[number]) if number >= 0 else UNKNOWN
            named += [
                SpeakerTurn(start=start, end=end, speaker=name, overlap=0.0, channel=channel)
                for start, end in union(map(tuple, spans), 0.0, np.inf)
            ]
    return _with_overlaps(named)


def _heard_alone(times: Spans, utterances: Spans, numbers: Integers) -> Integers:
    """Whose utterances fill most of every turn's unshared part; -1: nobody's.

    Args:
        times: [t, 2] start and end of the turns.
        utterances: [u, 2] start and end, sorted and disjoint.
        numbers: [u] speaker of every utterance.
    """
    overlaps = find_overlaps(times)
    found = np.full(len(times), -1)
    for row, (start, end) in enumerate(times):
        first = np.searchsorted(utterances[:, 1], start)
        last = np.searchsorted(utterances[:, 0], end)
        shared = np.clip(utterances[first:last], start, end)
        alone_s = np.diff(shared - covered_s(overlaps, shared), axis=1)[:, 0]
        votes_s = np.bincount(numbers[first:last], alone_s)
        if votes_s.max(initial=0.0) >= MIN_HEARD_S:
            found[row] = np.argmax(votes_s)
    return found


def _carried_on(times: Spans, local: Integers, found: Integers) -> Integers:
    """The same with the turns that nobody was heard in alone.

    Of those who do not talk at the same time, it is whom the nearest turn of the same local
    speaker belongs to, or else the nearest turn.
    """
    named = found >= 0
    result = found.copy()
    for row in np.flatnonzero(~named):
        gaps_s = np.maximum(times[:, 0] - times[row, 1], times[row, 0] - times[:, 1])
        free = named & ~np.isin(found, found[named & (gaps_s < 0)])
        nearest = free & (local == local[row])
        if not nearest.any():
            nearest = free
        if nearest.any():
            result[row] = found[np.argmin(np.where(nearest, gaps_s, np.inf))]
    return result


def _with_overlaps(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """The turns by time, with the seconds that others talk in; every channel counts."""
    times = np.array([(turn["start"], turn["end"]) for turn in turns]).reshape(-1, 2)
    shared = np.diff(covered_s(find_overlaps(times), times), axis=1)[:, 0]
    whole = [
        SpeakerTurn(
            start=round(turn["start"], _DIGITS),
            end=round(turn["end"], _DIGITS),
            speaker=turn["speaker"],
            overlap=round(float(seconds), _DIGITS),
            channel=turn["channel"],
        )
        for turn, seconds in zip(turns, shared, strict=True)
    ]
    return sorted(whole, key=lambda turn: (turn["start"], turn["end"], turn["speaker"]))
