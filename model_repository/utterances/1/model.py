"""Cuts a window into single-speaker utterances at turns and pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.utterances import Spans, find_utterances
from voiceman.evidence import AlignedTranscript
from voiceman.options import parse_object
from voiceman.serving.requests import Inputs, Outputs, answer, one_by_one

CONTRACT = contracts.MODELS["utterances"]


class TritonPythonModel:
    """The Triton model; all of its work is `voiceman.analysis.utterances`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._compute = one_by_one(_utterances)

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, self._compute)


def _utterances(inputs: Inputs) -> Outputs:
    text = cast("str", inputs["ALIGNED_TRANSCRIPT"])
    if not (values := parse_object(text, "ALIGNED_TRANSCRIPT")):
        return {"UTTERANCES": np.zeros((0, 2), np.float32)}
    transcript = cast("AlignedTranscript", values)
    turns = cast("Spans | None", inputs.get("TURNS"))
    return {"UTTERANCES": find_utterances(transcript["segments"], transcript["duration"], turns)}
