"""What can be said of utterances once their whole recording is known.

Stress needs the speaker's other utterances, the cross-validation needs the stress, and the score
counts it: so all three are made here, from the evidence of the windows.
"""

from collections.abc import Sequence

from voiceman.analysis.cross_validation import cross_validate
from voiceman.analysis.finding_times import locate
from voiceman.analysis.scoring import Observed, score_utterance
from voiceman.analysis.scoring_tables import AssessmentTables
from voiceman.analysis.stress import measure_stress
from voiceman.evidence import Assessment, Stress, Utterance


def assess(
    utterances: Sequence[Utterance],
    languages: Sequence[str],
    speakers: Sequence[tuple[str, int | None]],
    tables: AssessmentTables,
) -> list[Assessment]:
    """Stress, cross-validation and score of every utterance of a recording.

    Args:
        utterances: as they stand in the evidence of their windows, times included.
        languages: ISO 639-1 code of every utterance.
        speakers: speaker and channel of every utterance.
        tables: weights, thresholds and lexicons.

    Returns:
        One for each utterance, in their order; times are those of the utterances.
    """
    stresses = measure_stress(utterances, speakers, tables.baseline, tables.stress)
    rules, lexicons = tables.cross_validation, tables.lexicons
    return [
        Assessment(
            stress=stress,
            cross_validation=cross_validate(utterance, stress, language, rules, lexicons),
            score=score_utterance(_observed(utterance, stress, language), tables.weights),
        )
        for utterance, stress, language in zip(utterances, stresses, languages, strict=True)
    ]


def _observed(utterance: Utterance, stress: Stress, language: str) -> Observed:
    """What the models found in an utterance, from the evidence of its window."""
    span = utterance["start"], utterance["end"]
    findings = utterance["findings"]
    return Observed(
        *span,
        None if "crime_language" in utterance["unavailable"] else findings,
        locate(findings, utterance["words"], language, span),
        utterance["emotion_dimensional"],
        utterance["emotion_categorical"],
        stress,
        utterance["unavailable"],
    )
