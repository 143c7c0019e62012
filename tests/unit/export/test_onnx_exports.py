"""What ONNX Runtime computes is what the checkpoint's own library computes, for any batch."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from tiny_wav2vec2 import WAV2VEC2
from torch.nn.functional import normalize
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from voiceman.errors import LicenceNotAcceptedError, WeightsError
from voiceman_export import emotion_dimensional, speaker_embedding
from voiceman_export.models import export_model
from voiceman_export.speechbrain_lobes import ecapa_tdnn, imported

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


def dimensional_checkpoint(folder: Path) -> emotion_dimensional.EmotionDimensional:
    """The layout of audeering's model: wav2vec 2.0 and a head that the config does not name."""
    settings = {
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
        "id2label": {0: "valence", 1: "arousal", 2: "dominance"},
    }
    config = Wav2Vec2Config(**{**WAV2VEC2, **settings})
    model = emotion_dimensional.EmotionDimensional(config).eval()
    model.save_pretrained(folder)
    return model


def test_arousal_dominance_and_valence_do_not_depend_on_padding(repository, tmp_path):
    source = dimensional_checkpoint(tmp_path / "source")
    export = export_model(
        repository, "emotion_dimensional", str(tmp_path / "source"), accept_licence=True
    )
    lengths = (16_000, 11_200, 7_000)
    waveform, mask = torch.zeros(3, 16_000), torch.zeros(3, 16_000, dtype=torch.int64)
    expected = torch.zeros(3, 3)
    for row, length in enumerate(lengths):
        waveform[row, :length] = torch.randn(length)
        mask[row, :length] = 1
        with torch.inference_mode():
            hidden = source.wav2vec2(waveform[row : row + 1, :length]).last_hidden_state
            dense = torch.tanh(source.classifier.dense(hidden.mean(dim=1)))
            valence, arousal, dominance = source.classifier.out_proj(dense)[0]
        expected[row] = torch.stack([arousal, dominance, valence])
    path = export.folder / emotion_dimensional.FILE
    found = run(path, WAVEFORM=waveform, ATTENTION_MASK=mask)
    assert (found - expected).abs().max() < LIMIT
    assert export.manifest.licence == "CC-BY-NC-SA-4.0"


def test_a_licence_without_commercial_use_must_be_accepted(repository, tmp_path):
    dimensional_checkpoint(tmp_path / "source")
    with pytest.raises(LicenceNotAcceptedError, match="--accept-license"):
        export_model(repository, "emotion_dimensional", str(tmp_path / "source"))
    assert not (repository / "emotion_dimensional" / "1").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id2label": {0: "joy", 1: "fear", 2: "anger"}}, "joy"),
        ({"feat_extract_norm": "group"}, "padded"),
    ],
)
def test_a_checkpoint_that_answers_something_else_is_refused(tmp_path, changes, reason, repository):
    config = dimensional_checkpoint(tmp_path / "source").config
    Wav2Vec2Config(**{**config.to_dict(), **changes}).save_pretrained(tmp_path / "source")
    with pytest.raises(WeightsError, match=reason):
        export_model(
            repository, "emotion_dimensional", str(tmp_path / "source"), accept_licence=True
        )


def test_emotion_probabilities_are_speechbrain_s(repository, tmp_path):
    hub = tmp_path / "wav2vec2"
    Wav2Vec2Model(Wav2Vec2Config(**WAV2VEC2)).save_pretrained(hub)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(hub)
    wav2vec2 = imported("speechbrain.integrations.huggingface.wav2vec2").Wav2Vec2(
        str(hub), str(tmp_path / "cache"), output_norm=True, freeze=True
    )
    pool = imported("speechbrain.nnet.pooling").StatisticsPooling(return_std=False)
    linear = imported("speechbrain.nnet.linear").Linear(64, input_size=64, bias=False)
    linear.w = torch.nn.Linear(64, 4, bias=False)
    source = tmp_path / "source"
    source.mkdir()
    torch.save(wav2vec2.state_dict(), source / "wav2vec2.ckpt")
    torch.save(torch.nn.ModuleList([linear]).state_dict(), source / "model.ckpt")
    (source / "hyperparams.yaml").write_text("wav2vec2: !new:a.b\n    output_norm: True\n")
    labels = "'sad' => 0\n'neu' => 1\n'ang' => 2\n'hap' => 3\n================\n"
    (source / "label_encoder.txt").write_text(labels + "'starting_index' => 0\n")
    folder = export_model(repository, "emotion_categorical", str(source)).folder
    for batch, samples in ((1, 16_000), (3, 9_000)):
        waveform, lengths = torch.randn(batch, samples), torch.ones(batch)
        with torch.inference_mode():
            hidden = wav2vec2.eval()(waveform)
            probabilities = linear(pool(hidden, lengths)).squeeze(1).softmax(dim=-1)
        found = run(folder / "emotion_categorical.onnx", WAVEFORM=waveform, LENGTHS=lengths)
        assert (found - probabilities[:, [1, 2, 3, 0]]).abs().max() < LIMIT
