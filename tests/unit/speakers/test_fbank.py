"""The numpy front end gives what speechbrain's own gives."""

import subprocess
import sys

import numpy as np
import pytest

from voiceman.analysis.fbank import log_mel_features

# In a process of its own: speechbrain imports torchaudio, which is not installed, and leaves
# lazy modules behind that break whoever inspects sys.modules, hypothesis for one.
REFERENCE = """
import sys, types
import numpy as np, torch
stand_in = types.ModuleType("torchaudio")
stand_in.__version__ = "2.9.0"
sys.modules["torchaudio"] = stand_in
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization
front_end = Fbank(n_mels=80)
normalise = InputNormalization(norm_type="sentence", std_norm=False)
waveforms = np.load(sys.argv[1])
np.savez(sys.argv[2], **{
    name: normalise(front_end(torch.from_numpy(waveforms[name])[None]), torch.ones(1))[0].numpy()
    for name in waveforms.files
})
"""


def voice_like(samples: int) -> np.ndarray:
    """A gliding buzz with pauses and a little noise."""
    random = np.random.default_rng(7)
    time = np.arange(samples) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(3 * time)) / 16_000
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (0.1 * buzz * (np.sin(5 * time) > 0) + 1e-3 * random.standard_normal(samples)).astype(
        np.float32
    )


def test_equal_to_speechbrain_within_a_hundredth_of_a_decibel(tmp_path):
    pytest.importorskip("torch")
    waveforms = {str(n): voice_like(n) for n in (4_800, 16_001, 80_000)}
    np.savez(tmp_path / "waveforms.npz", **waveforms)
    files = [str(tmp_path / "waveforms.npz"), str(tmp_path / "features.npz")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", REFERENCE, *files], check=True)
    reference = np.load(files[1])
    for name, waveform in waveforms.items():
        features = log_mel_features(waveform)
        assert features.shape == (len(waveform) // 160 + 1, 80)
        np.testing.assert_allclose(features, reference[name], atol=1e-2)
        assert np.abs(features - reference[name]).mean() < 1e-4


def test_loudness_does_not_matter():
    waveform = voice_like(16_000)
    np.testing.assert_allclose(
        log_mel_features(waveform), log_mel_features(waveform * 0.25), atol=1e-3
    )


def test_digital_silence_is_flat():
    assert not log_mel_features(np.zeros(8_000, np.float32)).any()
