"""Triton model `word_alignment`: word times by CTC, or from Whisper's cross-attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import triton_python_backend_utils as pb_utils

from voiceman.contracts import MODELS
from voiceman.serving.ctc import WordAligner
from voiceman.serving.processor import instance_device
from voiceman.serving.requests import answer, weights_folder

MODEL = MODELS["word_alignment"]


class TritonPythonModel:
    """Aligns transcripts, by the weights of their language where there are any."""

    def initialize(self, args: Mapping[str, str]) -> None:
        torch.set_num_threads(1)
        self._align = WordAligner(weights_folder(args), instance_device(args))

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, MODEL, self._align)
