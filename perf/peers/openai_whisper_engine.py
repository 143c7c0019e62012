"""openai-whisper: sequential decoding in fp32, the yardstick for completeness."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as nn
from safetensors.torch import load_file
from torch import Tensor
from whisper.audio import N_SAMPLES, log_mel_spectrogram
from whisper.model import ModelDimensions, Whisper

from perf.peers.interface import WEIGHTS, Peer
from perf.peers.windowing import Windowing
from perf.whisper_corpus import Recording
from voiceman.audio import Waveform, to_float32
from voiceman_export.openai_checkpoint import OpenAICheckpoint, to_hugging_face


class InItsOwnWay:
    """From window to window, each prompted with the text before it.

    `by_clip` does so within every clip by itself, and cannot stumble where two are joined.
    """

    def __init__(self, model: Whisper, *, by_clip: bool = False) -> None:
        self._model = model
        self._by_clip = by_clip

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        return [self._text(recording) for recording in recordings]

    def _text(self, recording: Recording) -> str:
        parts = recording.clips if self._by_clip else (recording.waveform,)
        results = [
            transcribe(
                self._model, to_float32(part), recording.language, condition_on_previous_text=True
            )
            for part in parts
        ]
        return " ".join(result["text"].strip() for result in results)


class SameWindows:
    """Window by window, each for itself: the windows that this project's engine gets."""

    def __init__(self, model: Whisper, threads: int, *, silence: bool = False) -> None:
        """See `transcribe` for `silence`."""
        self._model = model
        self._windowing = Windowing(threads)
        self._silence = silence

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        texts: list[list[str]] = [[] for _ in recordings]
        for window in self._windowing.cut(recordings):
            result = transcribe(
                self._model, window.waveform, window.language, silence=self._silence
            )
            texts[window.recording].append(result["text"].strip())
        return [" ".join(parts) for parts in texts]


def transcribe(
    model: Whisper,
    waveform: Waveform,
    language: str,
    *,
    condition_on_previous_text: bool = False,
    word_timestamps: bool = False,
    silence: bool = False,
) -> dict[str, Any]:
    """What openai-whisper says of samples [n]: greedy, no fallback, nothing dropped.

    The three thresholds are off, that of no speech among them: by itself it would drop
    passages that are quiet but spoken.

    Args:
        model: with its weights.
        waveform: float32 samples [n] at 16 kHz.
        language: spoken in it.
        condition_on_previous_text: prompt each window with the text before it.
        word_timestamps: times of words, too; they change where it decodes on.
        silence: fill the rest of 30 s with silence, as transformers does and this project. Its
            own way is a spectrogram of zeros, which is a constant hum.
    """
    with silent_padding(waveform) if silence else nullcontext():
        return model.transcribe(
            waveform,
            language=language,
            temperature=(0.0,),
            compression_ratio_threshold=None,
            logprob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=condition_on_previous_text,
            word_timestamps=word_timestamps,
            fp16=False,
        )


@contextmanager
def silent_padding(waveform: Waveform) -> Iterator[None]:
    """Let openai-whisper fill spectrograms of samples [n] up with what silence looks like."""
    floor = float(log_mel_spectrogram(waveform, padding=N_SAMPLES).min())

    def pad(mel: Tensor, length: int) -> Tensor:
        return nn.pad(mel, (0, length - mel.shape[-1]), value=floor)

    with patch.object(import_module("whisper.transcribe"), "pad_or_trim", pad):
        yield


def load_model(threads: int) -> Whisper:
    """The exported weights under OpenAI's names."""
    torch.set_num_threads(threads)
    config = json.loads((WEIGHTS / "config.json").read_text(encoding="utf-8"))
    generation = json.loads((WEIGHTS / "generation_config.json").read_text(encoding="utf-8"))
    model = Whisper(
        ModelDimensions(
            n_mels=config["num_mel_bins"],
            n_audio_ctx=config["max_source_positions"],
            n_audio_state=config["d_model"],
            n_audio_head=config["encoder_attention_heads"],
            n_audio_layer=config["encoder_layers"],
            n_vocab=config["vocab_size"],
            n_text_ctx=config["max_target_positions"],
            n_text_state=config["d_model"],
            n_text_head=config["decoder_attention_heads"],
            n_text_layer=config["decoder_layers"],
        )
    )
    tensors = load_file(WEIGHTS / "model.safetensors")
    state = model.state_dict()
    names = to_hugging_face(OpenAICheckpoint({}, state))
    model.load_state_dict(dict(zip(state, (tensors[name] for name in names), strict=True)))
    heads = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
    for layer, head in generation["alignment_heads"]:
        heads[layer, head] = True
    model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
    return model.eval()


ENGINES: dict[str, Callable[[int], Peer]] = {
    "openai-whisper": lambda threads: InItsOwnWay(load_model(threads)),
    "openai-whisper-clips": lambda threads: InItsOwnWay(load_model(threads), by_clip=True),
    "openai-whisper-windows": lambda threads: SameWindows(load_model(threads), threads),
    "openai-whisper-windows-silence": lambda threads: SameWindows(
        load_model(threads), threads, silence=True
    ),
}
