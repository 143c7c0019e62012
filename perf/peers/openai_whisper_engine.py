"""openai-whisper: sequential decoding in fp32, the yardstick for completeness."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from safetensors.torch import load_file
from whisper.model import ModelDimensions, Whisper

from perf.peers.interface import WEIGHTS, Peer
from perf.peers.windowing import Windowing
from perf.whisper_corpus import Recording
from voiceman.audio import Waveform, to_float32
from voiceman_export.openai_checkpoint import OpenAICheckpoint, to_hugging_face


class WholeRecordings:
    """Its own way: from window to window, each prompted with the text before it."""

    def __init__(self, model: Whisper) -> None:
        self._model = model

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        return [
            transcribe(
                self._model,
                to_float32(recording.waveform),
                recording.language,
                condition_on_previous_text=True,
            )["text"]
            for recording in recordings
        ]


class SameWindows:
    """Window by window, each for itself: the windows that this project's engine gets."""

    def __init__(self, model: Whisper, threads: int) -> None:
        self._model = model
        self._windowing = Windowing(threads)

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        texts: list[list[str]] = [[] for _ in recordings]
        for window in self._windowing.cut(recordings):
            result = transcribe(self._model, window.waveform, window.language)
            texts[window.recording].append(result["text"].strip())
        return [" ".join(parts) for parts in texts]


def transcribe(
    model: Whisper,
    waveform: Waveform,
    language: str,
    *,
    condition_on_previous_text: bool = False,
    word_timestamps: bool = False,
) -> dict[str, Any]:
    """What openai-whisper says of samples [n]: greedy, no fallback, nothing dropped.

    The three thresholds are off, that of no speech among them: by itself it would drop
    passages that are quiet but spoken.
    """
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
    "openai-whisper": lambda threads: WholeRecordings(load_model(threads)),
    "openai-whisper-windows": lambda threads: SameWindows(load_model(threads), threads),
}
