"""When a window is decoded again, which decode is kept, and what is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.options import WindowOptions
from voiceman.serving.whisper.fallback import (
    Attempt,
    Draw,
    best,
    compression_ratio,
    draw_for,
    is_good,
)

OPTIONS = WindowOptions()
LOOP = "아 네 고객님 " * 20
SOUND = np.linspace(-0.5, 0.5, 4000, dtype=np.float32)


def attempt(
    logprob: float = -0.3, text: str = "고객님, 주문하신 상품입니다", no_speech: float = 0.0
) -> Attempt:
    return Attempt(0.0, tuple(text.encode()), text, (logprob, logprob), True, no_speech)


texts = st.sampled_from(["", "네", "고객님, 주문하신 상품입니다", LOOP, "x" * 300])
attempts = st.builds(attempt, st.floats(-20, 0), texts, st.floats(0, 1))


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (attempt(), True),
        (attempt(text=LOOP), False),
        (attempt(-1.01), False),
        (attempt(-1.0), True),  # the threshold itself passes, as in openai/whisper
        (attempt(-1.01, no_speech=0.61), True),  # silence: another decode would not help
        (attempt(-1.01, no_speech=0.6), False),
        (attempt(-0.1, text=LOOP, no_speech=0.99), False),  # likely, so not silence: a loop
        (attempt(-1.01, text=LOOP, no_speech=0.99), True),
        (attempt(text=""), True),
    ],
)
def test_a_decode_is_good_when_it_is_neither_loop_nor_guess(said: Attempt, good: bool) -> None:
    assert is_good(said, OPTIONS) == good


@given(attempts)
def test_the_rule_is_that_of_openai(said: Attempt) -> None:
    """Too repetitive or too unlikely is not good, unless it is unlikely and taken for silence."""
    repetitive = said.compression_ratio > OPTIONS.max_compression_ratio
    unlikely = said.avg_logprob < OPTIONS.min_avg_logprob
    silence = unlikely and said.no_speech_probability > OPTIONS.no_speech_threshold
    assert is_good(said, OPTIONS) == (silence or not (repetitive or unlikely))


def test_the_average_counts_end_of_text_and_the_ratio_counts_bytes() -> None:
    said = Attempt(0.0, (1, 2), "가", (-0.5, -1.0, -3.0), True, 0.0)
    assert said.avg_logprob == pytest.approx(-1.5)
    assert compression_ratio("가") < 1  # three bytes, and zlib's header is longer
    assert compression_ratio("") == 0
    assert compression_ratio(LOOP) > OPTIONS.max_compression_ratio


def test_nothing_generated_is_not_unlikely() -> None:
    assert Attempt(0.0, (), "", (), False, 0.0).avg_logprob == 0


@given(st.lists(attempts, min_size=1, max_size=6))
def test_the_best_decode_is_good_if_any_is_and_does_not_loop_if_any_does_not(
    said: list[Attempt],
) -> None:
    said = [*{each.tokens: each for each in said}.values()]
    kept = best(said, OPTIONS)
    assert kept in said
    rivals = [each for each in said if is_good(each, OPTIONS)] or said
    rivals = [
        each for each in rivals if each.compression_ratio <= OPTIONS.max_compression_ratio
    ] or rivals
    assert kept.avg_logprob == max(each.avg_logprob for each in rivals)
    assert is_good(kept, OPTIONS) == any(is_good(each, OPTIONS) for each in said)


def test_of_equals_the_first_is_kept() -> None:
    said = [attempt(-2.0, "a"), attempt(-2.0, "b")]
    assert best(said, OPTIONS) is said[0]


def test_of_decodes_that_say_the_same_the_first_is_kept() -> None:
    """Their log-probabilities differ by rounding alone, which depends on neighbours."""
    greedy, other, drawn = attempt(-2.0, "a"), attempt(-2.5, "b"), attempt(-2.0 + 1e-7, "a")
    assert best([greedy, other, drawn], OPTIONS) is greedy


def test_the_likeliest_token_needs_no_noise() -> None:
    assert draw_for(SOUND, 0, OPTIONS) == Draw()
    assert Draw().noise(5) == []


def test_what_is_drawn_depends_on_sound_and_attempt_alone() -> None:
    first, second = (draw_for(SOUND, index, OPTIONS) for index in (1, 2))
    assert (first.temperature, second.temperature) == OPTIONS.temperatures[1:3]
    assert first.noise(50) != second.noise(50)
    assert first.noise(50) == draw_for(SOUND.copy(), 1, OPTIONS).noise(50)
    assert first.noise(50) == draw_for(np.repeat(SOUND, 2)[::2], 1, OPTIONS).noise(50)  # strided
    other = SOUND.copy()
    other[100] += 1e-4
    assert first.noise(50) != draw_for(other, 1, OPTIONS).noise(50)


def test_a_shorter_draw_begins_like_a_longer_one() -> None:
    draw = draw_for(SOUND, 3, OPTIONS)
    assert draw.noise(30) == draw.noise(224)[:30]


def test_noise_never_changes_between_releases() -> None:
    """Whoever decodes a window again years later must draw the same tokens."""
    expected = [number * 2**-24 for number in (7487096, 8209520, 12122291, 7266011)]
    assert Draw(0.4, bytes(range(32))).noise(4) == expected


@given(st.binary(min_size=32, max_size=32))
def test_noise_is_from_0_to_below_1_and_fits_into_fp32(seed: bytes) -> None:
    noise = np.array(Draw(1.0, seed).noise(444))
    assert (noise >= 0).all()
    assert (noise < 1).all()
    assert (noise.astype(np.float32) == noise).all()
    assert noise.astype(np.float32).max() < 1
    assert len(set(noise.tolist())) > 400
