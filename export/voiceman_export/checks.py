"""Parity: does every exported model answer as its source does, on fixed real speech?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from voiceman.audio import SAMPLE_RATE_HZ, Waveform
from voiceman.errors import WeightsError
from voiceman.manifest import MANIFEST_NAME, language_folders, verify
from voiceman_export import scoring, whisper_reference
from voiceman_export.check_speech import speech, utterances
from voiceman_export.models import MODELS
from voiceman_export.parity import FP32_LIMIT, Parity
from voiceman_export.sources import Checkpoint, resolve
from voiceman_export.voice_checks import (
    check_emotion_categorical,
    check_emotion_dimensional,
    check_speaker_embedding,
    check_voice_activity,
    check_word_alignment,
)
from voiceman_export.weights_folder import weights_folder
from voiceman_export.whisper import ctranslate2_file, openai_file

# Any tokens do: source and export read the same.
_TEXT_TOKENS = 24

# The model's title, its weights, their source, and the sounds to compare on.
VoiceCheck = Callable[[str, Path, Checkpoint, Sequence[Waveform]], Iterator[Parity]]
_VOICES: Mapping[str, VoiceCheck] = {
    "speaker_embedding": check_speaker_embedding,
    "voice_activity": check_voice_activity,
    "emotion_dimensional": check_emotion_dimensional,
    "emotion_categorical": check_emotion_categorical,
    "word_alignment": check_word_alignment,
}


def check(
    repository: Path,
    name: str,
    checkpoint: str | None = None,
    language: str = "",
    count: int = 12,
) -> Iterator[Parity]:
    """Compare an exported model with its source.

    Args:
        repository: the model repository.
        name: the Triton model.
        checkpoint: its source; None: the name in the manifest, which suffices for assets and
            hub models.
        language: the only one to look at, of a model that has weights for each; empty: all.
        count: utterances that a voice model is compared on.

    Raises:
        WeightsError: not exported, or from another source.
        HashMismatchError: a file was altered after the export.
    """
    folders = [weights_folder(repository, name, language)]
    if not language:
        folders = language_folders(folders[0]) or folders
    for folder in folders:
        yield from _check_folder(folder, name, checkpoint, count)


def _check_folder(folder: Path, name: str, checkpoint: str | None, count: int) -> Iterator[Parity]:
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
    if name == "whisper":
        yield from _check_whisper(folder, found)
        return
    yield from _VOICES[name](_title(folder, name), folder, found, utterances(count))


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
