"""Good media files in every format that the client reads, and ways to break them.

The same seed breaks a file in the same way. What is broken need not be unreadable: a decoder finds
its way again behind a flipped bit, and in plain PCM nothing shows that a sample was another one.
"""

import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

RATE_HZ = 16_000
# Name of the file, codec, sample rate, options of the container.
FORMATS: tuple[tuple[str, str, int, dict[str, str]], ...] = (
    ("pcm.wav", "pcm_s16le", RATE_HZ, {}),
    ("float.wav", "pcm_f32le", RATE_HZ, {}),
    ("mulaw.wav", "pcm_mulaw", 8_000, {}),
    ("adpcm.wav", "adpcm_ima_wav", 8_000, {}),
    ("pcm.w64", "pcm_s16le", RATE_HZ, {}),
    ("pcm.aiff", "pcm_s16be", RATE_HZ, {}),
    ("pcm.au", "pcm_s16be", RATE_HZ, {}),
    ("pcm.caf", "pcm_s16be", RATE_HZ, {}),
    ("flac.flac", "flac", RATE_HZ, {}),
    ("mp3.mp3", "libmp3lame", RATE_HZ, {}),
    ("aac.aac", "aac", RATE_HZ, {}),
    ("aac.m4a", "aac", RATE_HZ, {}),
    ("start.m4a", "aac", RATE_HZ, {"movflags": "faststart"}),
    ("parts.mp4", "aac", RATE_HZ, {"movflags": "frag_keyframe+empty_moov"}),
    ("alac.m4a", "alac", RATE_HZ, {}),
    ("opus.ogg", "libopus", 48_000, {}),
    ("flac.mka", "flac", RATE_HZ, {}),
    ("opus.webm", "libopus", 48_000, {}),
    ("aac.mkv", "aac", RATE_HZ, {}),
    ("amr.amr", "libopencore_amrnb", 8_000, {}),
    ("amr.3gp", "libopencore_amrnb", 8_000, {}),
    ("mp3.wma", "libmp3lame", RATE_HZ, {}),
    ("mp3.avi", "libmp3lame", RATE_HZ, {}),
)
MAGICS = (b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n", b"PK\x03\x04", b"\x7fELF\x02\x01\x01", b"GIF89a")


def make_good(folder: Path, seconds: float) -> list[Path]:
    """Write one file of each format: a tone that comes and goes, in noise."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _encode(folder / name, seconds, codec, rate_hz, options)
        for name, codec, rate_hz, options in FORMATS
    ]


def _encode(path: Path, seconds: float, codec: str, rate_hz: int, options: dict[str, str]) -> Path:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(len(path.name)).normal(0, 200, len(t))
    tone = 8000 * np.sin(2 * np.pi * 220 * t) * np.sin(2 * np.pi * 2 * t) ** 2
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (tone + noise).astype(np.int16)[np.newaxis], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = rate_hz, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def flip_bits(content: bytes, rng: random.Random, until: float = 1.0, count: int = 64) -> bytes:
    """Other bits at some places of the first part of a file."""
    flipped = bytearray(content)
    last = max(1, int(len(content) * until))
    for _ in range(rng.randint(1, count)):
        flipped[rng.randrange(last)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def cut(content: bytes, rng: random.Random, most: float = 1.0) -> bytes:
    """The file up to some place."""
    return content[: rng.randrange(1, max(2, int(len(content) * most)))]


def false_header(content: bytes, rng: random.Random) -> bytes:
    """The beginning of something else, over this one's."""
    magic = rng.choice(MAGICS)
    return (magic + rng.randbytes(64))[: len(content)] + content[len(magic) + 64 :]


def zeros(content: bytes, rng: random.Random) -> bytes:
    """Zeros from some place on, at the earliest from the beginning, to the end."""
    first = rng.choice((0, rng.randrange(len(content))))
    return content[:first] + bytes(len(content) - first)


def claim_days(content: bytes, rng: random.Random) -> bytes:
    """Wherever a length may stand near the beginning, a huge one stands now."""
    changed = bytearray(content)
    huge = rng.choice((0x7FFFFFFF, 0xFFFFFFFE, 0x40000000))
    fields = [
        (b"data", 4, "<I"),  # WAV: bytes of the samples
        (b"mvhd", 20, ">I"),  # MP4: ticks of the whole and of the track
        (b"mdhd", 20, ">I"),
        (b"fLaC", 22, ">I"),  # FLAC: samples
        (b"\x44\x89\x88", 3, ">Q"),  # Matroska: milliseconds, as a float
        (b"COMM", 10, ">I"),  # AIFF: samples
    ]
    for name, skipped, kind in fields:
        at = content.find(name)
        if at >= 0 and at + skipped + 8 < len(content):
            value = 0x42D0000000000000 if kind == ">Q" else huge
            struct.pack_into(kind, changed, at + skipped, value)
    return bytes(changed)


def in_zip(content: bytes, rng: random.Random) -> bytes:
    """An archive with the file in it."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as to:
        to.writestr("call.wav", content)
    return held.getvalue()


def in_gzip(content: bytes, rng: random.Random) -> bytes:
    """The file compressed, or a thousand times as much silence."""
    return gzip.compress(rng.choice((content, bytes(1000 * len(content)))), mtime=0)


def in_tar(content: bytes, rng: random.Random) -> bytes:
    """An archive of several copies."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as to:
        for number in range(rng.randint(1, 3)):
            info = tarfile.TarInfo(f"{number}.wav")
            info.size = len(content)
            to.addfile(info, io.BytesIO(content))
    return held.getvalue()


def in_wav(content: bytes, rng: random.Random) -> bytes:
    """A WAV header that announces another codec around the file."""
    tag = rng.choice((0x0001, 0x0011, 0x0055, 0x0161, 0x1234, 0xFFFE))
    fmt = struct.pack("<HHIIHH", tag, rng.choice((0, 1, 2, 64)), RATE_HZ, 32_000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


def in_itself(content: bytes, rng: random.Random) -> bytes:
    """The file in the middle of itself."""
    at = rng.randrange(len(content))
    return content[:at] + content + content[at:]


def as_playlist(content: bytes, rng: random.Random) -> bytes:
    """A list that names other files and hosts."""
    lists = (
        "ffconcat version 1.0\nfile 'pcm.wav'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    )
    return rng.choice(lists).encode() + (content if rng.random() < 0.5 else b"")


def random_bytes(content: bytes, rng: random.Random) -> bytes:
    """A passage of other bytes."""
    first = rng.randrange(len(content))
    length = min(rng.randint(1, 2000), len(content) - first)
    return content[:first] + rng.randbytes(length) + content[first + length :]


Breakage = Callable[[bytes, random.Random], bytes]
BREAKAGES: dict[str, Breakage] = {
    "flipped bits": flip_bits,
    "flipped bits in the header": lambda content, rng: flip_bits(content, rng, 0.05),
    "truncated": cut,
    "header alone": lambda content, rng: cut(content, rng, 0.02),
    "false header": false_header,
    "zeros": zeros,
    "empty": lambda content, rng: b"",
    "huge duration": claim_days,
    "in a zip": in_zip,
    "in a gzip": in_gzip,
    "in a tar": in_tar,
    "in a WAV header": in_wav,
    "in itself": in_itself,
    "playlist": as_playlist,
    "random bytes": random_bytes,
}


def break_all(good: list[Path], folder: Path, seed: int) -> Iterator[tuple[str, Path]]:
    """Every breakage of every file; yields its name and where it was written."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (kind, breakage) in enumerate(BREAKAGES.items()):
        for path in good:
            broken = folder / f"{number:02}-{path.name}"
            broken.write_bytes(breakage(path.read_bytes(), rng))
            yield kind, broken
