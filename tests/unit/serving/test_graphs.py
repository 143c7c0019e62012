"""How work is recorded, with the device's part played: what a machine without CUDA can prove."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from voiceman.serving.graphs import recorder
from voiceman.serving.lanes import Lane

CPU = torch.device("cpu")
SIGNATURE = inspect.signature(torch.cuda.graph)  # of the real one: the call must fit it


class PlayedCuda:
    """Notes what is done in which order; a graph replays by noting its name."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.settings: list[dict[str, object]] = []

    @contextmanager
    def stream(self, stream: object) -> Iterator[None]:
        self.events.append(f"enter {stream}")
        try:
            yield
        finally:
            self.events.append(f"leave {stream}")

    @contextmanager
    def graph(self, *arguments: object, **settings: object) -> Iterator[None]:
        self.settings.append(SIGNATURE.bind(*arguments, **settings).arguments)
        self.events.append("record")
        yield
        self.events.append("end")

    def new_graph(self) -> "PlayedCuda":
        return self

    def replay(self) -> None:
        self.events.append("replay")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> PlayedCuda:
    played = PlayedCuda()
    monkeypatch.setattr(torch.cuda, "stream", played.stream)
    monkeypatch.setattr(torch.cuda, "graph", played.graph)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", played.new_graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    return played


def test_work_is_warmed_up_and_recorded_in_its_own_stream(cuda: PlayedCuda) -> None:
    record = recorder(Lane(CPU, "the stream"))  # type: ignore[arg-type]
    replays = [record(lambda name=name: cuda.events.append(name)) for name in ("one", "two")]
    expected = []
    for name in ("one", "two"):
        expected += ["enter the stream", name, name, "record", name, "end", "leave the stream"]
    assert cuda.events == expected
    for replay in replays:
        replay()
    assert cuda.events[len(expected) :] == ["replay", "replay"]
    assert [each["stream"] for each in cuda.settings] == ["the stream"] * 2
    assert cuda.settings[0]["pool"] is cuda.settings[1]["pool"]
    assert {each["capture_error_mode"] for each in cuda.settings} == {"thread_local"}


def test_lanes_share_no_memory_pool(cuda: PlayedCuda) -> None:
    for name in ("one", "two"):
        recorder(Lane(CPU, name))(lambda: None)  # type: ignore[arg-type]
    assert cuda.settings[0]["pool"] is not cuda.settings[1]["pool"]


def test_the_stream_is_left_when_a_recording_breaks_off(cuda: PlayedCuda) -> None:
    def fail_when_recorded() -> None:
        if "record" in cuda.events:
            raise RuntimeError("a recording may not wait")

    with pytest.raises(RuntimeError, match="may not wait"):
        recorder(Lane(CPU, "the stream"))(fail_when_recorded)  # type: ignore[arg-type]
    assert cuda.events[-1] == "leave the stream"


def test_the_cpu_records_nothing() -> None:
    def work() -> None:
        raise AssertionError("it is not even run")

    assert recorder(Lane(CPU))(work) is work
