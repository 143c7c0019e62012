"""Memory that is short, by a meter that says so; and memory that is really full."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from voiceman.errors import ModelMemoryError
from voiceman.memory import Reading, host_memory
from voiceman.profile import VARIABLE
from voiceman.serving import guard as guard_module
from voiceman.serving.guard import (
    ALIGNMENT,
    DIARIZATION,
    EMOTION,
    SPEECH_TO_TEXT,
    Guard,
    Guarded,
    Stage,
    guard_for,
)

GB = 10**9
FULL_MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB."
TEN = Stage(memory_gb=10, items=10, fewest=2, most=16, mb_per_item=100)


class FakeMemory:
    """A meter of a memory of 100 GB, and what releasing cached memory brings."""

    def __init__(self, used_gb: float, released_gb: float = 0) -> None:
        self.used_gb, self.released_gb, self.releases = used_gb, released_gb, 0

    def __call__(self) -> Reading:
        return Reading(int(self.used_gb * GB), 100 * GB)

    def release(self) -> None:
        self.releases += 1
        self.used_gb -= self.released_gb


@pytest.fixture(autouse=True)
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeMemory]:
    def make(used_gb: float, released_gb: float = 0) -> FakeMemory:
        fake = FakeMemory(used_gb, released_gb)
        monkeypatch.setattr(guard_module, "give_back", fake.release)
        return fake

    return make


def test_a_stage_takes_no_more_than_its_share():
    assert SPEECH_TO_TEXT.allowed == 8  # 16 GB, 2 GB each
    assert EMOTION.allowed == 6  # not 8: 10 GB, 1.5 GB each
    assert ALIGNMENT.allowed == 8  # not 16: 4 GB, 500 MB each
    assert DIARIZATION.allowed == 16
    assert Stage(memory_gb=1, items=8, fewest=4, most=64, mb_per_item=500).allowed == 4


def test_above_90_percent_cached_memory_is_released_and_batches_are_cut_by_a_quarter(
    memory: Callable[..., FakeMemory], caplog: pytest.LogCaptureFixture
):
    full = memory(91)
    guard = Guard("emotion", TEN, full)
    assert [guard.fit() for _ in range(8)] == [7, 5, 3, 2, 2, 2, 2, 2]
    assert full.releases == 8
    assert "emotion: batches of 7, not of 10: 91% of the memory are in use" in caplog.text
    assert len(caplog.records) == 4  # only what changed


def test_the_memory_is_looked_at_once_a_second(
    memory: Callable[..., FakeMemory], monkeypatch: pytest.MonkeyPatch
):
    times_s = iter((10.0, 10.4, 10.9, 11.1, 11.2))
    monkeypatch.setattr(guard_module, "LOOK_EVERY_S", 1.0)
    monkeypatch.setattr(guard_module.time, "monotonic", lambda: next(times_s))
    full = memory(95)
    guard = Guard("emotion", TEN, full)
    assert [guard.fit() for _ in range(5)] == [7, 7, 7, 5, 5]
    assert full.releases == 2


def test_what_releasing_has_cured_cuts_nothing(memory: Callable[..., FakeMemory]):
    cached = memory(95, released_gb=10)
    guard = Guard("emotion", TEN, cached)
    assert guard.fit() == 10
    assert cached.releases == 1


def test_batches_grow_again_one_by_one_where_there_is_room(memory: Callable[..., FakeMemory]):
    meter = memory(91)
    guard = Guard("emotion", TEN, meter)
    guard.fit()
    meter.used_gb = 80  # neither full nor roomy
    assert [guard.fit() for _ in range(3)] == [7, 7, 7]
    meter.used_gb = 50
    assert [guard.fit() for _ in range(5)] == [8, 9, 10, 10, 10]


class Network:
    """Doubles its items, up to `room` at once."""

    def __init__(self, room: int) -> None:
        self.room, self.batches = room, list[int]()

    def __call__(self, values: np.ndarray, others: np.ndarray) -> np.ndarray:
        self.batches.append(len(values))
        if len(values) > self.room:
            raise RuntimeError(FULL_MESSAGE)
        return values * 2 + others


def guarded(network: Network, spare: Callable | None = None) -> Guarded:
    return Guarded(network, Guard("emotion", TEN, FakeMemory(80)), spare)


ITEMS = np.arange(23.0)[:, np.newaxis]


def test_items_keep_their_order_in_whatever_batches(memory: Callable[..., FakeMemory]):
    memory(80)
    network = Network(room=100)
    np.testing.assert_array_equal(guarded(network)(ITEMS, ITEMS), ITEMS * 3)
    assert network.batches == [10, 10, 3]
    assert guarded(network)(ITEMS[:0], ITEMS[:0]).shape == (0, 1)


def test_a_batch_without_room_is_split_and_the_next_ones_are_smaller():
    network = Network(room=4)
    np.testing.assert_array_equal(guarded(network)(ITEMS, ITEMS), ITEMS * 3)
    assert network.batches == [10, 5, 2, 3, 5, 2, 3, 3, 3, 3, 3, 1]


def test_an_item_without_room_goes_to_the_cpu_which_is_loaded_once():
    loaded = list[str]()

    def load() -> Callable:
        loaded.append("cpu")
        return lambda values, others: values * 2 + others

    run = guarded(Network(room=0), load)
    np.testing.assert_array_equal(run(ITEMS[:3], ITEMS[:3]), ITEMS[:3] * 3)
    run(ITEMS[:1], ITEMS[:1])
    assert loaded == ["cpu"]


def test_without_a_cpu_to_go_to_the_request_fails_and_the_next_is_tried_again():
    network = Network(room=0)
    run = guarded(network)
    with pytest.raises(ModelMemoryError, match=f"emotion: no memory for a single.*{FULL_MESSAGE}"):
        run(ITEMS[:3], ITEMS[:3])
    network.room = 100
    np.testing.assert_array_equal(run(ITEMS[:3], ITEMS[:3]), ITEMS[:3] * 3)


def test_a_fixed_guard_takes_one_item_at_a_time_however_full_the_memory_is(
    memory: Callable[..., FakeMemory], caplog: pytest.LogCaptureFixture
):
    for used_gb in (10, 80, 99):
        network = Network(room=1)
        run = Guarded(network, Guard("emotion", TEN, memory(used_gb), fixed=True))
        np.testing.assert_array_equal(run(ITEMS, ITEMS), ITEMS * 3)
        assert network.batches == [1] * len(ITEMS)
    assert not caplog.records


def test_behind_a_fixed_guard_nothing_goes_to_the_cpu():
    def load() -> Callable:
        pytest.fail("another device would give other bits")

    run = Guarded(Network(room=0), Guard("emotion", TEN, FakeMemory(80), fixed=True), load)
    with pytest.raises(ModelMemoryError, match="emotion: no memory for a single item"):
        run(ITEMS[:1], ITEMS[:1])


@pytest.mark.parametrize(("profile", "fixed"), [("", False), ("reproducible", True)])
def test_guards_are_fixed_under_the_profile(
    profile: str, fixed: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, profile)
    assert guard_for("emotion", TEN, "cpu").fixed == fixed


def test_other_errors_are_not_tried_again():
    def broken(*_: np.ndarray) -> np.ndarray:
        raise ValueError("3 channels")

    with pytest.raises(ValueError, match="3 channels"):
        Guarded(broken, Guard("emotion", TEN, FakeMemory(80)))(ITEMS)


def test_memory_is_what_is_available_and_that_of_the_container_if_it_is_tighter(tmp_path: Path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 400 kB\nHugePages: 0\n")
    assert host_memory(meminfo, tmp_path) == Reading(600 * 1024, 1000 * 1024)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 30\n")
    (tmp_path / "memory.current").write_text("120\n")
    assert host_memory(meminfo, tmp_path).share == 0.6
    (tmp_path / "memory.max").write_text("100\n")
    assert host_memory(meminfo, tmp_path) == Reading(90, 100)
    (tmp_path / "memory.max").write_text("1000\n")
    assert host_memory(meminfo, tmp_path).share == 0.6


def test_the_memory_of_this_machine_can_be_read():
    assert 0 < host_memory().share < 1


# Every item becomes 64 MB on its way; the process may take 400 MB more than it has.
REALLY_FULL = """
import resource
from pathlib import Path
import numpy as np
import torch
from voiceman.memory import host_memory
from voiceman.serving.guard import Guard, Guarded, Stage

torch.set_num_threads(1)
def network(values):
    wide = torch.from_numpy(values).expand(-1, 16_000_000) + 1
    return wide.amax(1, keepdim=True).numpy()

values = np.arange(9, dtype=np.float32)[:, None]
network(values[:1])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000,) * 2)
guard = Guard("wide", Stage(100, 9, 1, 16, 1), host_memory)
np.testing.assert_array_equal(Guarded(network, guard)(values), values + 1)
print(guard.size)
"""


def test_a_memory_that_is_really_full_splits_the_batch():
    done = subprocess.run(
        [sys.executable, "-c", REALLY_FULL],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 9
