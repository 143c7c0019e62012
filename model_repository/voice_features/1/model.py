"""Pitch, voice quality, level, rates and pauses of every utterance of a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.voice_features import NOTE, Float32s, measure_utterances
from voiceman.audio import Int16Waveform
from voiceman.serving.requests import Inputs, Outputs, answer, one_by_one
from voiceman.status import Status

CONTRACT = contracts.MODELS["voice_features"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.voice_features`."""

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, one_by_one(_measure))


def _measure(inputs: Inputs) -> Outputs:
    waveform = cast("Int16Waveform", inputs["WAVEFORM"])
    found = measure_utterances(waveform, cast("Float32s", inputs["UTTERANCES"]))
    status = Status(weights="none: signal processing", utterances=found.missing, note=NOTE)
    return {
        "VOICE_FEATURES": found.features,
        "F0_CONTOUR": found.contour,
        "VOICE_FEATURES_STATUS": status.to_json(),
    }
