"""What the words say against how they were said.

Words claim something by their sentiment and by the categories of the findings in them; a voice
reads as aroused, dominant, pleasant, angry, happy, sad or stressed. Where both are known they are
put on one scale each: the agreement is 1 less the weighted mean of their distances, and what does
not fit is named. Thresholds, weights and the categories stand in `voiceman/data/scoring.toml`.

It is shown and never scored. All that it compares counts already; and to speak calmly of
something grave, or to be agitated over something small, is ordinary: a reason to listen, no more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voiceman.analysis.scoring_tables import CrossValidationRules, Weights
from voiceman.analysis.sentiment import Lexicons, read_sentiment
from voiceman.evidence import Comparison, CrossValidation, Discrepancy, Finding, Stress, Utterance

_DIGITS = 4
_MODELS = {
    "arousal": "emotion_dimensional",
    "dominance": "emotion_dimensional",
    "valence": "emotion_dimensional",
    "anger": "emotion_categorical",
    "happiness": "emotion_categorical",
    "sadness": "emotion_categorical",
    "stress": "voice_stress",
}
# (name, what the words are, which reading of the voice, whether it is high where it should not)
_DISCREPANCIES = (
    ("calm_words_high_arousal", "calm", "arousal", True),
    ("calm_words_angry_voice", "calm", "anger", True),
    ("calm_words_stressed_voice", "calm", "stress", True),
    ("threatening_words_calm_voice", "threatening", "arousal", False),
    ("threatening_words_submissive_voice", "threatening", "dominance", False),
    ("positive_words_negative_valence", "positive", "valence", False),
    ("positive_words_angry_voice", "positive", "anger", True),
    ("positive_words_sad_voice", "positive", "sadness", True),
    ("negative_words_positive_valence", "negative", "valence", True),
    ("negative_words_happy_voice", "negative", "happiness", True),
)


@dataclass(frozen=True)
class Claim:
    """What the words of an utterance claim; None where they claim nothing.

    Attributes:
        sentiment: -1 to 1.
        intensity: 0 to 1, how agitated they are.
        menace: 0 to 1, how much they put pressure on somebody; None: the patterns were not read.
        silent: why sentiment and intensity are None.
    """

    sentiment: float | None
    intensity: float | None
    menace: float | None
    silent: str


def cross_validate(
    utterance: Utterance,
    stress: Stress,
    language: str,
    rules: CrossValidationRules,
    lexicons: Lexicons,
) -> CrossValidation:
    """Compare the words of an utterance with its voice.

    Args:
        utterance: with what the models found; any of it may be missing.
        stress: of its voice.
        language: ISO 639-1 code of its words.
        rules: thresholds and weights.
        lexicons: by language.
    """
    read = "crime_language" not in utterance["unavailable"]
    findings = utterance["findings"] if read else None
    claim = _claim(utterance["text"], findings, language, rules, lexicons)
    voice = _voice(utterance, stress, rules.readings)
    kinds = _kinds(claim, rules)
    claims = _claims(claim, kinds)
    comparisons: list[Comparison] = []
    away = total = 0.0
    for name, heard in voice.items():
        if name in claims:
            claimed, weight = claims[name], rules.readings[name].weight
            total += weight
            away += weight * abs(claimed - heard)
            comparisons.append(
                {"reading": name, "claimed": claimed, "heard": heard, "weight": weight}
            )
    return CrossValidation(
        agreement=round(1 - away / total, _DIGITS) if total > 0 else None,
        reason=_reason(utterance, stress, claim, claims, voice),
        sentiment=claim.sentiment,
        intensity=claim.intensity,
        menace=claim.menace,
        comparisons=comparisons,
        discrepancies=_discrepancies(kinds, voice, rules),
    )


def _claim(
    text: str,
    findings: Sequence[Finding] | None,
    language: str,
    rules: CrossValidationRules,
    lexicons: Lexicons,
) -> Claim:
    grave: dict[str, float] = {}
    for hit in findings or ():
        there = grave.get(hit["category"], 0.0)
        grave[hit["category"]] = max(there, hit["severity"] * hit["weight"])
    menace = max((grave[name] for name in grave if name in rules.menacing), default=0.0)
    menace = round(menace, _DIGITS)
    known = None if findings is None else menace
    if not text:
        return Claim(None, None, None, "no words")
    if language not in lexicons:
        return Claim(None, None, known, f"no lexicon for the language {language!r}")
    said = read_sentiment(text, lexicons[language])
    worst = max((grave[name] for name in grave if name in rules.negative), default=0.0)
    negative = said.negative + rules.negative_strength * worst
    moved = said.positive + negative + said.agitated
    if said.words < rules.min_words and not moved:
        return Claim(None, None, known, f"{said.words} words, none of them in the lexicon")
    # One word more than there is: a single word never is the whole of a feeling.
    sentiment = (said.positive - negative) / (said.positive + negative + 1)
    intensity = max(moved / (moved + 1), menace)
    return Claim(round(sentiment, _DIGITS), round(intensity, _DIGITS), known, "")


def _voice(utterance: Utterance, stress: Stress, readings: Weights) -> dict[str, float]:
    """How the voice reads, 0 to 1, where the models gave a number."""
    outputs: dict[str, float] = {}
    for answer in (utterance["emotion_dimensional"], utterance["emotion_categorical"]):
        if answer is not None:
            outputs.update(answer)
    if stress["value"] is not None:
        outputs["stress"] = stress["value"]
    return {
        name: round(scale.value(outputs[name]), _DIGITS)
        for name, scale in readings.items()
        if name in outputs and math.isfinite(outputs[name])
    }


def _kinds(claim: Claim, rules: CrossValidationRules) -> dict[str, str]:
    """What the words are, each with the number that says so."""
    kinds: dict[str, str] = {}
    if claim.menace is None:
        pass  # the patterns were not read: words without agitation may still threaten
    elif claim.menace >= rules.menace:
        kinds["threatening"] = f"menace {claim.menace:.2f}"
    elif claim.intensity is not None and claim.intensity <= rules.calm:
        kinds["calm"] = f"intensity {claim.intensity:.2f}"
    if claim.sentiment is not None and abs(claim.sentiment) >= rules.sentiment:
        kind = "positive" if claim.sentiment > 0 else "negative"
        kinds[kind] = f"sentiment {claim.sentiment:+.2f}"
    return kinds


def _claims(claim: Claim, kinds: Mapping[str, str]) -> dict[str, float]:
    """Where the words let a reading of the voice be expected, 0 to 1; others are left open."""
    claims: dict[str, float] = {}
    if claim.intensity is not None:
        claims |= {"arousal": claim.intensity, "stress": claim.intensity}
    if claim.sentiment is not None:
        claims["valence"] = (1 + claim.sentiment) / 2
    if "threatening" in kinds and claim.menace is not None:
        claims |= {"arousal": claim.menace, "anger": claim.menace, "dominance": claim.menace}
    elif "calm" in kinds or "positive" in kinds:
        claims["anger"] = 0.0
    if "positive" in kinds and claim.sentiment is not None:
        claims |= {"happiness": claim.sentiment, "sadness": 0.0}
    if "negative" in kinds:
        claims["happiness"] = 0.0
    return claims


def _discrepancies(
    kinds: Mapping[str, str], voice: Mapping[str, float], rules: CrossValidationRules
) -> list[Discrepancy]:
    found: list[Discrepancy] = []
    for name, kind, reading, high in _DISCREPANCIES:
        if kind not in kinds or reading not in voice:
            continue
        heard = voice[reading]
        if heard >= rules.high if high else heard <= rules.low:
            limit = f"high from {rules.high:g}" if high else f"low up to {rules.low:g}"
            detail = f"words: {kinds[kind]}; voice: {reading} {heard:.2f}, {limit}"
            found.append(Discrepancy(name=name, detail=detail))
    return found


def _reason(
    utterance: Utterance,
    stress: Stress,
    claim: Claim,
    claims: Mapping[str, float],
    voice: Mapping[str, float],
) -> str:
    """What was compared, or why nothing was."""
    if not claims:
        return claim.silent or "the words claim nothing"
    compared = ", ".join([name for name in voice if name in claims])
    said = f"compared: {compared}" if compared else "nothing to compare with"
    missing = {_MODELS[name] for name in claims if name not in voice}
    if not missing:
        return said
    reasons = utterance["unavailable"] | {"voice_stress": stress["reason"]}
    without = [f"{name} ({reasons.get(name, 'no answer')})" for name in sorted(missing)]
    return f"{said}; without {', '.join(without)}"
