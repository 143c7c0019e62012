"""What the server computes is what the emotion models' own libraries compute, for any batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_wav2vec2 import WAV2VEC2
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from voiceman.analysis.network_inputs import normalise
from voiceman.errors import LicenceNotAcceptedError, WeightsError
from voiceman.serving.emotion import CATEGORICAL
from voiceman.serving.emotion_networks import WEIGHTS, load_categorical, load_dimensional
from voiceman_export import emotion_dimensional
from voiceman_export.models import export_model
from voiceman_export.speechbrain_lobes import imported

CPU = torch.device("cpu")
LIMIT, SERVED = 1e-4, 0.01


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


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
    waveform = torch.zeros(3, 16_000)
    expected = torch.zeros(3, 3)
    for row, length in enumerate(lengths):
        waveform[row, :length] = torch.randn(length)
        with torch.inference_mode():
            hidden = source.wav2vec2(waveform[row : row + 1, :length]).last_hidden_state
            dense = torch.tanh(source.classifier.dense(hidden.mean(dim=1)))
            valence, arousal, dominance = source.classifier.out_proj(dense)[0]
        expected[row] = torch.stack([arousal, dominance, valence])
    network = load_dimensional(export.folder, CPU, torch.float32)
    found = network(waveform.numpy(), np.array(lengths))
    np.testing.assert_allclose(found, expected, atol=LIMIT)
    served = load_dimensional(export.folder, CPU, torch.bfloat16)
    np.testing.assert_allclose(served(waveform.numpy(), np.array(lengths)), expected, atol=SERVED)
    for row, length in enumerate(lengths):  # alone, and in a crowd
        alone = network(waveform[row : row + 1, :length].numpy(), np.array([length]))
        np.testing.assert_allclose(alone[0], found[row], atol=LIMIT)
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
    padded, lengths = torch.zeros(3, 16_000), np.array([16_000, 11_200, 7_000])
    expected = torch.zeros(3, 4)
    for row, length in enumerate(lengths):
        waveform = torch.randn(1, length) / 20  # quiet: what is added to the variance counts
        with torch.inference_mode():
            hidden = wav2vec2.eval()(waveform)
            probabilities = linear(pool(hidden, torch.ones(1))).squeeze(1).softmax(dim=-1)
        expected[row] = probabilities[0, [1, 2, 3, 0]]
        normalised = normalise(waveform[0].numpy(), CATEGORICAL.variance_floor)
        padded[row, :length] = torch.from_numpy(normalised)
    for dtype, limit in ((torch.float32, LIMIT), (torch.bfloat16, SERVED)):
        found = load_categorical(folder, CPU, dtype)(padded.numpy(), lengths)
        np.testing.assert_allclose(found, expected, atol=limit)


def test_other_weights_are_refused(repository, tmp_path):
    dimensional_checkpoint(tmp_path / "source")
    source = str(tmp_path / "source")
    folder = export_model(repository, "emotion_dimensional", source, accept_licence=True).folder
    with pytest.raises(WeightsError, match=f"{WEIGHTS}: not an emotion network.*output.weight"):
        load_categorical(folder, CPU)
    (folder / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="conv_stride"):
        load_dimensional(folder, CPU)
