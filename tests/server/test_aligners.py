"""The model word_alignment in a real Triton, with the weights of one language."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tritonclient.grpc import InferenceServerClient

from voiceman.analysis.ctc_labels import Vocabulary
from voiceman.analysis.ctc_network import CtcFormat
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.contracts import MODELS
from voiceman.manifest import Manifest, hash_files
from voiceman.serving.ctc import FORMAT, GRAPH, OUTPUT
from voiceman_client.transport import to_tensors

REPOSITORY = Path(__file__).parents[2] / "model_repository"
FIELD, HOP = 400, 320
VOCABULARY = Vocabulary({"가": 2, "나": 3}, 0, 1)
MODEL = MODELS["word_alignment"]


def write_weights(folder):
    """A network of one convolution, of the signature that group-norm models have."""
    folder.mkdir(parents=True)
    kernel = np.random.default_rng(0).standard_normal((4, 1, FIELD)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["WAVEFORM", "one"], ["sound"]),
        helper.make_node("Conv", ["sound", "kernel"], ["heard"], strides=[HOP]),
        helper.make_node("Transpose", ["heard"], ["logits"], perm=[0, 2, 1]),
        helper.make_node("LogSoftmax", ["logits"], [OUTPUT], axis=-1),
    ]
    constants = {"kernel": kernel, "one": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "ctc",
        [helper.make_tensor_value_info("WAVEFORM", TensorProto.FLOAT, ["b", "n"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["b", "frames", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), str(folder / GRAPH))
    form = CtcFormat(VOCABULARY, False, True, FIELD, HOP)
    (folder / FORMAT).write_text(form.to_json(), encoding="utf-8")
    Manifest(MODEL.name, "tiny", "1", "", "a test", "fp32", hash_files(folder)).write(folder)


@pytest.fixture
def served(repository):
    """The committed model with weights for Korean, and nothing else."""
    ignored = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(REPOSITORY / MODEL.name, repository.path / MODEL.name, ignore=ignored)
    write_weights(repository.path / MODEL.name / "1" / "weights" / "ko")
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
