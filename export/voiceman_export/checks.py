"""Parity: does every exported model answer as its source does, on fixed real speech?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoFeatureExtractor,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from voiceman.analysis.network_inputs import Floats, batches, normalise
from voiceman.analysis.segmentation import WINDOW_SAMPLES
from voiceman.audio import SAMPLE_RATE_HZ, Waveform
from voiceman.errors import WeightsError
from voiceman.manifest import MANIFEST_NAME, language_folders, verify
from voiceman.serving.ctc import CtcModel
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
    word_alignment,
)
from voiceman_export.check_speech import filterbank, reference_speech, speech, utterances
from voiceman_export.models import MODELS
from voiceman_export.sources import Checkpoint, resolve
from voiceman_export.weights_folder import weights_folder
from voiceman_export.whisper import ctranslate2_file, openai_file

FP32_LIMIT = 1e-4
SERVED_LIMIT = 0.01  # of the outputs' range, for networks that are served in 16 bits
SPEECH_DISAGREEMENT_LIMIT = 0.05
# Any tokens do: source and export read the same.
_TEXT_TOKENS = 24
# First sample and length of speech: two of one length, for models without a mask.
_CUTS = ((0, 48_000), (48_000, 48_000), (96_000, 43_200), (144_000, 16_000))


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


def check(
    repository: Path, name: str, checkpoint: str | None = None, language: str = ""
) -> Iterator[Parity]:
    """Compare an exported model with its source.

    Args:
        repository: the model repository.
        name: the Triton model.
        checkpoint: its source; None: the name in the manifest, which suffices for assets and
            hub models.
        language: the only one to look at, of a model that has weights for each; empty: all.

    Raises:
        WeightsError: not exported, or from another source.
        HashMismatchError: a file was altered after the export.
    """
    folders = [weights_folder(repository, name, language)]
    if not language:
        folders = language_folders(folders[0]) or folders
    for folder in folders:
        yield from _check_folder(folder, name, checkpoint)


def _check_folder(folder: Path, name: str, checkpoint: str | None) -> Iterator[Parity]:
    manifest = verify(folder)
    yield Parity(_title(folder, name), "files against the manifest", 0.0, 0.0)
    if name == scoring.MODEL:
        return
    found = resolve(checkpoint or manifest.name, MODELS[name].patterns, MODELS[name].licence)
    if not manifest.version.startswith(found.source.version):
        raise WeightsError(
            f"{folder}: exported from {manifest.name} ({manifest.version}), not from "
            f"{found.source.name} ({found.source.version}); give its own --checkpoint"
        )
    yield from _CHECKS[name](folder, found)


def _title(folder: Path, name: str) -> str:
    """The model, and the language whose weights are in the folder, if it has several."""
    return name if folder.name == "weights" else f"{name}/{folder.name}"


def exported(repository: Path) -> list[str]:
    """Models of the repository that have a manifest, or one of any language."""
    found = {path.parts[-4] for path in repository.glob(f"*/1/weights/{MANIFEST_NAME}")}
    found |= {path.parts[-5] for path in repository.glob(f"*/1/weights/[!.]*/{MANIFEST_NAME}")}
    return [name for name in (*MODELS, scoring.MODEL) if name in found]


def _check_whisper(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    # In float64 only the conversion can make a difference, and not the order of a sum.
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float64)
    extract = WhisperFeatureExtractor.from_pretrained(folder)
    log_mel = extract(
        speech(), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
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
    features = filterbank(speech()).unfold(0, 300, 300).transpose(1, 2)[:4].contiguous()
    features = features - features.mean(dim=1, keepdim=True)
    model = speaker_embedding.load(source.path)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model(features, torch.ones(len(features))))
    network = load_ecapa(folder, dtype=torch.float32)
    found = torch.nn.functional.normalize(torch.from_numpy(network(features.numpy())))
    yield _parity("speaker_embedding", "speechbrain, unit embeddings", found, expected)


def _check_voice_activity(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    windows = speech()[: 3 * WINDOW_SAMPLES].reshape(3, WINDOW_SAMPLES)
    with torch.inference_mode():
        expected = voice_activity.load(source.path)(torch.from_numpy(windows)).exp()
    found = torch.from_numpy(load_segmentation(folder, dtype=torch.float32)(windows)).exp()
    yield _parity("voice_activity", "PyTorch, probabilities", found, expected)
    served = load_segmentation(folder)(windows)  # in this machine's own precision
    spoken = np.concatenate(served.argmax(axis=-1) > 0)
    disagreement = float(np.mean(spoken != reference_speech(len(spoken))))
    yield Parity(
        "voice_activity",
        "call's RTTM, share of frames, speech or not",
        disagreement,
        SPEECH_DISAGREEMENT_LIMIT,
    )


def _check_emotion_dimensional(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    waveform, lengths = utterances()
    mask = (torch.arange(waveform.shape[1])[None] < lengths[:, None]).long()
    with torch.inference_mode():
        expected = emotion_dimensional.load(source)(waveform, mask)
    yield from _emotion_parity("emotion_dimensional", load_dimensional, folder, lengths, expected)


def _check_emotion_categorical(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    waveform, _ = utterances()
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
    waveform, _ = utterances()
    rows = {"fp32": FP32_LIMIT, "as served here": SERVED_LIMIT}
    for name, limit in rows.items():
        dtype = torch.float32 if name == "fp32" else None
        found = load(folder, torch.device("cpu"), dtype)(waveform.numpy(), lengths.numpy())
        difference = (torch.from_numpy(found) - expected).abs().max().item()
        yield Parity(model, f"its own library, {name}", difference, limit)


def _check_word_alignment(folder: Path, source: Checkpoint) -> Iterator[Parity]:
    sounds = [speech()[first : first + length] for first, length in _CUTS]
    expected = list(_ctc_probabilities(source, sounds))
    title, reference = _title(folder, "word_alignment"), "transformers, probabilities"
    exact = _ctc_differences(CtcModel(folder, dtype=torch.float32), sounds, expected)
    yield Parity(title, f"{reference}, fp32", float(exact.max()), FP32_LIMIT)
    # Frames where two labels are equally likely tell more of the rounding than of the network.
    served = _ctc_differences(CtcModel(folder), sounds, expected)
    yield Parity(
        title, f"{reference}, as served here, mean frame", float(served.mean()), SERVED_LIMIT
    )


def _ctc_differences(
    placed: CtcModel, sounds: Sequence[Waveform], expected: Sequence[Floats]
) -> Floats:
    """How far the most different label of every frame is from what was expected, [frames]."""
    inputs = [normalise(sound) for sound in sounds] if placed.form.normalised else sounds
    apart: list[Floats] = []
    for batch in batches(inputs, len(inputs), masked=placed.form.masked):
        found = np.exp(placed(batch.samples, batch.lengths))
        for row, index in zip(found, batch.indices, strict=True):
            alone = expected[index]
            apart.append(np.abs(row[: len(alone)] - alone).max(axis=1))
    return np.concatenate(apart)


def _ctc_probabilities(source: Checkpoint, sounds: Sequence[Waveform]) -> Iterator[Floats]:
    """What transformers makes of each sound alone, [frames, labels]."""
    model = word_alignment.load(source)
    extract = AutoFeatureExtractor.from_pretrained(source.path)
    for sound in sounds:
        alone = extract(sound, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            yield model(alone.input_values).logits[0].softmax(-1).numpy()


_CHECKS: Mapping[str, Callable[[Path, Checkpoint], Iterator[Parity]]] = {
    "whisper": _check_whisper,
    "speaker_embedding": _check_speaker_embedding,
    "voice_activity": _check_voice_activity,
    "emotion_dimensional": _check_emotion_dimensional,
    "emotion_categorical": _check_emotion_categorical,
    "word_alignment": _check_word_alignment,
}


def _parity(model: str, reference: str, found: torch.Tensor, expected: torch.Tensor) -> Parity:
    return Parity(model, reference, (found - expected).abs().max().item(), FP32_LIMIT)
