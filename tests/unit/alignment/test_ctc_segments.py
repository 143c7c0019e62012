from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.ctc_labels import Vocabulary
from voiceman.analysis.ctc_network import CtcFormat
from voiceman.analysis.ctc_segments import ctc_words, replace_words
from voiceman.analysis.word_times import align_words
from voiceman.errors import WeightsError
from voiceman.evidence import AlignedTranscript, Transcript, WhisperWord

HOP, FIELD = 320, 400
FRAME_S = 0.02
LOUDNESS = 1000
VOCABULARY = Vocabulary({"|": 1, "a": 2, "b": 3, "c": 4}, 0, 1)
FORM = CtcFormat(VOCABULARY, normalised=False, receptive_field=FIELD, hop=HOP)


def network(samples: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Hears in every frame the label whose loudness the frame has, rather certainly."""
    del lengths
    frames = FORM.frames(samples.shape[1])
    heard = np.rint(samples[:, : frames * HOP : HOP] * 32768 / LOUDNESS).astype(int)
    probabilities = np.full((*heard.shape, 5), 0.025, np.float32)
    np.put_along_axis(probabilities, heard[..., np.newaxis], 0.9, axis=-1)
    return np.log(probabilities)


def say(spoken: dict[int, int], seconds: float) -> np.ndarray:
    """A waveform whose frames say the given labels, and blank otherwise, never digital silence."""
    waveform = np.ones(round(seconds * 16_000), np.int16)
    for frame, label in spoken.items():
        waveform[frame * HOP : (frame + 1) * HOP] = LOUDNESS * label
    return waveform


def transcript(duration: float, *segments: tuple[float, float, list[str]]) -> Transcript:
    rows = iter(range(1000))
    return Transcript(
        language="en",
        language_probability=None,
        duration=duration,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        segments=[
            {
                "start": start,
                "end": end,
                "text": "".join(words).strip(),
                "avg_logprob": -0.2,
                "words": [
                    WhisperWord(word=word, row_start=row, row_end=row + 1, score=0.5)
                    for word, row in zip(words, rows, strict=False)
                ],
            }
            for start, end, words in segments
        ],
        flags=[],
    )


def attention(heard: Transcript, seed: int = 0) -> np.ndarray:
    rows = sum(len(segment["words"]) for segment in heard["segments"]) + 1
    shape = rows, max(1, round(heard["duration"] * 50))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def align(waveform: np.ndarray, heard: Transcript) -> AlignedTranscript:
    (found,) = ctc_words([waveform], [heard], FORM, network)
    return replace_words(heard, align_words(heard, attention(heard)), found)


def times(aligned: AlignedTranscript) -> list[tuple[float, float]]:
    return [(w["start"], w["end"]) for segment in aligned["segments"] for w in segment["words"]]


def test_words_lie_where_the_network_hears_them():
    sound = say({10: 2, 20: 3, 30: 1, 40: 4, 110: 3, 120: 4}, 3.0)
    aligned = align(sound, transcript(3.0, (0.0, 2.0, [" ab", " c"]), (2.0, 3.0, [" bc"])))
    # A frame of the cut lasts a trifle longer: 1.975 s hold 99 frames of 2 s.
    expected = [(0.2, 0.6), (0.8, 0.82), (2.2, 2.42)]
    np.testing.assert_allclose(times(aligned), expected, atol=FRAME_S)
    assert aligned["aligner"] == "ctc"
    assert [segment["aligner"] for segment in aligned["segments"]] == ["ctc", "ctc"]
    assert [(s["start"], s["end"]) for s in aligned["segments"]] == [(0.0, 2.0), (2.0, 3.0)]
    assert aligned["segments"][0]["words"][0]["score"] == pytest.approx(0.9)
    assert aligned["flags"] == []


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        ((1.0, 1.1, [" abcabc"]), "6 labels do not fit into 4 frames"),
        ((1.0, 1.04, [" ab"]), "too short: 0.04 s of sound, 0.045 s are needed"),
        ((1.0, 1.0, [" ab"]), "too short: 0.00 s of sound, 0.045 s are needed"),
        ((1.0, 1.5, [""]), "nothing to look for"),
        ((1.0, 1.5, [" a"]), "digital silence"),
    ],
)
def test_a_segment_that_cannot_be_aligned_keeps_its_times_and_says_why(segment, reason):
    sound = say({10: 2, 60 + 40: 3}, 3.0)
    if reason == "digital silence":
        sound[16_000:24_000] = 0
    heard = transcript(3.0, (0.0, 1.0, [" a"]), segment, (1.6, 3.0, [" b"]))
    aligned = align(sound, heard)
    assert [s["aligner"] for s in aligned["segments"]] == ["ctc", "whisper-cross-attention", "ctc"]
    (flag,) = (flag for flag in aligned["flags"] if flag["kind"] == "aligned_by_attention")
    assert (flag["start"], flag["end"], flag["detail"]) == (*segment[:2], reason)
    # What cross-attention says gives way to its neighbours.
    assert (aligned["segments"][0]["words"][0]["start"]) == pytest.approx(0.2, abs=FRAME_S)
    assert (aligned["segments"][2]["words"][0]["start"]) == pytest.approx(2.0, abs=FRAME_S)


def test_a_network_that_gives_no_numbers_is_no_aligner():
    heard = transcript(1.0, (0.0, 1.0, [" a"]))
    (found,) = ctc_words([say({}, 1.0)], [heard], FORM, lambda s, n: network(s, n) * np.nan)
    assert found == ["the network's output is not finite"]


@given(
    st.lists(
        st.tuples(st.floats(0, 6), st.lists(st.text("abc7 é", max_size=5), max_size=4)), max_size=8
    ),
    st.integers(0, 99),
)
def test_every_word_has_times_in_order_and_inside_its_segment(
    parts: list[tuple[float, list[str]]], seed: int
):
    edges = sorted(edge for edge, _ in parts)
    starts = [0.0, *edges]
    heard = transcript(
        6.0, *[(a, b, words) for a, b, (_, words) in zip(starts, edges, parts, strict=False)]
    )
    sound = np.random.default_rng(seed).integers(0, 5, 300).repeat(HOP).astype(np.int16) * LOUDNESS
    aligned = align(sound, heard)
    said = [word["word"] for segment in heard["segments"] for word in segment["words"]]
    timed = [word for segment in aligned["segments"] for word in segment["words"]]
    assert [word["word"] for word in timed] == said
    for before, after in pairwise(times(aligned)):
        assert before[1] <= after[0]
    for segment in aligned["segments"]:
        assert 0 <= segment["start"] <= segment["end"] <= 6.0
        for word in segment["words"]:
            assert segment["start"] <= word["start"] <= word["end"] <= segment["end"]


def test_windows_share_batches_and_get_what_they_get_alone():
    heard = [
        transcript(3.0, *[(0.3 * i, 0.3 * i + 0.29, [" a", " 7"]) for i in range(10)]),
        transcript(3.0),
        transcript(3.0, (0.0, 0.0, []), (0.4, 2.9, [" abc", " c"])),
        transcript(30.0, *[(0.7 * i, 0.7 * i + 0.69, [" cab"]) for i in range(40)]),
    ]
    rng = np.random.default_rng(0)
    sounds = [say(dict(enumerate(rng.integers(0, 5, 1400))), t["duration"]) for t in heard]
    together = ctc_words(sounds, heard, FORM, network)
    alone = [ctc_words([s], [t], FORM, network)[0] for s, t in zip(sounds, heard, strict=True)]
    assert together == alone
    assert [len(found) for found in together] == [10, 0, 2, 40]
    assert together[2][0] == []


def test_the_format_survives_its_file():
    assert CtcFormat.from_json(FORM.to_json()) == FORM
    for broken in ("", "[]", "{}", '{"vocabulary": {}}'):
        with pytest.raises(WeightsError, match="not the format"):
            CtcFormat.from_json(broken)
