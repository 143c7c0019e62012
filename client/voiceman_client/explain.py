"""How a result came to its scores, step by step in plain words."""

import math
from collections.abc import Iterator
from pathlib import Path

from voiceman.analysis.hits import FINDING_WEIGHT
from voiceman.errors import InvalidRequestError, ResultUnreadableError
from voiceman.evidence import (
    DISCLAIMER,
    Component,
    CrossValidation,
    Flag,
    Score,
    Stress,
)
from voiceman_client.documents import read_result
from voiceman_client.doubts import touching
from voiceman_client.logged import warn_if_changed
from voiceman_client.report.messages import Messages
from voiceman_client.result import Result

_SHOWN = 5  # findings, flags, and items of evidence, of the recording
_MESSAGES = Messages("en")
_NAMES = {
    "crime_language": "what the words say",
    "anger": "anger in the voice",
    "arousal": "agitation in the voice",
    "negative_valence": "displeasure in the voice",
    "voice_stress": "stress against the speaker's own voice",
}


def explain(path: Path, number: int | None = None, top: int = 3) -> str:
    """The derivation of the scores in a result file.

    Args:
        path: a .json that `submit` wrote.
        number: of the one utterance to explain, from 1; None: the most notable ones.
        top: how many of these, highest score first.

    Raises:
        InvalidRequestError: there is no utterance of this number.
        ResultUnreadableError: no permission, no JSON, or no complete result of this version;
            names the file.
    """
    document = read_result(path)
    warn_if_changed(document)
    result = document.result
    try:
        count = len(result["utterances"])
        if number is not None and not 1 <= number <= count:
            raise InvalidRequestError(f"{path}: there is no utterance {number}, it holds {count}")
        chosen = _most_notable(result, top) if number is None else [number - 1]
        lines = [*_recording(result)]
        for index in chosen:
            lines += ["", *_utterance(result, index)]
    except (KeyError, TypeError, AttributeError, ValueError) as err:
        raise ResultUnreadableError(
            f"{path}: not a complete result ({err!r}); submit the recording again"
        ) from err
    return "\n".join(lines) + "\n"


def _most_notable(result: Result, count: int) -> list[int]:
    """Indices of the utterances with the highest scores, highest first, then by time."""
    values = [utterance["score"]["value"] for utterance in result["utterances"]]
    known = [(-value, index) for index, value in enumerate(values) if value]
    return [index for _, index in sorted(known)[:count]]


def _recording(result: Result) -> Iterator[str]:
    yield result["provenance"]["source"]["file"]
    yield DISCLAIMER
    yield ""
    yield _heard(result)
    yield from _findings(result)
    yield from _flags(result["flags"])
    yield f"Recording: {_value(result['score'])}"
    yield from _rests_on(result["score"])
    yield "  Evidence of all utterances, most points first:"
    yield from _evidence(result["score"], _SHOWN)
    for speaker in result["speakers"]:
        yield f"{speaker['id']}: {_value(speaker['score'])}"
    unknown = [u for u in result["utterances"] if u["score"]["value"] is None]
    if unknown:
        yield f"{len(unknown)} of {len(result['utterances'])} utterances have no score"
    if result["unavailable"]:
        yield "Not computed:"
        yield from (
            f"    {_MESSAGES.name('source', name)}: {reason}"
            for name, reason in result["unavailable"].items()
        )


def _heard(result: Result) -> str:
    """What was recognised, in one line."""
    speech_s, share = result["speech"], result["speech_with_text"]
    parts = [
        f"Language: {result['language'] or 'not known'}",
        f"speakers: {len(result['speakers'])}",
        f"utterances: {len(result['utterances'])}",
        "speech: not known" if speech_s is None else f"speech: {speech_s:.1f} s",
    ]
    if share is not None:
        parts.append(f"{math.floor(share * 100)} % of it with text")
    return ", ".join(parts)


def _findings(result: Result) -> Iterator[str]:
    """The findings with the times of their utterances; mentions are only counted."""
    hits = [(u, finding) for u in result["utterances"] for finding in u["findings"]]
    found = [(u, finding) for u, finding in hits if finding["weight"] >= FINDING_WEIGHT]
    yield f"Findings: {len(found)}, mentions: {len(hits) - len(found)}"
    for utterance, finding in found[:_SHOWN]:
        yield (
            f"    {utterance['start']:.1f} to {utterance['end']:.1f} s "
            f"{utterance.get('speaker', 'somebody')}, {finding['category']}: “{finding['text']}”"
        )
    if len(found) > _SHOWN:
        yield f"    and {len(found) - _SHOWN} more"


def _flags(flags: list[Flag]) -> Iterator[str]:
    """The passages to distrust, in the order of the recording."""
    if flags:
        yield f"To distrust: {len(flags)}"
    for flag in flags[:_SHOWN]:
        yield f"    {flag['start']:.1f} to {flag['end']:.1f} s, {_doubt(flag)}"
    if len(flags) > _SHOWN:
        yield f"    and {len(flags) - _SHOWN} more"


def _doubt(flag: Flag) -> str:
    name = _MESSAGES.name("flag", flag["kind"])
    return f"{name}: {flag['detail']}" if flag["detail"] else name


def _rests_on(score: Score) -> Iterator[str]:
    """What every component of a recording gave, and why the score is no higher."""
    if not score["components"]:
        return
    known = score["value"] is not None
    most = "It is as notable as its most notable utterance, whose components are:"
    yield f"  {most if known else 'Its components:'}"
    yield from (f"    {_component(part)}" for part in score["components"])
    if score["value"] == 0:
        yield "  What was available found nothing, in any utterance, so the score is 0."
    if any(part["value"] is None for part in score["components"]):
        yield "  What was not available was not looked at: it speaks neither for nor against."


def _value(score: Score) -> str:
    if score["value"] is None:
        return "no score, no component was available"
    return (
        f"{score['value']:.1f} of 100, resting on {score['coverage']:.0%} of the weights (coverage)"
    )


def _utterance(result: Result, index: int) -> Iterator[str]:
    utterance = result["utterances"][index]
    score = utterance["score"]
    yield (
        f"Utterance {index + 1}, {utterance['start']:.1f} to {utterance['end']:.1f} s, "
        f"{utterance.get('speaker', 'somebody')}: “{utterance['text']}”"
    )
    for flag in touching(result["flags"], utterance["start"], utterance["end"]):
        yield f"  To distrust: {_doubt(flag)}"
    yield f"  Score: {_value(score)}"
    yield "  Every component takes weight × value of what the others leave of the way to 100:"
    yield from (f"    {_component(part)}" for part in score["components"])
    yield f"    {_formula(score)}"
    if score["evidence"]:
        yield "  Evidence; its points together are the score:"
        yield from _evidence(score, len(score["evidence"]))
    if "stress" in utterance:
        yield from _stress(utterance["stress"])
    if "cross_validation" in utterance:
        yield from _cross_validation(utterance["cross_validation"])


def _component(part: Component) -> str:
    name = _NAMES.get(part["name"], part["name"])
    if part["value"] is None:
        return f"{name}: not available, left out: {part['reason']}"
    return f"{name}: weight {part['weight']:g} × value {part['value']:g}: {part['reason']}"


def _formula(score: Score) -> str:
    """The score as the product that it is."""
    parts = [part for part in score["components"] if part["value"] is not None]
    if not parts:
        return "Without any component there is nothing to join."
    factors = " × ".join(f"(1 - {part['weight']:g} × {part['value']:g})" for part in parts)
    return f"100 × (1 - {factors}) = {score['value']:.1f}"


def _evidence(score: Score, count: int) -> Iterator[str]:
    for item in score["evidence"][:count]:
        speaker = f" {item['speaker']}" if "speaker" in item else ""
        yield (
            f"    {item['points']:6.2f} points, {item['start']:.1f} to {item['end']:.1f} s"
            f"{speaker}, {_NAMES.get(item['component'], item['component'])}: {item['detail']}"
        )
    if not score["evidence"]:
        yield "    none"


def _stress(stress: Stress) -> Iterator[str]:
    if stress["value"] is None:
        yield f"  Stress: not measured: {stress['reason']}"
        return
    yield f"  Stress: {stress['value']:.2f} of 1: {stress['reason']}"
    for part in stress["contributions"]:
        yield (
            f"    {part['feature']} {part['value']:g}, otherwise {part['baseline']:g}: "
            f"{part['z']:+.1f} robust standard deviations, counts {part['contribution']:g}"
        )
    factors = " × ".join(f"(1 - {part['contribution']:g})" for part in stress["contributions"])
    if factors:
        yield f"    1 - {factors} = {stress['value']:.2f}"


def _cross_validation(found: CrossValidation) -> Iterator[str]:
    if found["agreement"] is None:
        yield f"  Words and voice: not compared: {found['reason']}"
        return
    yield (
        f"  Words and voice agree to {found['agreement']:.2f} of 1 ({found['reason']}); shown, "
        "not part of the score"
    )
    for part in found["comparisons"]:
        yield (
            f"    {part['reading']}: the words let {part['claimed']:.2f} be expected, the voice "
            f"reads {part['heard']:.2f} (weight {part['weight']:g})"
        )
    for item in found["discrepancies"]:
        yield f"    does not fit: {item['name'].replace('_', ' ')}: {item['detail']}"
