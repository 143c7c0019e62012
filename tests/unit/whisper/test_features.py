import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from voiceman.audio import Waveform
from voiceman.serving.whisper.features import log_mel, mel_transform, pad


@pytest.mark.parametrize("mel_bins", [80, 128])
def test_log_mel_is_that_of_transformers(sounds: list[Waveform], mel_bins: int) -> None:
    extractor = WhisperFeatureExtractor(feature_size=mel_bins)
    windows = [sounds[0], sounds[1], sounds[2], np.zeros(400, np.float32)]
    ours = log_mel(pad(windows), mel_transform(mel_bins, torch.device("cpu"))).numpy()
    theirs = extractor(windows, sampling_rate=16000, return_tensors="np").input_features
    assert ours.shape == (4, mel_bins, 3000)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
