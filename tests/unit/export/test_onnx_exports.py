"""What ONNX Runtime computes is what the checkpoint's own library computes, for any batch."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch.nn.functional import normalize

from voiceman_export import speaker_embedding
from voiceman_export.models import export_model
from voiceman_export.speechbrain_lobes import ecapa_tdnn

LIMIT = 1e-4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def run(path: Path, **inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return torch.from_numpy(output)


def randomise(module: torch.nn.Module) -> torch.nn.Module:
    """Random statistics too, so that no normalisation is the identity."""
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
        elif name.endswith("running_mean"):
            buffer.normal_(std=0.1)
    return module.eval()


def test_speaker_embeddings_are_speechbrain_s(repository, tmp_path):
    settings = {"kernel_sizes": [5, 3, 3, 3, 1], "dilations": [1, 2, 3, 4, 1]}
    source = randomise(ecapa_tdnn(input_size=80, channels=[32, 32, 32, 32, 96], **settings))
    torch.save(source.state_dict(), tmp_path / speaker_embedding.CHECKPOINT)
    folder = export_model(repository, "speaker_embedding", str(tmp_path)).folder
    for batch, frames in ((1, 300), (3, 40)):
        features = torch.randn(batch, frames, 80)
        lengths = torch.linspace(1.0, 0.4, batch)
        with torch.inference_mode():
            expected = source(features, lengths=lengths).squeeze(1)
        path = folder / speaker_embedding.FILE
        found = run(path, FEATURES=features, LENGTHS=lengths)
        assert (normalize(found) - normalize(expected)).abs().max() < LIMIT
