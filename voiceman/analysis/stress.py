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

import numpy as np
import numpy.typing as npt

from voiceman.analysis.leave_one_out import Floats, median_of_others
from voiceman.analysis.scoring_tables import PAUSE_SHARE, Baseline, StressFeature
from voiceman.analysis.speakers import UNKNOWN
from voiceman.evidence import Stress, StressContribution, Utterance

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


@dataclass(frozen=True)
class _Departures:
    """How far features lie from the speaker's own; all [n, f].

    Attributes:
        enough: whether the baseline of a feature holds enough.
        medians: of the other utterances.
        z: robust standard deviations above them.
        counts: contributions to stress, 0 where there is no baseline.
    """

    enough: npt.NDArray[np.bool_]
    medians: Floats
    z: Floats
    counts: Floats


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
    departures = _depart(speech, baseline, features)
    counts = departures.counts
    parts: list[list[StressContribution]] = [[] for _ in speech.indices]
    for row, column in np.argwhere(counts > 0).tolist():
        parts[row].append(
            StressContribution(
                feature=features[column].name,
                value=round(float(speech.values[row, column]), _DIGITS),
                baseline=round(float(departures.medians[row, column]), _DIGITS),
                z=round(float(departures.z[row, column]), 2),
                contribution=float(counts[row, column]),
            )
        )
    # Joined like the components of a score: another feature that departs never lowers it.
    joined = (1 - (1 - counts).prod(axis=1)).round(_DIGITS).tolist()
    compared = departures.enough.sum(axis=1).tolist()
    others_s = (speech.seconds.sum() - speech.seconds).tolist()
    needed = f"{baseline.min_utterances} and {baseline.min_speech_s:g} s are needed"
    found: list[Stress] = []
    for value, count, seconds, contributions in zip(joined, compared, others_s, parts, strict=True):
        beside = f"{len(speech.indices) - 1} other utterances of the speaker, {seconds:.1f} s"
        contributions.sort(key=_largest_first)
        reason = (
            f"{count} of {len(features)} features compared with {beside}"
            if count
            else f"no baseline: {beside}, with each feature; {needed}"
        )
        known = value if count else None
        found.append(Stress(value=known, reason=reason, contributions=contributions))
    return found


def _largest_first(item: StressContribution) -> tuple[float, float, str]:
    return -item["contribution"], -abs(item["z"]), item["feature"]


def _depart(speech: _Speech, baseline: Baseline, features: Sequence[StressFeature]) -> _Departures:
    known = np.isfinite(speech.values)
    others = known.sum(axis=0) - known
    others_s = speech.seconds @ known - speech.seconds[:, None] * known
    enough = known & (others >= baseline.min_utterances) & (others_s >= baseline.min_speech_s)
    medians, deviations = median_of_others(speech.values)
    floors = np.array([f.floor for f in features])
    shares = np.array([f.floor_share for f in features])
    # The last floor keeps a median of 0 from dividing by 0.
    scales = np.maximum(TO_SIGMA * deviations, np.maximum(floors, shares * np.abs(medians)))
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.clip((speech.values - medians) / scales, -MOST_Z, MOST_Z)
    up, down = ([f.direction == way for f in features] for way in ("up", "down"))
    towards_stress = np.select([up, down], [z, -z], np.abs(z))
    ramps = np.clip((towards_stress - baseline.low) / (baseline.high - baseline.low), 0.0, 1.0)
    counts = np.where(enough, np.array([f.weight for f in features]) * ramps, 0.0)
    return _Departures(enough, medians, z, counts.round(_DIGITS))
