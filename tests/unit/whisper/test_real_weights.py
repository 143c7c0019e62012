"""The exported weights on real speech: what Whisper hears here, it hears in transformers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_whisper import CPU, Oracle

from voiceman.analysis.word_times import align_words
from voiceman.audio import MAX_WINDOW_SAMPLES, to_float32
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.window import Window
from voiceman_client.decode import decode

WEIGHTS = Path(__file__).parents[3] / "model_repository" / "whisper" / "1" / "weights"
pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    settings = EngineSettings(slots=4)
    with Engine(load_checkpoint(WEIGHTS), settings, CPU) as engine:
        yield engine


@pytest.fixture(scope="module")
def calls(speech: Callable[[str], list[Path]]) -> list[Path]:
    return [path for path in speech("korean-calls") if path.name.startswith("ko-KR")]


def window(path: Path, **options: object) -> Window:
    waveform = decode(path, "mix").waveforms[0][:MAX_WINDOW_SAMPLES]
    return Window(to_float32(waveform), options=WindowOptions(**options))


def test_real_speech_gives_the_tokens_of_transformers(
    engine: Engine, calls: list[Path], speech: Callable[[str], list[Path]]
) -> None:
    oracle = Oracle.load(WEIGHTS)
    paths = [*calls[:3], *speech("telephone-call"), *speech("librivox")[:1]]
    windows = [window(path, timestamps=i != 1) for i, path in enumerate(paths)]
    futures = [engine.submit(each) for each in windows]
    for each, future in zip(windows, futures, strict=True):
        expected = oracle.tokens(each.waveform, each.options.timestamps, limit=224)
        assert list(future.result(timeout=120).tokens[0]) == expected


def test_korean_is_heard_as_korean_with_words_in_their_place(
    engine: Engine, calls: list[Path]
) -> None:
    sound = window(calls[1])
    result = engine.submit(sound).result(timeout=120)
    transcript = result.transcript
    assert transcript["language"] == "ko"
    assert transcript["language_probability"] > 0.9
    assert transcript["no_speech_probability"] < 0.5
    aligned = align_words(transcript, result.cross_attention)
    words = [word for segment in aligned["segments"] for word in segment["words"]]
    assert "당일배송" in [word["word"] for word in words]
    assert max(word["end"] - word["start"] for word in words) < 2
    assert words[-1]["end"] > 0.8 * transcript["duration"]
    assert [word["start"] for word in words] == sorted(word["start"] for word in words)
