"""Ten minutes of words as a CTC model would hear them, made up: no weights are needed.

Every character is said in one frame, as CTC models do; between them is blank. Models are never
sure: the certainty of every frame is drawn, some characters are missed, some heard as others, some
heard where nobody spoke. Digits are spoken as a few other characters, punctuation is silent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voiceman.analysis.ctc_labels import Vocabulary
from voiceman.analysis.ctc_network import CtcFormat
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.evidence import Transcript, WhisperSegment, WhisperWord

FIELD, HOP = 400, 320
FRAME_S = HOP / SAMPLE_RATE_HZ
WINDOW_S = 30.0
MISSED, MISTAKEN, INVENTED = 0.08, 0.04, 0.02
BLANK, DELIMITER = 0, 1
ENGLISH = "abcdefghijklmnopqrstuvwxyz'"
KOREAN_LABELS = 1200  # about as many syllables as kresnik/wav2vec2-large-xlsr-korean has
# Mean frames from one character to the next: 13 letters and 5.5 syllables a second.
PACE = {"en": 3.8, "ko": 9.0}
TEXTS = {
    "en": (
        "Well, I told him on Monday that the 3 boxes are still in the garage.",
        "I don't know who called you, but it wasn't me!",
        "She paid 250 dollars - in cash - and left at 9:45.",
        "Okay. So what did the man at the door say?",
        "He said he'd come back tomorrow with his brother, and that we should wait.",
        "Hm, are you sure that it was the blue car, number 4711?",
        "No.",
    ),
    "ko": (
        "네, 지금 어디에 계세요?",
        "어제 저녁 8시쯤에 그 사람한테서 전화가 왔어요.",
        "계좌로 250만 원을 보내라고 했는데, 저는 안 보냈습니다.",
        "아니요. 그런 말은 한 적이 없어요!",
        "그 차는 파란색이었고 번호는 4711이었던 것 같아요.",
        "잠깐만 기다려 주시면 제가 다시 확인해서 알려 드릴게요.",
        "몰라요.",
    ),
}


@dataclass(frozen=True)
class Talk:
    """Windows in one language with what a network hears in them.

    Attributes:
        language: ISO 639-1 code.
        form: of the network.
        transcripts: of every window.
        emissions: log-probabilities [frames, labels] of every segment, in order.
        true_starts: seconds in the segment where each of its words begins.
    """

    language: str
    form: CtcFormat
    transcripts: tuple[Transcript, ...]
    emissions: tuple[np.ndarray, ...]
    true_starts: tuple[tuple[float, ...], ...]

    @property
    def seconds(self) -> float:
        """Seconds of all windows."""
        return sum(transcript["duration"] for transcript in self.transcripts)

    @property
    def segments(self) -> list[WhisperSegment]:
        """The segments of all windows, in order."""
        return [segment for transcript in self.transcripts for segment in transcript["segments"]]


def make_talk(language: str, seconds: float, seed: int) -> Talk:
    """Somebody says the language's sentences in a drawn order until the time is over."""
    rng = np.random.default_rng(seed)
    form = CtcFormat(_vocabulary(language, rng), False, FIELD, HOP)
    transcripts: list[Transcript] = []
    emissions: list[np.ndarray] = []
    starts: list[tuple[float, ...]] = []
    while sum(transcript["duration"] for transcript in transcripts) < seconds:
        segments: list[WhisperSegment] = []
        time = 0.0
        while True:
            text = str(rng.choice(TEXTS[language]))
            emission, begins = _hear(text, form, PACE[language], rng)
            end = round(time + (len(emission) + 1) * FRAME_S, 3)
            if end > WINDOW_S:
                break
            segments.append(_segment(text, time, end))
            emissions.append(emission)
            starts.append(begins)
            time = end
        transcripts.append(_transcript(language, segments))
    return Talk(language, form, tuple(transcripts), tuple(emissions), tuple(starts))


def _vocabulary(language: str, rng: np.random.Generator) -> Vocabulary:
    characters: Sequence[str] = ENGLISH
    if language == "ko":
        said = {c for text in TEXTS["ko"] for c in text if "가" <= c <= "힣"}
        others = rng.choice([chr(c) for c in range(0xAC00, 0xD7A4)], KOREAN_LABELS, replace=False)
        characters = sorted({*said, *map(str, others)})
    return Vocabulary({c: i for i, c in enumerate(characters, start=2)}, BLANK, DELIMITER)


def _hear(
    text: str, form: CtcFormat, pace: float, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[float, ...]]:
    """An emission of a sentence, and the seconds at which its words begin."""
    labels = form.vocabulary.labels
    usual = list(labels.values())
    frame, spoken, begins = int(rng.integers(2, 15)), dict[int, int](), list[float]()
    for word in text.split(" "):
        begins.append(frame * FRAME_S)
        for character in word.lower():
            sounds = [labels[character]] if character in labels else []
            if character.isdigit():
                sounds = list(rng.choice(usual, int(rng.integers(1, 4))))
            for label in sounds:
                spoken[frame] = label
                frame += 1 + int(rng.poisson(pace - 1))
        spoken[frame] = DELIMITER
        frame += 1 + int(rng.poisson(pace - 1))
    last = max(spoken)
    del spoken[last]
    frames = last + int(rng.integers(2, 15))
    return _emission(frames, spoken, len(usual) + 2, rng), tuple(begins)


def _emission(
    frames: int, spoken: dict[int, int], size: int, rng: np.random.Generator
) -> np.ndarray:
    noise = rng.gumbel(size=(frames, size)) - 5.0
    noise[:, BLANK] = rng.normal(6.0, 1.0, frames)
    invented = np.flatnonzero(rng.random(frames) < INVENTED)
    noise[invented, rng.integers(2, size, len(invented))] += 9.0
    for frame, label in spoken.items():
        chance = rng.random()
        if chance < MISSED:
            continue
        heard = int(rng.integers(2, size)) if chance < MISSED + MISTAKEN else label
        noise[frame, BLANK] = rng.normal(0.0, 1.0)
        noise[frame, heard] = rng.normal(6.0, 2.0)
    shifted = noise - noise.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)


def _segment(text: str, start: float, end: float) -> WhisperSegment:
    words = [
        WhisperWord(word=f" {word}", row_start=0, row_end=0, score=0.5) for word in text.split()
    ]
    return {"start": start, "end": end, "text": text, "avg_logprob": -0.2, "words": words}


def _transcript(language: str, segments: list[WhisperSegment]) -> Transcript:
    return Transcript(
        language=language,
        language_probability=None,
        duration=segments[-1]["end"],
        no_speech_probability=0.0,
        compression_ratio=1.0,
        segments=segments,
        flags=[],
    )
