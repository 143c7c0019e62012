"""Exported voice networks on given sounds, one by one, in a precision of choice."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from voiceman.analysis.network_inputs import normalise
from voiceman.audio import Waveform
from voiceman.serving.ctc import CtcModel
from voiceman.serving.emotion import CATEGORICAL, DIMENSIONAL
from voiceman.serving.emotion_networks import load_categorical, load_dimensional
from voiceman.serving.guard import Network
from voiceman_export.parity import Floats, Run

# From a weights folder and sounds [n] to what its network makes of them.
Runs = Callable[[Path, Sequence[Waveform]], Run]

_CPU = torch.device("cpu")


def dimensional(folder: Path, sounds: Sequence[Waveform]) -> Run:
    """Arousal, dominance, valence [3] of every sound."""
    inputs = [normalise(sound, DIMENSIONAL.variance_floor) for sound in sounds]
    return lambda dtype: _each(load_dimensional(folder, _CPU, dtype), inputs)


def categorical(folder: Path, sounds: Sequence[Waveform]) -> Run:
    """Probabilities of the categories [4] of every sound."""
    inputs = [normalise(sound, CATEGORICAL.variance_floor) for sound in sounds]
    return lambda dtype: _each(load_categorical(folder, _CPU, dtype), inputs)


def ctc(folder: Path, sounds: Sequence[Waveform]) -> Run:
    """Probabilities of the labels [frames, labels] of every sound."""

    def run(dtype: torch.dtype | None) -> list[Floats]:
        network = CtcModel(folder, _CPU, dtype)
        inputs = [normalise(sound) if network.form.normalised else sound for sound in sounds]
        return [np.exp(emissions) for emissions in _each(network, inputs)]

    return run


def _each(network: Network, inputs: Sequence[Waveform]) -> list[Floats]:
    return [network(sound[np.newaxis], np.array([len(sound)]))[0] for sound in inputs]
