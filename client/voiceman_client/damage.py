"""What a container claims and what was really in it: the flags and errors that follow."""

import struct
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from voiceman.audio import MIN_WAVEFORM_SAMPLES, SAMPLE_RATE_HZ
from voiceman.errors import RecordingLimitError, RecordingTooShortError, RecordingUnreadableError
from voiceman.evidence import Flag

# Containers that write down how long they are; elsewhere FFmpeg guesses from the bit rate.
_STATES_DURATION = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac", "wav"}
_DURATION_TOLERANCE_S = 0.5  # codec delay and padding are below this
_UNKNOWN_RIFF_SIZES = {0, 0xFFFFFFFF}  # written by recorders that stream
_LEAST_BYTES_PER_S = 500.0  # AMR at its lowest rate takes 594
_HOUR_S = 3600.0
# Where and how other files begin in which a decoder, searching on, may find some sound.
_ARCHIVES = (
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"\x1f\x8b", "gzip file"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (0, b"Rar!", "RAR archive"),
    (257, b"ustar", "tar archive"),
)


@dataclass
class Damage:
    """What went wrong while reading: packets lost, from where on, and FFmpeg's last word."""

    packets: int = 0
    first_s: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Claim:
    """How long a container says it is.

    Attributes:
        stated_s: seconds; None where it does not say.
        limit_s: the longest recording; a longer claim is not believed.
    """

    stated_s: float | None
    limit_s: float

    @property
    def believed_s(self) -> float | None:
        """Seconds, where the claim is possible."""
        return self.stated_s if self.stated_s is None or self.stated_s <= self.limit_s else None


def read_claim(container: InputContainer, stream: AudioStream, limit_s: float) -> Claim:
    """What the container says, where it writes that down."""
    if container.format.name not in _STATES_DURATION:
        return Claim(None, limit_s)
    if stream.duration and stream.time_base:
        return Claim(float(stream.duration * stream.time_base), limit_s)
    return Claim(container.duration / av.time_base if container.duration else None, limit_s)


def check_no_archive(path: Path) -> None:
    """Refuse an archive: what is in it has names and hashes of its own."""
    with path.open("rb") as file:
        head = file.read(max(at + len(magic) for at, magic, _ in _ARCHIVES))
    for at, magic, kind in _ARCHIVES:
        if head[at:].startswith(magic):
            raise RecordingUnreadableError(f"{path}: a {kind}; unpack it first")


def check_decodable(path: Path, stream: AudioStream) -> None:
    """Refuse a codec that FFmpeg cannot decode, or that the header does not name."""
    # PyAV leaves it out then, whatever its types say.
    if getattr(stream, "codec_context", None) is None:
        raise RecordingUnreadableError(
            f"{path}: its sound is in a codec that cannot be decoded; convert it with another "
            "program"
        )


def check_claim(path: Path, size_bytes: int, stream: AudioStream, claim: Claim) -> None:
    """Refuse a recording that is too long before an hour of decoding shows it.

    A claim that the file has not half the bytes for is damage, or a recorder that never wrote
    the true length: such a file is read as far as it goes.
    """
    if claim.stated_s is None or claim.believed_s is not None:
        return
    bytes_per_s = max(_LEAST_BYTES_PER_S, (stream.codec_context.bit_rate or 0) / 8 / 2)
    if size_bytes >= claim.stated_s * bytes_per_s:
        raise too_long(path, claim.stated_s, claim.limit_s)


def too_long(path: Path, seconds: float, limit_s: float) -> RecordingLimitError:
    """The error about a recording of this many seconds or more."""
    return RecordingLimitError(
        f"{path}: {seconds / _HOUR_S:.1f} h of sound or more, at most {limit_s / _HOUR_S:g} h are "
        "taken; cut it into parts"
    )


def check_finite(path: Path, frame: AudioFrame, at_s: float) -> None:
    """Refuse samples that are NaN or infinite."""
    if not frame.format.name.startswith(("flt", "dbl")):
        return
    bad = int(np.count_nonzero(~np.isfinite(frame.to_ndarray())))
    if bad:
        raise RecordingUnreadableError(
            f"{path}: {bad} samples near {at_s:.3f} s are not finite numbers (NaN or infinite); "
            "write the file again from its source"
        )


def check_length(path: Path, samples: int, damage: Damage) -> None:
    """Refuse what holds less sound than any model can work on."""
    if samples == 0 and damage.reason:
        raise RecordingUnreadableError(
            f"{path}: damaged, no sound could be decoded ({damage.reason}); copy it again"
        )
    if samples < MIN_WAVEFORM_SAMPLES:
        raise RecordingTooShortError(
            f"{path}: {1000 * samples / SAMPLE_RATE_HZ:.1f} ms of sound, at least "
            f"{1000 * MIN_WAVEFORM_SAMPLES / SAMPLE_RATE_HZ:.0f} ms are needed; leave it out"
        )


def damage_flags(path: Path, heard_s: float, claim: Claim, damage: Damage) -> list[Flag]:
    """What the reader of a result must know of a file that was not whole."""
    if claim.stated_s is not None and claim.stated_s - heard_s > _DURATION_TOLERANCE_S:
        detail = f"{heard_s:.2f} of {claim.stated_s:.2f} s could be read; the rest is missing"
        return [make_flag("truncated", heard_s, claim.believed_s or heard_s, detail)]
    if missing := _missing_riff_bytes(path):
        detail = f"the file is {missing} bytes shorter than it says; {heard_s:.2f} s could be read"
        return [make_flag("truncated", heard_s, heard_s, detail)]
    if damage.packets or damage.reason:
        detail = f"{damage.packets} packets could not be decoded ({damage.reason})"
        return [make_flag("damaged", damage.first_s, heard_s, detail)]
    return []


def make_flag(kind: str, start: float, end: float, detail: str) -> Flag:
    """A flag; times in seconds, kept to a millisecond."""
    return Flag(kind=kind, start=round(start, 3), end=round(end, 3), detail=detail)


def _missing_riff_bytes(path: Path) -> int:
    """Bytes that a RIFF (WAV) file's header promises beyond its end."""
    with path.open("rb") as file:
        header = file.read(8)
    if len(header) < 8 or header[:4] != b"RIFF":
        return 0
    (size,) = struct.unpack("<I", header[4:])
    return 0 if size in _UNKNOWN_RIFF_SIZES else max(0, size + 8 - path.stat().st_size)
