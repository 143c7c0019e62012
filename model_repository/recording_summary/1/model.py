"""Clusters the speakers of a recording and sums up its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.recording_options import parse_recording_options
from voiceman.analysis.scoring_tables import load_assessment
from voiceman.analysis.speakers import Floats
from voiceman.analysis.summary import summarise
from voiceman.evidence import Evidence
from voiceman.manifest import code_in_use, newest_weights
from voiceman.options import parse_object
from voiceman.serving.requests import Inputs, Outputs, answer, one_by_one

CONTRACT = contracts.MODELS["recording_summary"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.summary`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        # One file for both: the scores of a window and of its recording rest on the same weights.
        repository = Path(args["model_repository"]).parent
        self._tables = load_assessment(newest_weights(repository, "scoring"))
        self._code = code_in_use()

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, one_by_one(self._summarise))

    def _summarise(self, inputs: Inputs) -> Outputs:
        texts = cast("list[str]", inputs["WINDOW_EVIDENCE"])
        # An empty item is a window without evidence, such as warm-up sends.
        windows = [
            cast("Evidence | None", parse_object(t, "WINDOW_EVIDENCE") or None) for t in texts
        ]
        embeddings = cast("Floats", inputs["SPEAKER_EMBEDDING"])
        options = parse_recording_options(cast("str", inputs.get("RECORDING_OPTIONS", "")))
        summary = summarise(windows, embeddings, options, self._tables)
        summary["models"] = {CONTRACT.name: self._code}
        return {"SUMMARY": json.dumps(summary, ensure_ascii=False, allow_nan=False)}
