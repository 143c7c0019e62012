"""The exported weights on real speech: what Whisper hears here, it hears in transformers."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import pytest
import torch
from tiny_whisper import CPU, Oracle
from transformers.modeling_outputs import BaseModelOutput

from voiceman.analysis.word_times import align_words
from voiceman.audio import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, Waveform, to_float32
from voiceman.options import WindowOptions
from voiceman.serving.whisper import encoder as encoder_module
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.layers import Network
from voiceman.serving.whisper.window import Window
from voiceman_client.decode import decode

WEIGHTS = Path(__file__).parents[3] / "model_repository" / "whisper" / "1" / "weights"
pytestmark = [pytest.mark.weights, pytest.mark.timeout(1800)]  # 200 CPU-seconds

Recordings = Callable[[str], list[Path]]
SLOTS = (1, 4, 16)
LIMIT = 48  # tokens; more would show no more rules and cost minutes
LENGTHS_S = (3, 5, 8, 14)
ORACLE_BATCH = 16


@dataclass(frozen=True)
class Heard:
    """What was heard in a window: tokens up to end of text, and the language's code."""

    language: str
    tokens: tuple[int, ...]


def sound(path: Path) -> Waveform:
    return to_float32(decode(path, "mix").waveforms[0])


@pytest.fixture(scope="module")
def korean(speech: Recordings) -> list[Path]:
    return [path for path in speech("korean-calls") if path.name.startswith("ko-KR")]


@pytest.fixture(scope="module")
def windows(speech: Recordings, korean: list[Path]) -> list[Window]:
    """Calls and talks in eleven languages, wideband and narrowband, half of them untimed."""
    paths = [path for path in speech("korean-calls") if path.suffix == ".wav"]
    paths = [*speech("telephone-call"), *speech("librivox")[:1], *korean, *paths][:64]
    return [
        Window(
            sound(path)[: LENGTHS_S[index % 4] * SAMPLE_RATE_HZ],
            options=WindowOptions(
                timestamps=index % 8 < 4, max_new_tokens=LIMIT, temperatures=(0.0,)
            ),
        )
        for index, path in enumerate(paths)
    ]


def hear(windows: list[Window]) -> list[Heard]:
    """transformers' greedy decoding, one decode for each window."""
    oracle = Oracle.load(WEIGHTS)
    heard: dict[int, Heard] = {}
    for timestamps in (True, False):
        mine = [i for i, each in enumerate(windows) if each.options.timestamps == timestamps]
        for first in range(0, len(mine), ORACLE_BATCH):
            batch = mine[first : first + ORACLE_BATCH]
            found = ask(oracle, [windows[i].waveform for i in batch], timestamps)
            heard |= dict(zip(batch, found, strict=True))
    return [heard[index] for index in range(len(windows))]


def ask(oracle: Oracle, sounds: list[Waveform], timestamps: bool) -> list[Heard]:
    """What transformers hears in windows that it decodes side by side."""
    model, config = oracle.model, oracle.model.generation_config
    inputs = oracle.features(sounds, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        # Given the features, it would encode every window a second time for its language.
        hidden = [
            model.model.encoder(each[None]).last_hidden_state for each in inputs.input_features
        ]
        sequences = model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=torch.cat(hidden)),
            return_timestamps=timestamps,
            task="transcribe",
            max_new_tokens=LIMIT,
            num_beams=1,
            do_sample=False,
            force_unique_generate_call=True,
        ).tolist()
    codes = {token: name.strip("<|>") for name, token in config.lang_to_id.items()}
    prompt = 3 if timestamps else 4  # start, language, task, <|notimestamps|>
    return [
        Heard(codes[each[1]], tuple(t for t in each[prompt:] if t != config.eos_token_id))
        for each in sequences
    ]


@pytest.fixture(scope="module")
def encoded_once() -> Iterator[None]:
    """Engines of any size encode windows one by one: the second time the answer is known."""
    known: dict[bytes, torch.Tensor] = {}
    lock, encode = Lock(), encoder_module.encode

    def recall(network: Network, mel: torch.Tensor) -> torch.Tensor:
        with lock:
            key = mel.numpy().tobytes()
            if key not in known:
                known[key] = encode(network, mel)
            return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "encode", recall)
        yield


@dataclass(frozen=True)
class Comparison:
    """What transformers heard in every window, and the engines by their slots."""

    expected: list[Heard]
    found: dict[int, list[Heard]]


@pytest.fixture(scope="module")
def comparison(windows: list[Window], encoded_once: None) -> Comparison:
    """All windows through engines of several sizes and, meanwhile, through transformers."""
    checkpoint = load_checkpoint(WEIGHTS)
    engines = [
        Engine(checkpoint, EngineSettings(slots=slots, line=len(windows)), CPU) for slots in SLOTS
    ]
    futures = [[engine.submit(each) for each in windows] for engine in engines]
    expected = hear(windows)
    for engine in engines:
        engine.close()
    results = [[future.result(timeout=0) for future in mine] for mine in futures]
    heard = [[Heard(each.transcript["language"], each.tokens[0]) for each in r] for r in results]
    return Comparison(expected, dict(zip(SLOTS, heard, strict=True)))


def test_the_windows_are_many_and_in_many_languages(comparison: Comparison) -> None:
    assert len(comparison.expected) >= 60
    languages = Counter(each.language for each in comparison.expected)
    assert languages["ko"] >= 8
    assert languages["en"] >= 8
    assert len(languages) >= 10
    assert sum(len(each.tokens) for each in comparison.expected) > 1500


@pytest.mark.parametrize("slots", SLOTS)
def test_real_speech_gives_the_tokens_and_languages_of_transformers(
    comparison: Comparison, slots: int
) -> None:
    assert comparison.found[slots] == comparison.expected


def test_korean_is_heard_as_korean_with_words_in_their_place(korean: list[Path]) -> None:
    window = Window(sound(korean[1])[:MAX_WINDOW_SAMPLES])
    with Engine(load_checkpoint(WEIGHTS), EngineSettings(slots=1), CPU) as engine:
        result = engine.submit(window).result(timeout=120)
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
