"""Speech regions and local speaker turns in up to 5 minutes of sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.segmentation import Floats, find_activity
from voiceman.audio import Int16Waveform
from voiceman.serving.onnx import open_model
from voiceman.serving.requests import Inputs, Outputs, answer, weights_folder

CONTRACT = contracts.MODELS["voice_activity"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.segmentation`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._model = open_model(weights_folder(args) / "segmentation.onnx", args)

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, self._compute)

    def _compute(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        waveforms = [cast("Int16Waveform", inputs["WAVEFORM"]) for inputs in batch]
        found = find_activity(waveforms, self._segment)
        return [{"SPEECH": a.speech, "SPEAKER_TURNS": a.turns} for a in found]

    def _segment(self, windows: Floats) -> Floats:
        return self._model(WAVEFORM=windows)["SEGMENTATION"]
