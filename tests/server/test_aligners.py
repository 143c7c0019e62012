"""The model word_alignment in a real Triton, with the weights of one language."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_wav2vec2 import ctc_checkpoint
from tritonclient.grpc import InferenceServerClient

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.contracts import MODELS
from voiceman_client.transport import to_tensors
from voiceman_export.models import export_model

REPOSITORY = Path(__file__).parents[2] / "model_repository"
MODEL = MODELS["word_alignment"]


@pytest.fixture
def served(repository, tmp_path):
    """The committed model with weights for Korean, and nothing else."""
    checkpoint = ctc_checkpoint(tmp_path / "tiny", labels="가나")
    ignored = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(REPOSITORY / MODEL.name, repository.path / MODEL.name, ignore=ignored)
    export_model(repository.path, MODEL.name, str(checkpoint), language="ko")
    with repository.start() as server, InferenceServerClient(server.grpc_url) as client:
        yield client


def request(language: str):
    words = [
        {"word": f" {word}", "row_start": i, "row_end": i + 1, "score": 0.5}
        for i, word in enumerate(("가나", "7", "나!"))
    ]
    segment = {"start": 0.5, "end": 2.5, "text": "가나 7 나!", "avg_logprob": 0.0, "words": words}
    transcript = {
        "language": language,
        "language_probability": None,
        "duration": 3.0,
        "no_speech_probability": 0.0,
        "compression_ratio": 1.0,
        "segments": [segment],
        "flags": [],
    }
    rng = np.random.default_rng(1)
    return to_tensors(
        MODEL.name,
        {
            "WAVEFORM": rng.normal(0, 2000, 3 * SAMPLE_RATE_HZ).astype(np.int16),
            "TRANSCRIPT": json.dumps(transcript, ensure_ascii=False),
            "CROSS_ATTENTION": rng.standard_normal((4, 150)).astype(np.float32),
        },
    )


def test_each_language_has_its_aligner(served):
    answers = {
        language: json.loads(
            served.infer(MODEL.name, request(language)).as_numpy("ALIGNED_TRANSCRIPT")[0, 0]
        )
        for language in ("ko", "fr")
    }
    assert answers["ko"]["aligner"] == "ctc"
    assert answers["ko"]["aligner_weights"]["name"] == "tiny"
    (segment,) = answers["ko"]["segments"]
    times = [edge for word in segment["words"] for edge in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0.5 <= times[0] < times[-1] <= 2.5
    assert answers["fr"]["aligner"] == "whisper-cross-attention"
