"""Arousal, dominance and valence of every utterance, by a network if it was exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.serving.emotion import DIMENSIONAL, EmotionEngine
from voiceman.serving.processor import instance_device
from voiceman.serving.requests import answer, weights_folder

CONTRACT = contracts.MODELS["emotion_dimensional"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.serving.emotion`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        torch.set_num_threads(1)
        self._engine = EmotionEngine(DIMENSIONAL, weights_folder(args), instance_device(args))

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, self._engine)
