"""Recordings as long as real ones, put together from the catalogue's real speech."""

import random
from pathlib import Path

import av
import numpy as np

from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman_client.decode import decode
from voiceman_export.assets import fetch

SEED = 183
RECORDING_S = 300.0
# Suffix, codec and sample rate: what telephones and recorders write.
FORMATS = (("m4a", "aac", 44_100), ("mp3", "libmp3lame", 44_100), ("wav", "pcm_s16le", 16_000))


def write_recordings(folder: Path, seconds: float) -> float:
    """Write recordings of at least so much sound in all; returns how much it is, in seconds."""
    sources = [
        *sorted(fetch("korean-calls").rglob("*.wav")),
        fetch("telephone-call") / "sample.wav",
    ]
    sounds = [decode(path, "mix").waveforms[0] for path in sources]
    choice = random.Random(SEED)
    count = max(1, round(seconds / RECORDING_S))
    each = int(seconds / count * SAMPLE_RATE_HZ)
    for number in range(count):
        parts: list[Int16Waveform] = []
        while sum(len(part) for part in parts) < each:
            parts.append(choice.choice(sounds))
        suffix, codec, rate_hz = FORMATS[number % len(FORMATS)]
        encode(folder / f"{number:02}.{suffix}", np.concatenate(parts)[:each], codec, rate_hz)
    return count * each / SAMPLE_RATE_HZ


def encode(
    path: Path, waveform: Int16Waveform, codec: str = "pcm_s16le", rate_hz: int = SAMPLE_RATE_HZ
) -> None:
    """Write a media file of one channel.

    Args:
        path: its suffix decides on the container.
        waveform: [n] at 16 kHz.
        codec: as FFmpeg calls it.
        rate_hz: sample rate in the file.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
