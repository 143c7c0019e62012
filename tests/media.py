"""Media files made for the tests, from any waveform."""

from pathlib import Path

import av
import numpy as np


def tone(seconds, hz=220.0, rate=16_000, level=0.3):
    """A sine as INT16 [n]."""
    t = np.arange(round(seconds * rate)) / rate
    return (level * 32767 * np.sin(2 * np.pi * hz * t)).astype(np.int16)


def write_sound(path, channels, codec="pcm_s16le", rate=16_000, encoded_rate=None, **options):
    """Encode 1 or 2 channels [n] of INT16 (or float32, for a float codec); returns the path."""
    sound = np.stack(channels) if isinstance(channels, (list, tuple)) else channels[np.newaxis]
    layout = "stereo" if len(sound) == 2 else "mono"
    fmt = "flt" if sound.dtype == np.float32 else "s16"
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=encoded_rate or rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.T.reshape(1, -1)), format=fmt, layout=layout
        )
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return Path(path)


def write_video(path, with_sound=None):
    """A second of grey pictures, with a sound track or without one."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=5)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = None
        if with_sound is not None:
            sound = container.add_stream("aac", rate=16_000, layout="mono")
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(with_sound[np.newaxis], format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux([*sound.encode(frame), *sound.encode(None)])
    return Path(path)


def truncate(path, share):
    """Cut the end off a file; returns the path."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
