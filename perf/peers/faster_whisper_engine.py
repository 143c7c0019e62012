"""faster-whisper (CTranslate2, int8 weights), batched and sequential."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from tokenizers import Tokenizer

from perf.peers.interface import BATCH, MAX_NEW_TOKENS, WEIGHTS, Peer
from perf.whisper_corpus import Recording
from voiceman.audio import to_float32
from voiceman.cache import cache_dir
from voiceman_export.assets import fetch

WINDOW_S = 30.0
TIMESTAMP_STEP_S = 0.02
TIMESTAMPS = 1501  # 0.00 to 30.00 s


class Sequential:
    """Decodes from window to window; nothing is dropped for its probability.

    It has no limit of tokens but the decoder's 448 positions: one of 224 would be refused
    where the text before a window fills the other half.
    """

    def __init__(self, model: WhisperModel) -> None:
        self._model = model

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        return [self._text(recording) for recording in recordings]

    def _text(self, recording: Recording) -> str:
        segments, _ = self._model.transcribe(
            to_float32(recording.waveform),
            language=recording.language,
            beam_size=1,
            temperature=0.0,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
        )
        return " ".join(segment.text.strip() for segment in segments)


class Batched:
    """Batches of 8 within a recording; the defaults are voice activity and no timestamps.

    Without voice activity detection it gets fixed windows of 30 s.
    """

    def __init__(
        self, model: WhisperModel, *, voice_activity: bool = True, timestamps: bool = False
    ) -> None:
        self._pipeline = BatchedInferencePipeline(model)
        self._voice_activity = voice_activity
        self._timestamps = timestamps

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        return [self._text(recording) for recording in recordings]

    def _text(self, recording: Recording) -> str:
        segments, _ = self._pipeline.transcribe(
            to_float32(recording.waveform),
            language=recording.language,
            beam_size=1,
            temperature=0.0,
            max_new_tokens=MAX_NEW_TOKENS,
            batch_size=BATCH,
            without_timestamps=not self._timestamps,
            vad_filter=self._voice_activity,
            clip_timestamps=None if self._voice_activity else fixed_windows(recording.seconds),
        )
        return " ".join(segment.text.strip() for segment in segments)


def fixed_windows(seconds: float) -> list[dict[str, float]]:
    """Starts and ends of windows of 30 s; the last one ends with the recording."""
    starts = np.arange(0.0, seconds, WINDOW_S)
    return [{"start": float(s), "end": float(min(s + WINDOW_S, seconds))} for s in starts]


def load_model(threads: int, precision: str) -> WhisperModel:
    """The CTranslate2 file that our own weights were read from."""
    return WhisperModel(
        str(model_folder()), device="cpu", compute_type=precision, cpu_threads=threads
    )


def model_folder() -> Path:
    """The catalogue's model with the tokenizer of the exported weights, made once."""
    asset = fetch("whisper-base")
    folder = cache_dir() / "peers" / asset.name
    folder.mkdir(parents=True, exist_ok=True)
    sources = [asset / "model.bin", asset / "config.json", WEIGHTS / "tokenizer.json"]
    for source in sources:
        link = folder / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary()), encoding="utf-8")
    return folder


def vocabulary() -> list[str]:
    """Every token by its id, as CTranslate2's own converter lists them.

    Timestamps, which tokenizer.json may lack, come last. The id before <|endoftext|> has no
    token; CTranslate2 takes a model without this empty entry for an English-only one.
    """
    tokenizer = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    size = json.loads((WEIGHTS / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    words = [tokenizer.id_to_token(number) or "" for number in range(size - TIMESTAMPS)]
    return [*words, *(f"<|{TIMESTAMP_STEP_S * step:.2f}|>" for step in range(TIMESTAMPS))]


ENGINES: dict[str, Callable[[int], Peer]] = {
    "faster-whisper-batched": lambda threads: Batched(load_model(threads, "int8")),
    "faster-whisper-batched-timestamps": lambda threads: Batched(
        load_model(threads, "int8"), timestamps=True
    ),
    "faster-whisper-fixed": lambda threads: Batched(
        load_model(threads, "int8"), voice_activity=False
    ),
    "faster-whisper-sequential": lambda threads: Sequential(load_model(threads, "int8")),
    "faster-whisper-sequential-fp32": lambda threads: Sequential(load_model(threads, "float32")),
}
