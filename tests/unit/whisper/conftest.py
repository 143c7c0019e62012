"""Checkpoints, engines and sounds for the tests of Whisper."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_whisper import CPU, Oracle, make_checkpoint

from voiceman.audio import Waveform
from voiceman.serving.whisper.checkpoint import Checkpoint, load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Checkpoint:
    return load_checkpoint(tiny_folder)


@pytest.fixture(scope="session")
def oracle(tiny_folder: Path) -> Oracle:
    return Oracle.load(tiny_folder)


@pytest.fixture
def engine_of() -> Iterator[Callable[..., Engine]]:
    """Engines that are closed when the test is over."""
    engines: list[Engine] = []

    def make(checkpoint: Checkpoint, **settings: Any) -> Engine:
        engines.append(Engine(checkpoint, EngineSettings(**settings), CPU))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def sounds() -> list[Waveform]:
    """Nine windows of 1 to 30 s: tones that wander, in noise."""
    generator = np.random.default_rng(7)
    lengths_s = (30, 1, 12.34, 5, 28.9, 3.21, 17, 8, 22)
    windows: list[Waveform] = []
    for length_s in lengths_s:
        count = int(length_s * 16000)
        pitch_hz = 150 + 100 * np.sin(np.linspace(0, length_s, count))
        tone = np.sin(2 * np.pi * np.cumsum(pitch_hz) / 16000)
        noise = generator.standard_normal(count)
        windows.append((generator.uniform(0.05, 0.5) * tone + 0.02 * noise).astype(np.float32))
    return windows
