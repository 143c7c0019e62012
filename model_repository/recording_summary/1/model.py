"""Clusters the speakers of a recording and sums up its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.recording_options import parse_recording_options
from voiceman.analysis.speakers import Floats
from voiceman.analysis.summary import summarise
from voiceman.evidence import Evidence, Summary
from voiceman.manifest import code_in_use
from voiceman.options import parse_object
from voiceman.serving.requests import Inputs, Outputs, answer, one_by_one

CONTRACT = contracts.MODELS["recording_summary"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.summary`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._code = code_in_use()
        self._compute = one_by_one(self._summarise)

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, self._compute)

    def _summarise(self, inputs: Inputs) -> Outputs:
        summary = _summary(inputs)
        summary["models"] = {CONTRACT.name: self._code}
        return {"SUMMARY": json.dumps(summary, ensure_ascii=False)}


def _summary(inputs: Inputs) -> Summary:
    texts = cast("list[str]", inputs["WINDOW_EVIDENCE"])
    # An empty item is a window without evidence, such as warm-up sends.
    windows = [cast("Evidence | None", parse_object(t, "WINDOW_EVIDENCE") or None) for t in texts]
    embeddings = cast("Floats", inputs["SPEAKER_EMBEDDING"])
    options = parse_recording_options(cast("str", inputs.get("RECORDING_OPTIONS", "")))
    return summarise(windows, embeddings, options)
