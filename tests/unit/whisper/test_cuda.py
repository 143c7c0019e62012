"""What only a CUDA device can show; `make gpu-check` measures the rest."""

from collections.abc import Iterator

import pytest
import torch
from test_batch import LIMIT, finish, placement, text_of
from tiny_whisper import Oracle

from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.memory import smaller
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.window import Window

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CUDA = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def exact_fp32() -> Iterator[None]:
    """Convolutions in fp32, not in TF32, which torch allows by default."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        yield
    torch.backends.cudnn.allow_tf32 = allowed


def new_batch(tiny: Checkpoint, slots: int) -> Batch:
    return Batch(tiny, build_network(tiny, choose_precision("fp32", CUDA), CUDA), slots)


def decode(tiny: Checkpoint, batch: Batch, sounds: list[Waveform]) -> list[list[int]]:
    placements = [placement(tiny, slot, sound) for slot, sound in enumerate(sounds)]
    batch.encode(placements)  # the device waits for the encoder, the host does not
    batch.begin(placements)
    finish(batch, len(sounds))
    return [text_of(tiny, batch, slot) for slot in range(len(sounds))]


def test_recordings_say_what_eager_work_says(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    eager = decode(tiny, new_batch(tiny, 5), sounds[:5])
    batch = new_batch(tiny, 5)
    batch.warm_up()
    assert decode(tiny, batch, sounds[:5]) == eager
    assert decode(tiny, batch, sounds[4:9]) == decode(tiny, new_batch(tiny, 5), sounds[4:9])
    assert eager == [oracle.tokens(sound, True, limit=LIMIT) for sound in sounds[:5]]


def test_nothing_is_recorded_after_the_warm_up(
    tiny: Checkpoint, sounds: list[Waveform], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = new_batch(tiny, 3)
    batch.warm_up()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("recorded after the warm-up")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    decode(tiny, batch, sounds[:3])
    assert batch.attention(0, [1], [2, 3], 1500).shape == (3, 1500)


def test_decoding_goes_on_while_windows_are_encoded(
    tiny: Checkpoint, sounds: list[Waveform]
) -> None:
    alone = decode(tiny, new_batch(tiny, 1), sounds[:1])
    batch = new_batch(tiny, 4)
    batch.warm_up()
    first = placement(tiny, 0, sounds[0])
    batch.encode([first])
    batch.begin([first])
    for furthest in range(0, 60, 4):
        look = batch.launch(1, 4, furthest)
        others = [placement(tiny, slot, sounds[slot]) for slot in (1, 2, 3)]
        batch.encode(others)  # again and again, beside the row that is stepped
        if look.done() == [True]:
            break
    assert [text_of(tiny, batch, 0)] == alone


def test_a_smaller_batch_takes_over(tiny: Checkpoint, sounds: list[Waveform]) -> None:
    batch = new_batch(tiny, 4)
    batch.warm_up()
    before = decode(tiny, batch, sounds[:3])
    held = torch.cuda.memory_allocated(CUDA)
    batch = smaller(batch)
    assert batch.slots == 3
    assert torch.cuda.memory_allocated(CUDA) < held
    assert decode(tiny, batch, sounds[:3]) == before


def test_the_engine_answers_on_cuda(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    options = WindowOptions(timestamps=False, max_new_tokens=LIMIT, temperatures=(0.0,))
    with Engine(tiny, EngineSettings(slots=3), CUDA) as engine:
        futures = [engine.submit(Window(sound, "", options)) for sound in sounds]
        results = [future.result(timeout=60) for future in futures]
    for result, sound in zip(results, sounds, strict=True):
        assert list(result.tokens[0]) == oracle.tokens(sound, False, limit=LIMIT)
