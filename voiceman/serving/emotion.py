"""The engine of both emotion models: a network on whatever weights were exported.

Without weights a model is no failure: its rows are NaN and its status says which command
would bring them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from voiceman.analysis.emotion import analyse_utterances
from voiceman.analysis.network_inputs import VARIANCE_FLOOR, Floats
from voiceman.audio import Int16Waveform
from voiceman.contracts import (
    EMOTION_CATEGORIES,
    EMOTION_DIMENSIONS,
)
from voiceman.manifest import MANIFEST_NAME, read_manifest
from voiceman.serving.emotion_networks import load_categorical, load_dimensional
from voiceman.serving.guard import EMOTION, Guarded, Network, guard_for
from voiceman.status import Status

if TYPE_CHECKING:  # requests.py imports what only Triton provides; the engine runs without
    from voiceman.serving.requests import Inputs, Outputs


CPU = torch.device("cpu")


@dataclass(frozen=True)
class EmotionModel:
    """What tells the two emotion models apart.

    Attributes:
        name: of the Triton model; its status tensor is named after it.
        output: the tensor with one row per utterance.
        columns: names of the row's numbers.
        variance_floor: of its normalised input.
        load: reads the network from a weights folder, for a device.
        missing: what to say without weights.
        note: what a reader must know about the training data.
    """

    name: str
    output: str
    columns: tuple[str, ...]
    variance_floor: float
    load: Callable[[Path, torch.device], Network]
    missing: str
    note: str


DIMENSIONAL = EmotionModel(
    name="emotion_dimensional",
    output="AROUSAL_DOMINANCE_VALENCE",
    columns=EMOTION_DIMENSIONS,
    variance_floor=VARIANCE_FLOOR,
    load=load_dimensional,
    missing="no weights: run voiceman-export emotion-dimensional --checkpoint FOLDER_OR_NAME",
    note=(
        "trained on English podcasts (MSP-Podcast), rated by listeners; other languages, "
        "telephone sound and acted anger are outside of that"
    ),
)
CATEGORICAL = EmotionModel(
    name="emotion_categorical",
    output="EMOTION_PROBABILITIES",
    columns=EMOTION_CATEGORIES,
    variance_floor=1e-5,  # that of torch's layer norm, which speechbrain takes
    load=load_categorical,
    missing="no weights: run voiceman-export emotion-categorical --checkpoint FOLDER_OR_NAME",
    note=(
        "trained on ten English-speaking actors in a studio (IEMOCAP); other languages, "
        "telephone sound and real emotion are outside of that"
    ),
)


class EmotionEngine:
    """Answers batches of requests with one emotion model, with or without its weights."""

    def __init__(self, model: EmotionModel, folder: Path, device: torch.device = CPU) -> None:
        """Load the weights, if there are any.

        Args:
            model: which of the two.
            folder: the weights folder; none, or an empty one, means no weights.
            device: where to compute.

        Raises:
            WeightsError: there are weights, but they are incomplete or unreadable.
        """
        self._model = model
        self._network: Guarded | None = None
        self._weights = ""
        if (folder / MANIFEST_NAME).is_file():
            manifest = read_manifest(folder)
            self._weights = f"{manifest.name} {manifest.version}"
            self._network = Guarded(
                model.load(folder, device),
                guard_for(model.name, EMOTION, str(device)),
                None if device == CPU else partial(model.load, folder, CPU),
            )

    def __call__(self, batch: "Sequence[Inputs]") -> "Sequence[Outputs]":
        """WAVEFORM and UTTERANCES of every request to the model's two output tensors."""
        utterances = [cast("Floats", inputs["UTTERANCES"]) for inputs in batch]
        if self._network is None:
            return [self._unavailable(len(spans)) for spans in utterances]
        found = analyse_utterances(
            [cast("Int16Waveform", inputs["WAVEFORM"]) for inputs in batch],
            utterances,
            self._network,
            outputs=len(self._model.columns),
            variance_floor=self._model.variance_floor,
        )
        return [self._answer(emotions.values, emotions.missing) for emotions in found]

    def _answer(self, values: Floats, missing: dict[int, str]) -> "Outputs":
        status = Status(weights=self._weights, utterances=missing, note=self._model.note)
        return self._outputs(values, status)

    def _unavailable(self, rows: int) -> "Outputs":
        nothing = np.full((rows, len(self._model.columns)), np.nan, np.float32)
        return self._outputs(nothing, Status(unavailable=self._model.missing))

    def _outputs(self, values: Floats, status: Status) -> "Outputs":
        name = f"{self._model.name.upper()}_STATUS"
        return {self._model.output: values, name: status.to_json()}
