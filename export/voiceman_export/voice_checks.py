"""Parity of the voice models: the same utterances through the source's library and through ours."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoFeatureExtractor

from voiceman.analysis.network_inputs import normalise
from voiceman.analysis.segmentation import WINDOW_SAMPLES
from voiceman.audio import SAMPLE_RATE_HZ, Waveform
from voiceman.serving.ecapa import load_ecapa
from voiceman.serving.emotion import DIMENSIONAL
from voiceman.serving.segmentation import load_segmentation
from voiceman_export import (
    emotion_categorical,
    emotion_dimensional,
    speaker_embedding,
    voice_activity,
    voice_runs,
    word_alignment,
)
from voiceman_export.check_speech import filterbank, reference_speech, speech
from voiceman_export.parity import Comparison, Floats, Parity
from voiceman_export.sources import Checkpoint

SPEECH_DISAGREEMENT_LIMIT = 0.05

_CPU = torch.device("cpu")


def check_emotion_dimensional(
    title: str, folder: Path, source: Checkpoint, sounds: Sequence[Waveform]
) -> Iterator[Parity]:
    """Arousal, dominance, valence beside transformers."""
    model = emotion_dimensional.load(source)

    def library(sound: Waveform) -> torch.Tensor:
        waveform = torch.from_numpy(normalise(sound, DIMENSIONAL.variance_floor))[None]
        return model(waveform, torch.ones_like(waveform, dtype=torch.int64))[0]

    expected, run = _each(library, sounds), voice_runs.dimensional(folder, sounds)
    yield from Comparison(title, "transformers", expected, run, classes=False).rows()


def check_emotion_categorical(
    title: str, folder: Path, source: Checkpoint, sounds: Sequence[Waveform]
) -> Iterator[Parity]:
    """Probabilities of the categories beside what speechbrain computes."""
    model = emotion_categorical.load(source.path)

    def library(sound: Waveform) -> torch.Tensor:
        return model(torch.from_numpy(sound)[None], torch.ones(1))[0]

    expected, run = _each(library, sounds), voice_runs.categorical(folder, sounds)
    yield from Comparison(title, "speechbrain's", expected, run, classes=True).rows()


def check_word_alignment(
    title: str, folder: Path, source: Checkpoint, sounds: Sequence[Waveform]
) -> Iterator[Parity]:
    """Probabilities of the labels in every frame beside transformers."""
    model = word_alignment.load(source)
    extract = AutoFeatureExtractor.from_pretrained(source.path)

    def library(sound: Waveform) -> torch.Tensor:
        inputs = extract(sound, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_values
        return model(inputs).logits[0].softmax(-1)

    expected, run = _each(library, sounds), voice_runs.ctc(folder, sounds)
    yield from Comparison(title, "transformers", expected, run, classes=True).rows()


def check_speaker_embedding(
    title: str, folder: Path, source: Checkpoint, sounds: Sequence[Waveform]
) -> Iterator[Parity]:
    """Unit embeddings of the same features beside speechbrain."""
    model = speaker_embedding.load(source.path)

    def features(sound: Waveform) -> torch.Tensor:
        log_mel = filterbank(sound)
        return (log_mel - log_mel.mean(dim=0))[None]

    def library(sound: Waveform) -> torch.Tensor:
        return functional.normalize(model(features(sound), torch.ones(1))[0], dim=0)

    def run(dtype: torch.dtype | None) -> list[Floats]:
        network = load_ecapa(folder, _CPU, dtype)
        vectors = (network(features(sound).numpy())[0] for sound in sounds)
        return [vector / np.linalg.norm(vector) for vector in vectors]

    expected = _each(library, sounds)
    yield from Comparison(title, "speechbrain", expected, run, classes=False).rows()


def check_voice_activity(
    title: str, folder: Path, source: Checkpoint, sounds: Sequence[Waveform]
) -> Iterator[Parity]:
    """Probabilities of the classes in every frame of 10 s, and the speech of a transcribed call."""
    joined = np.concatenate(sounds)
    whole = range(0, len(joined) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES)
    windows = [joined[start : start + WINDOW_SAMPLES] for start in whole]
    model = voice_activity.load(source.path)
    expected = _each(lambda window: model(torch.from_numpy(window)[None])[0].exp(), windows)

    def run(dtype: torch.dtype | None) -> list[Floats]:
        network = load_segmentation(folder, _CPU, dtype)
        return [np.exp(network(window[None])[0]) for window in windows]

    yield from Comparison(title, "torch", expected, run, classes=True).rows()
    served = load_segmentation(folder)(speech().reshape(-1, WINDOW_SAMPLES))
    spoken = np.concatenate(served.argmax(axis=-1) > 0)
    disagreement = float(np.mean(spoken != reference_speech(len(spoken))))
    reference = "call's RTTM, share of frames, speech or not"
    yield Parity(title, reference, disagreement, SPEECH_DISAGREEMENT_LIMIT)


def _each(library: Callable[[Waveform], torch.Tensor], sounds: Sequence[Waveform]) -> list[Floats]:
    """What the source makes of every sound by itself."""
    with torch.inference_mode():
        return [library(sound).numpy() for sound in sounds]
