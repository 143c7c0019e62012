"""A short window does not wait for long ones. Answers are counted in their order, not timed."""

from collections.abc import Callable, Sequence

from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window

EngineOf = Callable[..., Engine]
SHORT = WindowOptions(timestamps=False, max_new_tokens=2, temperatures=(0.0,))


def hopeless(decodes: int) -> WindowOptions:
    """As many decodes of up to 60 tokens for every piece of the window."""
    temperatures = tuple(index / 10 for index in range(decodes))
    return WindowOptions(
        max_new_tokens=60, temperatures=temperatures, min_avg_logprob=0.0, no_speech_threshold=1.0
    )


def answered(engine: Engine, windows: Sequence[tuple[str, Window]]) -> list[str]:
    """Names in the order of their answers."""
    names: list[str] = []
    for name, window in windows:
        future = engine.submit(window)
        future.add_done_callback(lambda _, name=name: names.append(name))
    engine.close()  # answers everything
    assert sorted(names) == sorted(name for name, _ in windows)
    return names


def test_a_short_window_beside_long_ones_is_answered_first(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine = engine_of(tiny, slots=4, line=4)
    long = [("long", Window(sounds[index], "ko", hopeless(6))) for index in (0, 4, 8)]
    names = answered(engine, [*long, ("short", Window(sounds[1], "ko", SHORT))])
    assert names == ["short", "long", "long", "long"]


def test_a_short_window_takes_the_first_slot_that_is_free(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    """Slots are full of windows that decode on and fall back; none waits for all of them."""
    engine = engine_of(tiny, slots=2, line=4)
    windows = [
        ("longest", Window(sounds[4], "ko", hopeless(10))),
        ("long", Window(sounds[1], "ko", hopeless(2))),
        ("short", Window(sounds[1], "ko", SHORT)),
        ("shorter", Window(sounds[1], "ko", SHORT)),
    ]
    assert answered(engine, windows) == ["long", "short", "shorter", "longest"]


def test_a_short_window_behind_a_burst_waits_for_no_more_than_the_line_before_it(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    """When it has a slot, at most those in the other slots can still be under way."""
    engine = engine_of(tiny, slots=3, line=12)
    long = [("long", Window(sounds[index], "ko", hopeless(3 + index))) for index in range(7)]
    names = answered(engine, [*long, ("short", Window(sounds[1], "ko", SHORT))])
    assert names.count("long") - names.index("short") <= 2
