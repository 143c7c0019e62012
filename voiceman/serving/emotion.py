"""The engine of both emotion models: ONNX Runtime on whatever weights were exported.

Without weights a model is no failure: its rows are NaN and its status says which command
would bring them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from voiceman.analysis.emotion import analyse_utterances
from voiceman.analysis.network_inputs import Floats, Lengths, attention_mask
from voiceman.audio import Int16Waveform
from voiceman.contracts import (
    EMOTION_CATEGORIES,
    EMOTION_DIMENSIONS,
)
from voiceman.manifest import MANIFEST_NAME, read_manifest
from voiceman.serving.onnx import OnnxModel, open_model
from voiceman.status import Status

if TYPE_CHECKING:  # requests.py imports what only Triton provides; the engine runs without
    from voiceman.serving.requests import Inputs, Outputs


@dataclass(frozen=True)
class EmotionModel:
    """What tells the two emotion models apart.

    Attributes:
        name: of the Triton model; its ONNX file and its status tensor are named after it.
        output: the tensor with one row per utterance.
        columns: names of the row's numbers.
        masked: takes ATTENTION_MASK (layer-norm); otherwise LENGTHS, by equal lengths only.
        missing: what to say without weights.
        note: what a reader must know about the training data.
    """

    name: str
    output: str
    columns: tuple[str, ...]
    masked: bool
    missing: str
    note: str


DIMENSIONAL = EmotionModel(
    name="emotion_dimensional",
    output="AROUSAL_DOMINANCE_VALENCE",
    columns=EMOTION_DIMENSIONS,
    masked=True,
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
    masked=False,
    missing="no weights: run voiceman-export emotion-categorical --checkpoint FOLDER_OR_NAME",
    note=(
        "trained on ten English-speaking actors in a studio (IEMOCAP); other languages, "
        "telephone sound and real emotion are outside of that"
    ),
)


class EmotionEngine:
    """Answers batches of requests with one emotion model, with or without its weights."""

    def __init__(
        self, model: EmotionModel, folder: Path, args: Mapping[str, str] | None = None
    ) -> None:
        """Load the weights, if there are any.

        Args:
            model: which of the two.
            folder: the weights folder; none, or an empty one, means no weights.
            args: what Triton gives to `initialize`, for the device.

        Raises:
            WeightsError: there are weights, but they are incomplete or unreadable.
        """
        self._model = model
        self._network: OnnxModel | None = None
        self._weights = ""
        if (folder / MANIFEST_NAME).is_file():
            manifest = read_manifest(folder)
            self._weights = f"{manifest.name} {manifest.version}"
            self._network = open_model(folder / f"{model.name}.onnx", args)

    def __call__(self, batch: "Sequence[Inputs]") -> "Sequence[Outputs]":
        """WAVEFORM and UTTERANCES of every request to the model's two output tensors."""
        utterances = [cast("Floats", inputs["UTTERANCES"]) for inputs in batch]
        if self._network is None:
            return [self._unavailable(len(spans)) for spans in utterances]
        found = analyse_utterances(
            [cast("Int16Waveform", inputs["WAVEFORM"]) for inputs in batch],
            utterances,
            partial(self._run, self._network),
            outputs=len(self._model.columns),
            masked=self._model.masked,
        )
        return [self._answer(emotions.values, emotions.missing) for emotions in found]

    def _run(self, network: OnnxModel, waveforms: Floats, lengths: Lengths) -> Floats:
        if self._model.masked:
            mask = attention_mask(waveforms, lengths)
            return network(WAVEFORM=waveforms, ATTENTION_MASK=mask)[self._model.output]
        relative = (lengths / waveforms.shape[1]).astype(np.float32)
        return network(WAVEFORM=waveforms, LENGTHS=relative)[self._model.output]

    def _answer(self, values: Floats, missing: dict[int, str]) -> "Outputs":
        status = Status(weights=self._weights, utterances=missing, note=self._model.note)
        return self._outputs(values, status)

    def _unavailable(self, rows: int) -> "Outputs":
        nothing = np.full((rows, len(self._model.columns)), np.nan, np.float32)
        return self._outputs(nothing, Status(unavailable=self._model.missing))

    def _outputs(self, values: Floats, status: Status) -> "Outputs":
        name = f"{self._model.name.upper()}_STATUS"
        return {self._model.output: values, name: status.to_json()}
