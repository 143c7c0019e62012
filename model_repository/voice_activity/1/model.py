"""Speech regions and local speaker turns in up to 5 minutes of sound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.segmentation import find_activity
from voiceman.audio import Int16Waveform
from voiceman.manifest import read_manifest
from voiceman.serving.guard import DIARIZATION, Guarded, guard_for
from voiceman.serving.processor import instance_device
from voiceman.serving.requests import Inputs, Outputs, answer, weights_folder
from voiceman.serving.segmentation import load_segmentation

CONTRACT = contracts.MODELS["voice_activity"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.segmentation`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        torch.set_num_threads(1)
        folder, device = weights_folder(args), instance_device(args)
        self._weights = json.dumps(read_manifest(folder).weights)
        self._network = Guarded(
            load_segmentation(folder, device),
            guard_for("voice_activity", DIARIZATION, str(device)),
            None if device.type == "cpu" else partial(load_segmentation, folder),
        )

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, self._compute)

    def _compute(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        waveforms = [cast("Int16Waveform", inputs["WAVEFORM"]) for inputs in batch]
        found = find_activity(waveforms, self._network)
        return [
            {
                "SPEECH": activity.speech,
                "SPEAKER_TURNS": activity.turns,
                "VOICE_ACTIVITY_WEIGHTS": self._weights,
            }
            for activity in found
        ]
