"""How far a voice departs from the speaker's own in the direction of stress.

Every utterance is compared with the same speaker's other utterances on the same channel, never
with itself and never with other people: voices differ far more between people than with stress.
Features, directions, weights and their sources stand in `voiceman/data/scoring.toml`.

This is no lie detector. Effort, emotion, illness, drink, noise and the distance to the
microphone move a voice as well, and in many people stress does not (Giddens et al. 2013,
Kirchhübel et al. 2011).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voiceman.analysis.scoring_tables import PAUSE_SHARE, Baseline, StressFeature
from voiceman.analysis.speakers import UNKNOWN
from voiceman.evidence import Stress, StressContribution, Utterance

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.signedinteger[Any]]

TO_SIGMA = 1.4826  # of a normal distribution: standard deviation over median absolute deviation
MOST_Z = 99.0  # no more is shown
_DIGITS = 4


@dataclass(frozen=True)
class _Speech:
    """The utterances of one speaker that can be measured.

    Attributes:
        indices: which utterances of the recording they are.
        values: [n, f] features, NaN where there is no number.
        seconds: [n] durations.
    """

    indices: Sequence[int]
    values: Floats
    seconds: Floats


def measure_stress(
    utterances: Sequence[Utterance],
    speakers: Sequence[tuple[str, int | None]],
    baseline: Baseline,
    features: Sequence[StressFeature],
) -> list[Stress]:
    """The stress of every utterance of a recording.

    Args:
        utterances: in any order; their times may be those of their windows.
        speakers: speaker and channel of every utterance.
        baseline: what a speaker's own baseline must hold.
        features: what counts as stress.
    """
    found: list[Stress | None] = [None] * len(utterances)
    groups: dict[tuple[str, int | None], list[int]] = defaultdict(list)
    for index, (utterance, speaker) in enumerate(zip(utterances, speakers, strict=True)):
        if reason := _why_not(utterance, speaker[0], baseline):
            found[index] = Stress(value=None, reason=reason, contributions=[])
        else:
            groups[speaker].append(index)
    for indices in groups.values():
        rows = np.array([_row(utterances[index], features) for index in indices], np.float64)
        rows[~np.isfinite(rows)] = np.nan
        seconds = np.array([_duration_s(utterances[index]) for index in indices])
        speech = _Speech(indices, rows, seconds)
        for index, stress in zip(indices, _compare(speech, baseline, features), strict=True):
            found[index] = stress
    return [stress for stress in found if stress]


def _why_not(utterance: Utterance, speaker: str, baseline: Baseline) -> str:
    """Why an utterance is neither measured nor part of a baseline; empty: it is."""
    duration_s = _duration_s(utterance)
    if speaker == UNKNOWN:
        return "nobody knows who speaks, so there is no baseline"
    if duration_s < baseline.min_utterance_s:
        return f"{duration_s:.2f} s long, {baseline.min_utterance_s:g} s are needed"
    if (utterance["overlap"] or 0.0) > baseline.max_overlap_share * duration_s:
        return f"several people talk for {utterance['overlap']:.1f} of {duration_s:.1f} s"
    if utterance["voice_features"] is None:
        return utterance["unavailable"].get("voice_features", "no voice features")
    return ""


def _duration_s(utterance: Utterance) -> float:
    return utterance["end"] - utterance["start"]


def _row(utterance: Utterance, features: Sequence[StressFeature]) -> list[float]:
    """The features of one utterance, NaN where there is no number."""
    values = utterance["voice_features"] or {}
    pauses_s = values.get("pause_total_s")
    share = None if pauses_s is None else pauses_s / _duration_s(utterance)
    numbers = (share if f.name == PAUSE_SHARE else values.get(f.name) for f in features)
    return [np.nan if number is None else number for number in numbers]


def _compare(
    speech: _Speech, baseline: Baseline, features: Sequence[StressFeature]
) -> list[Stress]:
    """Each utterance of one speaker beside the others of the same."""
    known = np.isfinite(speech.values)
    others = known.sum(axis=0) - known
    others_s = speech.seconds @ known - speech.seconds[:, None] * known
    medians, deviations = _others(speech.values)
    enough = known & (others >= baseline.min_utterances) & (others_s >= baseline.min_speech_s)
    floors = np.array([f.floor for f in features])
    shares = np.array([f.floor_share for f in features])
    # The last floor keeps a median of 0 from dividing by 0.
    scales = np.maximum(TO_SIGMA * deviations, np.maximum(floors, shares * np.abs(medians)))
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.clip((speech.values - medians) / scales, -MOST_Z, MOST_Z)
    departures = np.select(
        [[f.direction == "up" for f in features], [f.direction == "down" for f in features]],
        [z, -z],
        np.abs(z),
    )
    ramps = np.clip((departures - baseline.low) / (baseline.high - baseline.low), 0.0, 1.0)
    counts = np.array([f.weight for f in features]) * ramps
    total_s = float(speech.seconds.sum())
    return [
        _stress(
            [
                StressContribution(
                    feature=feature.name,
                    value=round(value, _DIGITS),
                    baseline=round(median, _DIGITS),
                    z=round(far, 2),
                    contribution=round(count, _DIGITS),
                )
                for feature, there, value, median, far, count in zip(features, *row, strict=True)
                if there
            ],
            len(features),
            f"{len(speech.indices) - 1} other utterances of the speaker, {total_s - own_s:.1f} s",
            f"{baseline.min_utterances} and {baseline.min_speech_s:g} s",
        )
        for own_s, *row in zip(
            speech.seconds.tolist(),
            *(array.tolist() for array in (enough, speech.values, medians, z, counts)),
            strict=True,
        )
    ]


def _stress(
    contributions: list[StressContribution], features: int, beside: str, needed: str
) -> Stress:
    """1 - Π (1 - contribution): another feature that departs never lowers it."""
    if not contributions:
        reason = f"no baseline: {beside}; {needed} with the same feature are needed"
        return Stress(value=None, reason=reason, contributions=[])
    contributions.sort(key=lambda item: (-item["contribution"], -abs(item["z"]), item["feature"]))
    rest = 1.0
    for item in contributions:
        rest *= 1 - item["contribution"]
    return Stress(
        value=round(1 - rest, _DIGITS),
        reason=f"{len(contributions)} of {features} features, beside {beside}",
        contributions=contributions,
    )


def _others(values: Floats) -> tuple[Floats, Floats]:
    """Median and median absolute deviation of all rows but each one itself.

    Leaving one out moves a median to one of three places: the row lies below the middle, in it,
    or above. So three sorts do what would else take one for each row.

    Args:
        values: [n, f], NaN where there is no number; such rows have no answer there.

    Returns:
        [n, f] both, NaN where fewer than one other row has a number.
    """
    medians = _others_median(values)
    deviations = np.full_like(values, np.nan)
    # Every distinct median, column by column: the lowest, the highest, and what lies between.
    low, high = _extremes(medians)
    between = np.where((medians > low) & (medians < high), medians, np.nan)
    for place in (low, high, _extremes(between)[0]):
        around = _others_median(np.abs(values - place))
        deviations = np.where(medians == place, around, deviations)
    return medians, deviations


def _extremes(values: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest number of every column, NaN without any."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    none = ~known.any(axis=0)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


def _others_median(values: Floats) -> Floats:
    """[n, f] median of each column without the row itself; NaN where there is none."""
    order = np.argsort(values, axis=0)  # NaN come last
    ordered = np.take_along_axis(values, order, axis=0)
    ranks: Ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(values))[:, None], axis=0)
    count = np.isfinite(values).sum(axis=0) - 1  # the others, where the row has a number
    halves = [_without(ordered, ranks, place) for place in ((count - 1) // 2, count // 2)]
    medians = (halves[0] + halves[1]) / 2
    return np.where(np.isfinite(values) & (count > 0), medians, np.nan)


def _without(ordered: Floats, ranks: Ranks, place: Ranks) -> Floats:
    """What stands at a place of each sorted column once the row itself is taken out."""
    kept = np.clip(np.broadcast_to(place, ranks.shape), 0, None)
    kept = np.minimum(kept + (ranks <= kept), len(ordered) - 1)
    return np.take_along_axis(ordered, kept, axis=0)
