"""What a window says depends on that window alone."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tiny_whisper import CPU, FIRST_TIMESTAMP

from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.segments import split_segments
from voiceman.serving.whisper.window import Window, WindowResult

EngineOf = Callable[..., Engine]
# No decode is certain of every token, so every one is repeated at every temperature.
NEVER_GOOD = {"min_avg_logprob": 0.0, "no_speech_threshold": 1.0}
SIZES = [
    {"slots": 7, "line": 7, "steps_per_look": 3},
    {"slots": 3, "line": 2, "steps_per_look": 16},
    {"slots": 4, "line": 3, "steps_per_look": 1, "workers": 2},
]


def windows(sounds: Sequence[Waveform]) -> list[Window]:
    """With and without timestamps, languages, prompts and temperatures."""
    temperatures = [(0.0,), (0.0, 0.5, 1.0), (0.3, 1.0), (0.0, 1.0)]
    return [
        Window(
            sound,
            language=("", "ko", "")[index % 3],
            options=WindowOptions(
                timestamps=index % 3 != 0,
                max_new_tokens=24 + index,
                initial_prompt="voiceman" if index % 4 == 1 else "",
                temperatures=temperatures[index % 4],
                **NEVER_GOOD,
            ),
        )
        for index, sound in enumerate(sounds)
    ]


def decode_all(
    engine: Engine, windows: Sequence[Window], order: Sequence[int]
) -> list[WindowResult]:
    """Results by window, whatever the order they were handed in."""
    futures = {index: engine.submit(windows[index]) for index in order}
    return [futures[index].result(timeout=120) for index in range(len(windows))]


@pytest.fixture(scope="module", params=["fp32", "int8"])
def alone(
    request: pytest.FixtureRequest, tiny: Checkpoint, sounds: list[Waveform]
) -> tuple[str, list[Window], list[WindowResult]]:
    """Every window by itself; the precision, the windows and their results."""
    mine = windows(sounds[1:8])
    with Engine(tiny, EngineSettings(slots=1, precision=request.param), CPU) as engine:
        return request.param, mine, [engine.submit(each).result(timeout=120) for each in mine]


@pytest.mark.parametrize("size", SIZES)
def test_neighbours_order_slots_and_workers_do_not_change_what_is_said(
    alone: tuple[str, list[Window], list[WindowResult]],
    tiny: Checkpoint,
    engine_of: EngineOf,
    size: dict[str, int],
) -> None:
    precision, mine, expected = alone
    engine = engine_of(tiny, precision=precision, **size)
    order = np.random.default_rng(size["slots"]).permutation(len(mine)).tolist()
    for said, wanted in zip(decode_all(engine, mine, order), expected, strict=True):
        assert said.tokens == wanted.tokens
        assert said.transcript["flags"] == wanted.transcript["flags"]
        if precision == "int8":  # bit for bit: no product knows of another row
            assert said.transcript == wanted.transcript
            assert said.cross_attention.tobytes() == wanted.cross_attention.tobytes()
    again = sum(len(each.options.temperatures) - 1 for each in mine)
    assert engine.counters().decodes_again >= again > 5


@pytest.mark.parametrize("precision", ["fp32", "int8", "bf16"])
def test_with_fixed_shapes_no_neighbour_changes_a_bit(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, precision: str
) -> None:
    engine = engine_of(tiny, slots=4, line=7, precision=precision, fixed=True)
    mine = windows(sounds[1:8])
    alone = [engine.submit(each).result(timeout=120) for each in mine]
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(mine)).tolist()
        for said, wanted in zip(decode_all(engine, mine, order), alone, strict=True):
            assert said.transcript == wanted.transcript
            assert said.cross_attention.tobytes() == wanted.cross_attention.tobytes()


def test_a_window_among_copies_of_itself_says_the_same(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine = engine_of(tiny, slots=3)
    (window,) = windows(sounds[2:3])
    said = decode_all(engine, [window] * 5, range(5))
    assert len({each.tokens for each in said}) == 1


def test_the_rest_of_a_window_is_drawn_like_a_window_of_its_own(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    """What is drawn is a function of the sound: where it was cut from does not matter."""
    engine = engine_of(tiny, slots=2)
    options = WindowOptions(max_new_tokens=60, temperatures=(0.7, 0.9), **NEVER_GOOD)
    found = 0
    for sound in sounds:
        first, *further = engine.submit(Window(sound, "ko", options)).result(timeout=120).tokens
        resume_s = split_segments(first, FIRST_TIMESTAMP, len(sound) / 16000).resume_s
        if resume_s is not None:
            rest = Window(sound[round(resume_s * 16000) :], "ko", options)
            assert engine.submit(rest).result(timeout=120).tokens == tuple(further)
            found += 1
    assert found >= 2
