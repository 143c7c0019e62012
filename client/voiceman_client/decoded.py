"""A decoded recording without its samples: what a result says of it, and how it is cached."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.evidence import Flag
from voiceman_client.decode import Recording, Source
from voiceman_client.denoise import Denoising
from voiceman_client.inputs import printable
from voiceman_client.prepare import Preparation


@dataclass(frozen=True)
class Decoded:
    """`Recording` without its waveforms.

    Attributes:
        source: the file.
        samples: of each waveform, at 16 kHz.
        channels: the number of each waveform's channel in the file, None for a mixdown.
        flags: damage; times in seconds of the recording.
        pcm_sha256: of the samples worked on.
        preparation: what was done to the samples after decoding; None: nothing.
    """

    source: Source
    samples: int
    channels: tuple[int | None, ...]
    flags: tuple[Flag, ...]
    pcm_sha256: str
    preparation: Preparation | None = None

    @classmethod
    def of(cls, recording: Recording) -> "Decoded":
        """What stays of a recording when its samples go."""
        return cls(
            recording.source,
            len(recording.waveforms[0]),
            recording.channels,
            recording.flags,
            recording.pcm_sha256,
            recording.preparation,
        )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / SAMPLE_RATE_HZ


def encode_decoded(decoded: Decoded) -> bytes:
    """As a value of the cache; the path stays out, copies of a file share an entry."""
    document = asdict(decoded)
    del document["source"]["path"]
    return json.dumps(document).encode()


def decode_decoded(value: bytes, path: Path) -> Decoded:
    """From a value of the cache.

    Args:
        value: from `encode_decoded`.
        path: where the file is now.
    """
    document: dict[str, Any] = json.loads(value)
    source = Source(path=printable(path.absolute()), **document.pop("source"))
    channels, flags = tuple(document.pop("channels")), tuple(document.pop("flags"))
    preparation = _preparation(document.pop("preparation"))
    return Decoded(
        source=source, channels=channels, flags=flags, preparation=preparation, **document
    )


def _preparation(document: dict[str, Any] | None) -> Preparation | None:
    if document is None:
        return None
    denoising = document["denoising"] and Denoising(**document["denoising"])
    return Preparation(tuple(document["offsets"]), document["gain_db"], denoising)
