"""Triton model `word_alignment`: word times from Whisper's cross-attention."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from voiceman.analysis.word_times import align_words
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.contracts import MODELS
from voiceman.evidence import Transcript
from voiceman.serving.requests import Inputs, Outputs, answer, one_by_one

MODEL = MODELS["word_alignment"]


class TritonPythonModel:
    """Aligns transcripts; holds no weights."""

    def initialize(self, args: Mapping[str, str]) -> None:
        del args

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, MODEL, one_by_one(align))


def align(inputs: Inputs) -> Outputs:
    """One window; an empty transcript (a warm-up) has no words."""
    text = cast("str", inputs["TRANSCRIPT"])
    waveform = cast("npt.NDArray[np.int16]", inputs["WAVEFORM"])
    attention = cast("npt.NDArray[np.float32]", inputs["CROSS_ATTENTION"])
    transcript = json.loads(text) if text else empty_transcript(len(waveform) / SAMPLE_RATE_HZ)
    aligned = align_words(transcript, attention)
    return {"ALIGNED_TRANSCRIPT": json.dumps(aligned, ensure_ascii=False)}


def empty_transcript(duration: float) -> Transcript:
    """A window in which nothing was said."""
    return {
        "language": "",
        "language_probability": None,
        "duration": duration,
        "no_speech_probability": 0.0,
        "compression_ratio": 0.0,
        "segments": [],
        "flags": [],
    }
