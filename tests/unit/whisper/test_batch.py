"""The seam between the engine and the device."""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
import torch
from tiny_whisper import CPU, Oracle

from voiceman.audio import Waveform
from voiceman.serving.graphs import Work
from voiceman.serving.whisper import batch as batch_module
from voiceman.serving.whisper import encoder as encoder_module
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.encoder import Placement
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.packing import pack, row_at, unpack, write
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.prompt import task_prompt
from voiceman.serving.whisper.rows import Rows, RowStart, new_rows

LIMIT = 40


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def new_batch(tiny: Checkpoint, slots: int) -> Batch:
    return Batch(tiny, build_network(tiny, choose_precision("fp32", CPU), CPU), slots)


def placement(
    tiny: Checkpoint, slot: int, sound: Waveform, *, timestamps: bool = True, limit: int = LIMIT
) -> Placement:
    prompt = task_prompt(tiny.special, None)
    if not timestamps:
        prompt.append(tiny.special.no_timestamps)
    start = RowStart(prompt, 0, detect_language=True, with_timestamps=timestamps, limit=limit)
    return Placement(slot, sound, start)


def place(batch: Batch, placements: list[Placement]) -> None:
    batch.encode(placements).wait()
    batch.begin(placements)


def finish(batch: Batch, count: int, steps: int = 5) -> None:
    for furthest in range(0, 60, steps):
        if all(batch.launch(count, steps, furthest).done()):
            return
    raise AssertionError("60 steps were not enough")


def text_of(tiny: Checkpoint, batch: Batch, slot: int) -> list[int]:
    tokens = batch.output(slot).tokens
    return tokens[:-1] if tokens[-1] == tiny.special.end_of_text else tokens


def test_windows_go_through_in_any_slots(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    batch = new_batch(tiny, 4)
    placements = [placement(tiny, slot, sounds[slot], timestamps=slot > 1) for slot in (3, 0, 2)]
    encoding = batch.encode(placements)
    encoding.wait()
    assert encoding.ready()
    assert encoding.placements == tuple(placements)
    batch.begin(placements)
    finish(batch, 4)
    for slot in (0, 2, 3):
        expected = oracle.tokens(sounds[slot], slot > 1, limit=LIMIT)
        assert text_of(tiny, batch, slot) == expected


def test_a_window_may_be_encoded_while_others_are_decoded(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    batch = new_batch(tiny, 2)
    first, second = (placement(tiny, slot, sounds[slot]) for slot in (0, 1))
    batch.encode([first])
    batch.begin([first])
    batch.launch(1, 4, 0)
    batch.encode([second])
    assert batch.launch(2, 4, 4).done() == [False, True]  # encoded, and not begun
    batch.begin([second])
    finish(batch, 2)
    for slot in (0, 1):
        assert text_of(tiny, batch, slot) == oracle.tokens(sounds[slot], True, limit=LIMIT)


def test_a_window_may_be_decoded_again_without_encoding_it(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    batch = new_batch(tiny, 1)
    place(batch, [placement(tiny, 0, sounds[2])])
    finish(batch, 1)
    batch.begin([placement(tiny, 0, sounds[2], timestamps=False)])
    finish(batch, 1)
    assert text_of(tiny, batch, 0) == oracle.tokens(sounds[2], False, limit=LIMIT)


def test_a_look_shows_its_own_moment(tiny: Checkpoint, sounds: list[Waveform]) -> None:
    batch = new_batch(tiny, 1)
    place(batch, [placement(tiny, 0, sounds[0], limit=2)])
    early, late = batch.launch(1, 1, 0), batch.launch(1, 8, 1)
    assert late.done() == [True]
    assert early.done() == [False]


def test_a_stopped_row_stands_still(tiny: Checkpoint, sounds: list[Waveform]) -> None:
    batch = new_batch(tiny, 1)
    place(batch, [placement(tiny, 0, sounds[0])])
    batch.launch(1, 8, 0)
    batch.stop(0)
    said = batch.output(0)
    assert batch.launch(1, 8, 8).done() == [True]
    assert batch.output(0) == said


def test_warming_up_records_every_shape_once(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[Work] = []
    replayed: list[Work] = []

    def record(work: Work) -> Work:
        work()  # as a recording does
        recorded.append(work)

        def replay() -> None:
            replayed.append(work)
            work()

        return replay

    for module in (batch_module, encoder_module):
        monkeypatch.setattr(module, "recorder", lambda _: record)
    batch = new_batch(tiny, 2)
    batch.warm_up()
    assert len(recorded) == 1 + 2 * 7  # encoder; rows and lengths
    place(batch, [placement(tiny, slot, sounds[slot]) for slot in (0, 1)])
    finish(batch, 2)
    for slot in (0, 1):
        assert text_of(tiny, batch, slot) == oracle.tokens(sounds[slot], True, limit=LIMIT)
    assert len(recorded) == 1 + 2 * 7
    assert len(replayed) > 1


def some_rows(count: int, positions: int = 6) -> Rows:
    """Rows with other bits in every field, the widest integers and odd reals among them."""
    rows, generator = new_rows(count, positions, CPU), np.random.default_rng(3)
    for field in fields(Rows):
        values: torch.Tensor = getattr(rows, field.name)
        drawn = generator.integers(-(2**63), 2**63, values.shape)
        if values.dtype == torch.float32:
            drawn = generator.standard_normal(values.shape) * 1e-30
        values.copy_(torch.from_numpy(drawn > 0 if values.dtype == torch.bool else drawn))
    return rows


def test_packed_rows_come_back_bit_for_bit() -> None:
    rows = some_rows(3)
    rows.logprobs[0, :3] = torch.tensor([-torch.inf, -0.0, 1e-45])
    back = unpack(pack(rows), rows)
    for field in fields(Rows):
        before, after = getattr(rows, field.name), getattr(back, field.name)
        assert before.dtype == after.dtype
        assert before.numpy().tobytes() == after.contiguous().numpy().tobytes()


def test_rows_are_written_into_their_slots_alone() -> None:
    rows, values = new_rows(4, 6, CPU), some_rows(2)
    before = pack(rows)
    write(rows, torch.tensor([3, 1]), values)
    after = pack(rows)
    assert torch.equal(after[[3, 1]], pack(values))
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert torch.equal(pack(row_at(rows, 3)), pack(values)[:1])
