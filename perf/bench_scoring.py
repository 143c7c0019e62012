"""How many utterances are scored per second on one core.

    make bench-scoring

Made-up evidence of two speakers in Korean and English: words, a threat now and then, emotions and
voice features of both kinds of models. Timed is what `recording_summary` does with it: stress,
cross-validation and score of every utterance, and the scores of speakers and recording. What the
windows do before (crime language, with or without morphemes) and JSON are not part of it.

CPU-seconds of this process on one thread; the best of several runs, because other work on the
machine only ever adds to them.
"""

import random
import time
from importlib.resources import files
from pathlib import Path

from perf.record import table, write_result
from voiceman.analysis.assessment import assess
from voiceman.analysis.recording_score import Scored, score_many
from voiceman.analysis.scoring_tables import AssessmentTables, load_assessment
from voiceman.contracts import EMOTION_CATEGORIES, EMOTION_DIMENSIONS, VOICE_FEATURE_NAMES
from voiceman.evidence import Finding, Utterance, Word

COMMAND = "make bench-scoring"
SIZES = (20, 100, 1000)  # utterances in a recording
UTTERANCES = 4000  # in a run
RUNS = 7
SPEAKERS = 2
STEP_S, UTTERANCE_S, WORD_S = 3.0, 2.8, 0.2
TEXTS = (
    ("ko", "오늘 세 시에 만나기로 했어요 그래서 늦지 않게 와 주세요"),
    ("ko", "너 진짜 죽여버릴 거야 돈 안 보내면"),
    ("ko", "정말 고맙습니다 덕분에 너무 행복해요"),
    ("en", "well I really don't know what you are talking about and I hate it"),
)
THREAT = Finding(
    category="threat",
    pattern_id="ko-threat-kill",
    start=5,
    end=9,
    text="죽여버릴",
    severity=0.95,
    weight=1.0,
    context="said directly",
)


def make_up(count: int, seed: int = 0) -> tuple[list[Utterance], list[str]]:
    """Utterances and their languages, the same for the same seed."""
    draw = random.Random(seed)
    utterances: list[Utterance] = []
    for index in range(count):
        _, text = TEXTS[index % len(TEXTS)]
        start = STEP_S * index
        utterances.append(
            Utterance(
                start=start,
                end=start + UTTERANCE_S,
                overlap=0.0,
                text=text,
                words=[
                    Word(word=w, start=start + WORD_S * i, end=start + WORD_S * (i + 1), score=0.9)
                    for i, w in enumerate(text.split())
                ],
                findings=[THREAT] if "죽여버릴" in text else [],
                emotion_dimensional={name: draw.random() for name in EMOTION_DIMENSIONS},
                emotion_categorical={name: draw.random() for name in EMOTION_CATEGORIES},
                voice_features={name: draw.gauss(10, 1) for name in VOICE_FEATURE_NAMES},
                f0_contour=None,
                score={"value": None, "coverage": 0.0, "components": [], "evidence": []},
                unavailable={},
            )
        )
    return utterances, [TEXTS[index % len(TEXTS)][0] for index in range(count)]


def score_recording(
    utterances: list[Utterance], languages: list[str], tables: AssessmentTables
) -> None:
    """What `recording_summary` computes of a recording's evidence."""
    speakers = [(f"SPEAKER_{index % SPEAKERS:02d}", None) for index in range(len(utterances))]
    found = assess(utterances, languages, speakers, tables)
    scored = [
        Scored(name, utterance["start"], UTTERANCE_S, assessment["score"])
        for (name, _), utterance, assessment in zip(speakers, utterances, found, strict=True)
    ]
    score_many(scored)
    for speaker in range(SPEAKERS):
        score_many(scored[speaker::SPEAKERS])


def per_second(size: int, tables: AssessmentTables) -> float:
    """Utterances scored per CPU-second, in recordings of a size."""
    utterances, languages = make_up(size)
    best_s = float("inf")
    for _ in range(RUNS):
        start_s = time.process_time()
        for _ in range(UTTERANCES // size):
            score_recording(utterances, languages, tables)
        best_s = min(best_s, time.process_time() - start_s)
    return UTTERANCES // size * size / best_s


def main() -> None:
    """Measure and write the result."""
    tables = load_assessment(Path(str(files("voiceman"))) / "data")
    speeds = {size: round(per_second(size, tables)) for size in SIZES}
    rows = [(size, f"{speed:,}") for size, speed in speeds.items()]
    text = table(("utterances in a recording", "scored per CPU-second"), rows)
    figures = {"utterances_per_cpu_second": {str(size): speed for size, speed in speeds.items()}}
    print(write_result("scoring", COMMAND, figures, text, "Scoring utterances"))


if __name__ == "__main__":
    main()
