"""Out of memory, with allocations that fail when a test says so."""

from collections.abc import Callable

import pytest
import torch
from test_batch import LIMIT, finish, place, placement, text_of
from tiny_whisper import CPU, Oracle

from voiceman.audio import Waveform
from voiceman.errors import ModelMemoryError
from voiceman.memory import Reading
from voiceman.options import WindowOptions
from voiceman.serving import guard
from voiceman.serving.guard import fewer
from voiceman.serving.memory import is_out_of_memory
from voiceman.serving.whisper import memory
from voiceman.serving.whisper.batch import Batch, Look
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.layers import Network, build_network
from voiceman.serving.whisper.memory import fit_batch, fixed_batch, smaller
from voiceman.serving.whisper.precision import Precision, choose_precision
from voiceman.serving.whisper.window import Window

FP32 = choose_precision("fp32", CPU)
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 4 GiB"


@pytest.fixture(autouse=True)
def without_gradients() -> object:
    with torch.inference_mode():
        yield


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let batches of more slots than fit fail; gives the sizes that were tried."""

    def make(slots_that_fit: int) -> list[int]:
        tried: list[int] = []

        def new(checkpoint: Checkpoint, network: Network, slots: int) -> Batch:
            tried.append(slots)
            if slots > slots_that_fit:
                raise torch.OutOfMemoryError(FULL)
            return Batch(checkpoint, network, slots)

        monkeypatch.setattr(memory, "Batch", new)
        return tried

    return make


def test_slots_are_cut_by_a_quarter_until_they_fit(
    tiny: Checkpoint, room: Callable[[int], list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    tried = room(3)
    batch = fit_batch(tiny, FP32, 8, CPU)
    assert tried == [8, 6, 4, 3]
    assert batch.slots == 3
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 4
    assert "no memory for 8 slots (CUDA out of memory. Tried to allocate 2.00 GiB.)" in warnings[0]
    assert "3 of 8 slots fit" in warnings[3]


def test_every_cut_is_at_least_one_slot() -> None:
    sizes = [32]
    while sizes[-1]:
        sizes.append(fewer(sizes[-1]))
    assert sizes == [32, 24, 18, 13, 9, 6, 4, 3, 2, 1, 0]


def test_a_batch_that_runs_out_of_memory_is_replaced(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    batch = fit_batch(tiny, FP32, 4, CPU)
    place(batch, [placement(tiny, 3, sounds[0])])
    after = smaller(batch)
    assert after.slots == 3
    assert after.network is batch.network
    place(after, [placement(tiny, 2, sounds[0])])
    finish(after, 3)
    assert text_of(tiny, after, 2) == oracle.tokens(sounds[0], True, limit=LIMIT)


def test_the_old_batch_is_gone_before_the_new_one_comes(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    batch = fit_batch(tiny, FP32, 4, CPU)

    def new(checkpoint: Checkpoint, network: Network, slots: int) -> Batch:
        order.append("new")
        return Batch(checkpoint, network, slots)

    monkeypatch.setattr(memory, "Batch", new)
    monkeypatch.setattr(memory, "give_back", lambda: order.append("back"))
    smaller(batch)
    assert order == ["back", "new"]
    with pytest.raises(KeyError):
        batch.launch(1, 1, 0)


@pytest.mark.parametrize("names", [("fp32", "fp32"), ("bf16", "int8")])
def test_where_nothing_fits_the_cpu_takes_over(
    tiny: Checkpoint,
    sounds: list[Waveform],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    names: tuple[str, str],
) -> None:
    name, used = names
    device = torch.device("cuda")

    def full(checkpoint: Checkpoint, precision: Precision, where: torch.device) -> Network:
        if where == device:
            raise torch.OutOfMemoryError(FULL)
        return build_network(checkpoint, precision, where)

    monkeypatch.setattr(memory, "build_network", full)
    monkeypatch.setattr(memory, "give_back", lambda: None)
    batch = fit_batch(tiny, choose_precision(name, device), 2, device)
    assert (batch.device, batch.slots, batch.network.precision.name) == (CPU, 2, used)
    assert f"runs on the CPU in {used}" in caplog.text
    place(batch, [placement(tiny, 0, sounds[1])])
    finish(batch, 1)
    assert batch.output(0).tokens


def test_below_one_slot_the_cpu_takes_over(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def new(checkpoint: Checkpoint, network: Network, slots: int) -> Batch:
        tried.append(slots)
        if network is first:
            raise torch.OutOfMemoryError(FULL)
        return Batch(checkpoint, network, slots)

    batch = fit_batch(tiny, FP32, 2, CPU)
    first = batch.network
    monkeypatch.setattr(memory, "Batch", new)
    assert smaller(batch).slots == 2  # of the CPU's own memory
    assert tried == [1, 2]


def test_fixed_slots_all_fit_or_none_do(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert fixed_batch(tiny, FP32, 3, CPU).slots == 3

    def full(batch: Batch) -> None:
        raise torch.OutOfMemoryError(FULL)

    monkeypatch.setattr(Batch, "warm_up", full)
    with pytest.raises(ModelMemoryError, match=r"no memory for 8 slots on cpu.*set fewer"):
        fixed_batch(tiny, FP32, 8, CPU)
    assert not caplog.records


def test_a_fixed_batch_fails_its_windows_when_memory_is_full_and_goes_on(
    tiny: Checkpoint,
    sounds: list[Waveform],
    engine_of: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch, errors = Batch.launch, [torch.OutOfMemoryError(FULL)]

    def full_once(batch: Batch, rows: int, steps: int, furthest: int) -> Look:
        if errors:
            raise errors.pop()
        return launch(batch, rows, steps, furthest)

    engine = engine_of(tiny, slots=4, fixed=True)
    options = WindowOptions(max_new_tokens=LIMIT, temperatures=(0.0,))
    window = Window(sounds[1], options=options)
    before = engine.submit(window).result(timeout=60)
    monkeypatch.setattr(Batch, "launch", full_once)
    with pytest.raises(ModelMemoryError, match="no batch is made smaller"):
        engine.submit(window).result(timeout=60)
    after = engine.submit(window).result(timeout=60)
    assert engine.slots() == 4
    assert after.transcript == before.transcript
    assert after.cross_attention.tobytes() == before.cross_attention.tobytes()


def test_other_errors_are_not_taken_for_a_full_memory(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Batch:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(memory, "Batch", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        fit_batch(tiny, FP32, 2, CPU)


def test_a_full_memory_is_known_by_its_causes() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError(FULL))
    assert is_out_of_memory(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert not is_out_of_memory(ValueError("out of memory"))
    try:
        try:
            raise torch.OutOfMemoryError(FULL)
        finally:
            raise RuntimeError("the recording was ended by an error")
    except RuntimeError as err:
        assert is_out_of_memory(err)


def test_above_90_percent_fewer_windows_are_in_flight(
    tiny: Checkpoint,
    oracle: Oracle,
    sounds: list[Waveform],
    engine_of: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed, launch = list[int](), Batch.launch

    def count(batch: Batch, rows: int, steps: int, furthest: int) -> Look:
        computed.append(rows)
        return launch(batch, rows, steps, furthest)

    monkeypatch.setattr(Batch, "launch", count)
    monkeypatch.setattr(memory, "meter_of", lambda _: lambda: Reading(95, 100))
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(guard, "give_back", lambda: None)  # collecting garbage takes its time
    engine = engine_of(tiny, slots=8, line=len(sounds))
    options = WindowOptions(max_new_tokens=LIMIT, temperatures=(0.0,), timestamps=False)
    futures = [engine.submit(Window(sound, options=options)) for sound in sounds]
    tokens = [list(future.result(timeout=60).tokens[0]) for future in futures]
    assert tokens == [oracle.tokens(sound, False, limit=LIMIT) for sound in sounds]
    assert max(computed) < 8
    assert computed[-1] == 1
