"""Parity: does every exported model answer as its source does, on fixed real speech?"""

import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from voiceman.analysis.segmentation import WINDOW_SAMPLES
from voiceman.errors import WeightsError
from voiceman.manifest import read_manifest, verify
from voiceman.serving.ecapa import load_ecapa
from voiceman.serving.emotion_networks import load_categorical, load_dimensional
from voiceman.serving.guard import Network
from voiceman.serving.segmentation import load_segmentation
from voiceman_export import (
    emotion_categorical,
    emotion_dimensional,
    scoring,
    speaker_embedding,
    voice_activity,
    whisper_reference,
)
from voiceman_export.assets import fetch
from voiceman_export.models import MODELS
from voiceman_export.sources import Checkpoint, resolve
from voiceman_export.weights_folder import weights_folder
from voiceman_export.whisper import ctranslate2_file, openai_file

FP32_LIMIT = 1e-4
SERVED_LIMIT = 0.01  # of the outputs' range, for networks that are served in 16 bits
SPEECH_DISAGREEMENT_LIMIT = 0.05
_SPEECH = "telephone-call"
_SAMPLE_RATE = 16_000
# Any tokens do: source and export read the same.
_TEXT_TOKENS = 24


@dataclass(frozen=True)
class Parity:
    """One comparison.

    Attributes:
        model: the Triton model.
        reference: what it is compared with, and in which numbers.
        difference: the largest absolute difference.
        limit: how large it may be.
    """

    model: str
    reference: str
    difference: float
    limit: float

    @property
    def passed(self) -> bool:
        """Within the limit; NaN is not."""
        return self.difference <= self.limit


def check(repository: Path, name: str, checkpoint: str | None = None) -> Iterator[Parity]:
    """Compare an exported model with its source.

    Args:
        repository: the model repository.
        name: the Triton model.
        checkpoint: its source; None: the name in the manifest, which suffices for assets and
            hub models.

    Raises:
        WeightsError: not exported, or from another source.
        HashMismatchError: a file was altered after the export.
    """
    folder = weights_folder(repository, name)
    manifest = verify(folder)
    yield Parity(name, "files against the manifest", 0.0, 0.0)
    if name == scoring.MODEL:
        return
    found = resolve(checkpoint or manifest.name, MODELS[name].patterns, MODELS[name].licence)
    if not manifest.version.startswith(found.source.version):
        raise WeightsError(
            f"{folder}: exported from {manifest.name} ({manifest.version}), not from "
            f"{found.source.name} ({found.source.version}); give its own --checkpoint"
        )
    yield from _CHECKS[name](folder, found)


def exported(repository: Path) -> list[str]:
    """Models of the repository that have a manifest."""
    names = [*MODELS, scoring.MODEL]
    return [name for name in names if _has_manifest(repository, name)]


def _has_manifest(repository: Path, name: str) -> bool:
    try:
        read_manifest(weights_folder(repository, name))
    except WeightsError:
        return False
    return True


def _check_whisper(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    # In float64 only the conversion can make a difference, and not the order of a sum.
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float64)
    extract = WhisperFeatureExtractor.from_pretrained(folder)
    log_mel = extract(
        _speech(), sampling_rate=_SAMPLE_RATE, return_tensors="pt"
    ).input_features.double()
    start = model.generation_config.decoder_start_token_id
    text = torch.arange(_TEXT_TOKENS) * 100 + 300
    tokens = torch.cat([torch.tensor([start]), text])[None]
    with torch.inference_mode():
        logits = model(log_mel, decoder_input_ids=tokens).logits
        if openai_file(source.path) or ctranslate2_file(source.path):
            expected = whisper_reference.load(source.path).logits(log_mel, tokens)
        else:
            original = WhisperForConditionalGeneration.from_pretrained(
                source.hub_name or str(source.path),
                revision=source.revision or "main",
                dtype=torch.float64,
            )
            expected = original(log_mel, decoder_input_ids=tokens).logits
    difference = (logits.log_softmax(-1) - expected.log_softmax(-1)).abs().max().item()
    yield Parity("whisper", "source's own tensors, log-probabilities", difference, FP32_LIMIT)


def _check_speaker_embedding(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    features = _filterbank(_speech()).unfold(0, 300, 300).transpose(1, 2)[:4].contiguous()
    features = features - features.mean(dim=1, keepdim=True)
    model = speaker_embedding.load(source.path)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model(features, torch.ones(len(features))))
    network = load_ecapa(folder, dtype=torch.float32)
    found = torch.nn.functional.normalize(torch.from_numpy(network(features.numpy())))
    yield _parity("speaker_embedding", "speechbrain, unit embeddings", found, expected)


def _check_voice_activity(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    windows = _speech()[: 3 * WINDOW_SAMPLES].reshape(3, WINDOW_SAMPLES)
    with torch.inference_mode():
        expected = voice_activity.load(source.path)(torch.from_numpy(windows)).exp()
    found = torch.from_numpy(load_segmentation(folder, dtype=torch.float32)(windows)).exp()
    yield _parity("voice_activity", "PyTorch, probabilities", found, expected)
    served = load_segmentation(folder)(windows)  # in this machine's own precision
    speech = np.concatenate(served.argmax(axis=-1) > 0)
    disagreement = float(np.mean(speech != _reference_speech(len(speech))))
    yield Parity(
        "voice_activity",
        "call's RTTM, share of frames, speech or not",
        disagreement,
        SPEECH_DISAGREEMENT_LIMIT,
    )


def _check_emotion_dimensional(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    waveform, lengths = _utterances()
    mask = (torch.arange(waveform.shape[1])[None] < lengths[:, None]).long()
    with torch.inference_mode():
        expected = emotion_dimensional.load(source)(waveform, mask)
    yield from _emotion_parity("emotion_dimensional", load_dimensional, folder, lengths, expected)


def _check_emotion_categorical(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    waveform, _ = _utterances()
    lengths = torch.full((len(waveform),), waveform.shape[1])  # equal ones alone share a batch
    with torch.inference_mode():
        expected = emotion_categorical.load(source.path)(waveform, torch.ones(len(waveform)))
    yield from _emotion_parity("emotion_categorical", load_categorical, folder, lengths, expected)


def _emotion_parity(
    model: str,
    load: Callable[..., Network],
    folder: Path,
    lengths: torch.Tensor,
    expected: torch.Tensor,
) -> Iterator[Parity]:
    """In fp32, and in the precision of this machine's server; outputs range from 0 to 1."""
    waveform, _ = _utterances()
    rows = {"fp32": FP32_LIMIT, "as served here": SERVED_LIMIT}
    for name, limit in rows.items():
        dtype = torch.float32 if name == "fp32" else None
        found = load(folder, torch.device("cpu"), dtype)(waveform.numpy(), lengths.numpy())
        difference = (torch.from_numpy(found) - expected).abs().max().item()
        yield Parity(model, f"its own library, {name}", difference, limit)


_CHECKS: Mapping[str, Callable[[Path, Checkpoint], Iterator[Parity]]] = {
    "whisper": _check_whisper,
    "speaker_embedding": _check_speaker_embedding,
    "voice_activity": _check_voice_activity,
    "emotion_dimensional": _check_emotion_dimensional,
    "emotion_categorical": _check_emotion_categorical,
}


def _parity(model: str, reference: str, found: torch.Tensor, expected: torch.Tensor) -> Parity:
    return Parity(model, reference, (found - expected).abs().max().item(), FP32_LIMIT)


def _speech() -> NDArray[np.float32]:
    """float32 [480000]: 30 s of a telephone call, -1 to 1."""
    with wave.open(str(fetch(_SPEECH) / "sample.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return pcm.astype(np.float32) / 32768


def _utterances() -> tuple[torch.Tensor, torch.Tensor]:
    """Four normalised pieces of speech, padded, and their lengths in samples."""
    pieces = torch.from_numpy(_speech()[: 4 * 3 * _SAMPLE_RATE]).reshape(4, -1)
    lengths = torch.tensor([1.0, 0.9, 0.5, 0.3]).mul(pieces.shape[1]).long()
    padded = torch.zeros_like(pieces)
    for row, (piece, length) in enumerate(zip(pieces, lengths.tolist(), strict=True)):
        padded[row, :length] = torch.nn.functional.layer_norm(piece[:length], (length,))
    return padded, lengths


def _filterbank(waveform: NDArray[np.float32]) -> torch.Tensor:
    """float32 [frames, 80]: log mel energies in dB of 25 ms every 10 ms."""
    filters = mel_filter_bank(201, 80, 0.0, 8000.0, _SAMPLE_RATE)
    power = spectrogram(
        waveform,
        window_function(400, "hamming"),
        frame_length=400,
        hop_length=160,
        power=2.0,
        mel_filters=filters,
        log_mel="dB",
        dtype=np.dtype(np.float32),
    )
    return torch.from_numpy(power.T)


def _reference_speech(frames: int) -> NDArray[np.bool_]:
    """Bool [frames]: where the call's RTTM has speech, over its 30 s."""
    centres = (np.arange(frames) + 0.5) * 30.0 / frames
    speech = np.zeros(frames, dtype=bool)
    for line in (fetch(_SPEECH) / "sample.rttm").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        start, duration = float(fields[3]), float(fields[4])
        speech |= (centres >= start) & (centres < start + duration)
    return speech
