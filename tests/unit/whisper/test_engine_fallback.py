"""Decoding again inside the engine: when, from what, and what the evidence says of it."""

from collections.abc import Callable

import pytest

from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window, WindowResult

EngineOf = Callable[..., Engine]


def ask(engine: Engine, sound: Waveform, language: str = "ko", **options: object) -> WindowResult:
    """One decode per window, however it is repeated: without timestamps nothing is decoded on."""
    chosen = WindowOptions(**{"timestamps": False, "max_new_tokens": 40, **options})
    return engine.submit(Window(sound, language, chosen)).result(timeout=60)


def kinds(result: WindowResult) -> set[str]:
    return {flag["kind"] for flag in result.transcript["flags"]}


@pytest.fixture
def engine(tiny: Checkpoint, engine_of: EngineOf) -> Engine:
    return engine_of(tiny, slots=2)


def test_decoding_again_keeps_what_the_encoder_said(engine: Engine, sounds: list[Waveform]) -> None:
    result = ask(
        engine, sounds[1], temperatures=(0.2, 0.4, 1.0), min_avg_logprob=0.0, no_speech_threshold=1
    )
    assert engine.counters().encodings == 1
    assert engine.counters().decodes_again == 2
    assert len(result.tokens) == 1  # of the decode that was kept
    assert {"decoded_again", "low_confidence"} <= kinds(result)
    (flag,) = [each for each in result.transcript["flags"] if each["kind"] == "decoded_again"]
    assert "best of 3 decodes" in flag["detail"]


def test_one_temperature_never_decodes_again(engine: Engine, sounds: list[Waveform]) -> None:
    result = ask(
        engine, sounds[1], temperatures=(0.0,), min_avg_logprob=0.0, max_compression_ratio=0.01
    )
    assert engine.counters().decodes_again == 0
    assert "decoded_again" not in kinds(result)
    assert {"low_confidence", "repetition_loop"} <= kinds(result)


def test_a_good_decode_is_not_repeated(engine: Engine, sounds: list[Waveform]) -> None:
    result = ask(engine, sounds[1], min_avg_logprob=-99.0, max_compression_ratio=99.0)
    greedy = ask(engine, sounds[1], temperatures=(0.0,))
    assert engine.counters().decodes_again == 0
    assert result.tokens == greedy.tokens
    assert not {"decoded_again", "low_confidence", "repetition_loop"} & kinds(result)


def test_a_decode_that_is_taken_for_silence_is_not_repeated(
    engine: Engine, sounds: list[Waveform]
) -> None:
    result = ask(engine, sounds[1], min_avg_logprob=0.0, no_speech_threshold=-1)
    assert engine.counters().decodes_again == 0
    assert {"no_speech", "low_confidence"} <= kinds(result)


def test_a_loop_is_drawn_until_it_is_none(engine: Engine, sounds: list[Waveform]) -> None:
    """The limit is put just below the ratio of the greedy text, so that this text is a loop."""
    greedy = ask(engine, sounds[3], temperatures=(0.0,), min_avg_logprob=-99.0)
    ratio = greedy.transcript["compression_ratio"]
    limits = {"min_avg_logprob": -99.0, "max_compression_ratio": ratio - 1e-6}
    drawn = ask(engine, sounds[3], temperatures=(0.0, 0.6, 0.8, 1.0), **limits)
    assert 1 <= engine.counters().decodes_again <= 3
    assert drawn.transcript["compression_ratio"] < ratio
    assert "decoded_again" in kinds(drawn)
    assert "repetition_loop" not in kinds(drawn)


def test_the_likelier_of_bad_decodes_is_kept(engine: Engine, sounds: list[Waveform]) -> None:
    """Greedy decoding is all but always the likelier one; it is kept without a flag."""
    greedy = ask(engine, sounds[1], temperatures=(0.0,))
    kept = ask(
        engine, sounds[1], temperatures=(0.0, 1.0), min_avg_logprob=0.0, no_speech_threshold=1
    )
    assert engine.counters().decodes_again == 1
    assert kept.tokens == greedy.tokens
    assert "decoded_again" not in kinds(kept)


def test_the_language_is_that_of_the_first_decode(engine: Engine, sounds: list[Waveform]) -> None:
    once = ask(engine, sounds[1], "", temperatures=(0.9,)).transcript
    again = ask(
        engine, sounds[1], "", temperatures=(0.0, 0.9), min_avg_logprob=0.0, no_speech_threshold=1
    ).transcript
    for name in ("language", "language_probability"):
        assert again[name] == once[name]


def test_the_rest_of_a_window_begins_at_the_first_temperature(
    engine: Engine, sounds: list[Waveform]
) -> None:
    """Each piece of a window is repeated by itself; what was kept before it stays."""
    temperatures = (0.0, 0.5, 1.0)
    never_good = {"min_avg_logprob": 0.0, "no_speech_threshold": 1}
    pieces = 0
    for sound in sounds[3:]:
        result = ask(engine, sound, timestamps=True, temperatures=temperatures, **never_good)
        pieces += len(result.tokens)
    assert pieces > len(sounds[3:])
    assert engine.counters().encodings == pieces
    assert engine.counters().decodes_again == 2 * pieces
