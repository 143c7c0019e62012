"""What a result says about emotions, by itself."""

from collections.abc import Sequence
from typing import Any

from voiceman.contracts import EMOTION_CATEGORIES, EMOTION_DIMENSIONS
from voiceman.evidence import Utterance
from voiceman_client.result import Result

_FIELDS = {"emotion_dimensional": EMOTION_DIMENSIONS, "emotion_categorical": EMOTION_CATEGORIES}


def emotions_of(result: Result) -> dict[str, Any]:
    """The emotions of a recording, overall and utterance by utterance.

    Args:
        result: of one recording.

    Returns:
        `overall`: `emotion_dimensional` (arousal, dominance and valence, about 0 to 1) and
        `emotion_categorical` (probability by category): means over the utterances that have them,
        weighted by their length; None where none has. `utterances`: start and end in seconds,
        speaker, text and the same two fields. `unavailable`: what is missing somewhere, with a
        reason; the same for each utterance.
    """
    utterances = result["utterances"]
    reasons = dict(result["unavailable"])
    for part in (*result["windows"], *utterances):
        reasons |= part["unavailable"]
    return {
        "overall": {name: _mean(utterances, name, keys) for name, keys in _FIELDS.items()},
        "utterances": [
            {
                **{name: found.get(name) for name in ("start", "end", "speaker", "text", *_FIELDS)},
                "unavailable": _of_emotions(found["unavailable"]),
            }
            for found in utterances
        ],
        "unavailable": _of_emotions(reasons),
    }


def _mean(
    utterances: Sequence[Utterance], field: str, keys: Sequence[str]
) -> dict[str, float] | None:
    found = [
        (utterance["end"] - utterance["start"], values)
        for utterance in utterances
        if (values := utterance.get(field)) is not None
    ]
    seconds = sum(length for length, _ in found)
    if not seconds:
        return None
    return {key: sum(length * values[key] for length, values in found) / seconds for key in keys}


def _of_emotions(reasons: dict[str, str]) -> dict[str, str]:
    return {name: why for name, why in reasons.items() if name in {*_FIELDS, "recording"}}
