"""The one audio format inside voiceman, and the limits that follow from the models.

Everything behind the decoder is 16 kHz mono. Tensors carry INT16 (half the bytes of a float
on every wire); analysis works on float32 in [-1, 1).
"""

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
MAX_WINDOW_S = 30.0  # what Whisper's encoder sees
MAX_WINDOW_SAMPLES = int(MAX_WINDOW_S * SAMPLE_RATE_HZ)  # 480,000
MAX_PIECE_S = 300.0  # the longest span that voice_activity takes in one request
MAX_PIECE_SAMPLES = int(MAX_PIECE_S * SAMPLE_RATE_HZ)  # 4,800,000
MIN_WAVEFORM_SAMPLES = 400  # 25 ms, one frame of every spectral front end

Int16Waveform = npt.NDArray[np.int16]
Waveform = npt.NDArray[np.float32]

_INT16_SCALE = 32768.0


def to_float32(waveform: Int16Waveform) -> Waveform:
    """INT16 samples [n] to float32 in [-1, 1)."""
    return waveform.astype(np.float32) / np.float32(_INT16_SCALE)


def to_int16(waveform: Waveform) -> Int16Waveform:
    """Float32 samples [n] to INT16, rounded and clipped at full scale."""
    return np.clip(np.rint(waveform * _INT16_SCALE), -32768, 32767).astype(np.int16)
