"""The driver on a device that lags behind the host, as CUDA does: played on the CPU."""

from collections.abc import Callable, Iterator
from itertools import accumulate, cycle

import pytest
import torch
from tiny_whisper import Oracle

from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper import batch as batch_module
from voiceman.serving.whisper.batch import CUDA_STEPS_PER_LOOK, Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.encoder import Encoder, Encoding
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window


@pytest.fixture
def lagging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Encodings that are ready late, looks that are read late; gives what happened, in order."""
    events: list[str] = []
    ready = cycle((False, False, True))
    launch, encode = Batch.launch, Encoder.encode

    def lag_launch(batch: Batch, *arguments: int) -> batch_module.Look:
        look = launch(batch, *arguments)
        events.append("launch")
        return look

    def lag_encode(encoder: Encoder, placements: list) -> Encoding:
        events.append("encode")
        return encode(encoder, placements)

    def read(look: batch_module.Look) -> list[bool]:
        events.append("read")
        return look.flags.tolist()

    monkeypatch.setattr(Batch, "looks_ahead", property(lambda _: 1))
    monkeypatch.setattr(Batch, "steps_per_look", property(lambda _: CUDA_STEPS_PER_LOOK))
    monkeypatch.setattr(Batch, "launch", lag_launch)
    monkeypatch.setattr(Encoder, "encode", lag_encode)
    monkeypatch.setattr(Encoding, "ready", lambda _: next(ready))
    monkeypatch.setattr(batch_module.Look, "done", read)
    yield events


@pytest.fixture
def decode_all(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: Callable[..., Engine]
) -> Callable[[Engine], list[list[int]]]:
    """Tokens of all sounds, every third without timestamps."""

    def decode(engine: Engine) -> list[list[int]]:
        windows = [
            WindowOptions(timestamps=index % 3 != 0, max_new_tokens=100, temperatures=(0.0,))
            for index in range(len(sounds))
        ]
        futures = [
            engine.submit(Window(sound, options=options))
            for sound, options in zip(sounds, windows, strict=True)
        ]
        return [list(future.result(timeout=60).tokens[0]) for future in futures]

    return lambda **settings: decode(engine_of(tiny, **settings))


@pytest.fixture(scope="module")
def expected(oracle: Oracle, sounds: list[Waveform]) -> list[list[int]]:
    return [oracle.tokens(sound, index % 3 != 0) for index, sound in enumerate(sounds)]


@pytest.mark.parametrize("slots", [1, 3, 9])
def test_a_lagging_device_gives_the_same_answers(
    decode_all: Callable[..., list[list[int]]],
    expected: list[list[int]],
    lagging: list[str],
    slots: int,
) -> None:
    assert decode_all(slots=slots) == expected
    # The next steps are handed over before the look at the last ones is read.
    ahead = accumulate({"launch": 1, "read": -1}.get(event, 0) for event in lagging)
    assert max(ahead) > 1


def test_a_device_without_memory_is_given_less_to_do(
    decode_all: Callable[..., list[list[int]]],
    expected: list[list[int]],
    lagging: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = iter((False, True, False, True))
    load, sizes = Encoder._load, []

    def sometimes_full(encoder: Encoder, sounds: list, slots: list) -> None:
        if "launch" in lagging and next(full, False):
            sizes.append(encoder)
            raise torch.OutOfMemoryError("CUDA out of memory")
        load(encoder, sounds, slots)

    monkeypatch.setattr(Encoder, "_load", sometimes_full)
    assert decode_all(slots=4) == expected
    assert len(sizes) == 2
