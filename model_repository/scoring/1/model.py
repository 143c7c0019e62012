"""Joins everything found about a window into its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis import window_evidence as evidence
from voiceman.analysis.scoring_tables import load_scoring
from voiceman.manifest import weights_in_use
from voiceman.serving.requests import Inputs, Outputs, answer, one_by_one, weights_folder

CONTRACT = contracts.MODELS["scoring"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.window_evidence`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._tables = load_scoring(weights_folder(args))
        self._models = weights_in_use(Path(args["model_repository"]).parent)

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, one_by_one(self._gather))

    def _gather(self, inputs: Inputs) -> Outputs:
        found = evidence.WindowFindings(
            transcript=evidence.read_transcript(_text(inputs, "ALIGNED_TRANSCRIPT")),
            utterances=_numbers(inputs, "UTTERANCES"),
            turns=cast("evidence.Float32s | None", inputs.get("TURNS")),
            emotion_dimensional=evidence.emotion_dimensional(
                _numbers(inputs, "AROUSAL_DOMINANCE_VALENCE"),
                _text(inputs, "EMOTION_DIMENSIONAL_STATUS"),
            ),
            emotion_categorical=evidence.emotion_categorical(
                _numbers(inputs, "EMOTION_PROBABILITIES"),
                _text(inputs, "EMOTION_CATEGORICAL_STATUS"),
            ),
            speaker_embedding=evidence.speaker_embedding(_text(inputs, "SPEAKER_EMBEDDING_STATUS")),
            voice_features=evidence.voice_features(
                _numbers(inputs, "VOICE_FEATURES"), _text(inputs, "VOICE_FEATURES_STATUS")
            ),
            f0_contour=_numbers(inputs, "F0_CONTOUR"),
        )
        gathered = evidence.gather(found, self._tables, self._models)
        return {"EVIDENCE": evidence.to_json(gathered)}


def _text(inputs: Inputs, name: str) -> str:
    return cast("str", inputs[name])


def _numbers(inputs: Inputs, name: str) -> evidence.Float32s:
    return cast("evidence.Float32s", inputs[name])
