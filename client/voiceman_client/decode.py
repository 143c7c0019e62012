"""One media file to 16 kHz INT16 channels, with everything that must be said about it.

The file is hostile input: only demuxers of sound and video files may open it (no playlists,
which could name other files or hosts), and `voiceman_client.decoding` runs this in a process
of its own. A damaged file is read as far as possible and flagged.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import av
from av.audio.stream import AudioStream
from av.error import FFmpegError

from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.errors import (
    NoAudioError,
    RecordingLimitError,
    RecordingNotFoundError,
    RecordingUnreadableError,
)
from voiceman.evidence import Flag
from voiceman.manifest import sha256_of
from voiceman_client.channels import select_channels
from voiceman_client.damage import (
    check_claim,
    check_decodable,
    check_length,
    check_no_archive,
    damage_flags,
    read_claim,
)
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.inputs import printable
from voiceman_client.prepare import Preparation
from voiceman_client.sound import Report, Sound, read_sound

DEMUXERS = "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,amr,mov,matroska,asf,avi"


@dataclass(frozen=True)
class Source:
    r"""Where a recording came from.

    Attributes:
        path: the file, absolute; bytes that are not UTF-8 are written as \xNN.
        sha256: of the file, 64 hexadecimal digits.
        size_bytes: of the file.
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the decoder.
        sample_rate_hz: before resampling.
        channels: in the file.
        decoder: library and version that decoded it.
    """

    path: str
    sha256: str
    size_bytes: int
    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    decoder: str


@dataclass(frozen=True)
class Recording:
    """A decoded recording.

    Attributes:
        source: the file.
        waveforms: one mono waveform [n] per channel that is worked on by itself, 16 kHz.
        channels: the number of each waveform's channel in the file, None for a mixdown.
        flags: damage; times in seconds of the recording.
        pcm_sha256: of the samples worked on, little-endian INT16, channel after channel.
        preparation: what was done to the waveforms after decoding; None: nothing.
    """

    source: Source
    waveforms: tuple[Int16Waveform, ...]
    channels: tuple[int | None, ...]
    flags: tuple[Flag, ...]
    pcm_sha256: str
    preparation: Preparation | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveforms[0]) / SAMPLE_RATE_HZ


def decode(
    path: Path,
    channels: str = "auto",
    limits: DecodeLimits | None = None,
    report: Report = lambda read_bytes, decoded_s: None,
) -> Recording:
    """Decode a file.

    Args:
        path: the file.
        channels: "mix" makes one channel of all, "split" keeps two channels apart, "auto"
            keeps them apart when each carries one speaker.
        limits: of file and sound; those of memory and time hold for the whole process, see
            `voiceman_client.decoder_worker`.
        report: called with bytes of the file read and seconds of sound decoded, for every frame.

    Raises:
        RecordingNotFoundError: no such file.
        RecordingUnreadableError: no permission, empty, not audio, not finite, nothing could be
            decoded, or the file changed meanwhile.
        RecordingLimitError: a larger file or more sound than one recording may have.
        NoAudioError: a container without a sound track.
        RecordingTooShortError: less than 25 ms of sound.
    """
    limits = limits or DecodeLimits()
    size_bytes, sha256, version = _identify(path, limits.file_bytes)
    try:
        source, sound, flags = _open(path, size_bytes, sha256, limits, report)
    except MemoryError:
        raise
    except FFmpegError as err:
        raise RecordingUnreadableError(
            f"{path}: not a sound file, or damaged beyond reading ({err.strerror}); "
            f"{size_bytes} bytes; check that it plays"
        ) from err
    except OSError:  # gone meanwhile
        _refuse_changed(path)
    if _version(path) != version:  # the hash would be of other bytes than the sound
        _refuse_changed(path)
    waveforms, numbers = select_channels(sound.channels, channels)
    return Recording(source, waveforms, numbers, tuple(flags), hash_samples(waveforms))


def hash_samples(waveforms: Iterable[Int16Waveform]) -> str:
    """SHA-256 of samples, little-endian INT16, channel after channel."""
    pcm = hashlib.sha256()
    for waveform in waveforms:
        pcm.update(waveform.astype("<i2", copy=False).data)
    return pcm.hexdigest()


# Of a file: number, size, and time of the last change in ns.
_Version = tuple[int, int, int]


def _version(path: Path) -> _Version | None:
    """What of a file tells that it changed; None: it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_changed(path: Path) -> NoReturn:
    raise RecordingUnreadableError(
        f"{path}: changed while it was read; submit it again when it is copied completely"
    )


def _identify(path: Path, limit_bytes: int) -> tuple[int, str, _Version | None]:
    """Size, SHA-256 and version; what the file system refuses becomes an error that says so."""
    try:
        version, size_bytes = _version(path), path.stat().st_size
        if size_bytes == 0:
            raise RecordingUnreadableError(f"{path}: empty, 0 bytes; copy it again")
        if size_bytes > limit_bytes:
            raise RecordingLimitError(
                f"{path}: {size_bytes} bytes, at most {limit_bytes} are taken; cut it into parts"
            )
        check_no_archive(path)
        return size_bytes, sha256_of(path), version
    except FileNotFoundError as err:
        raise RecordingNotFoundError(f"{path}: no such file; check the path") from err
    except PermissionError as err:
        raise RecordingUnreadableError(
            f"{path}: no permission to read; change its mode or run as its owner"
        ) from err
    except OSError as err:
        raise RecordingUnreadableError(f"{path}: cannot be read ({err.strerror})") from err


def _open(
    path: Path, size_bytes: int, sha256: str, limits: DecodeLimits, report: Report
) -> tuple[Source, Sound, list[Flag]]:
    with av.open(
        f"file:{path.absolute()}",
        options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
        metadata_errors="replace",  # titles may be CP949, or garbage
    ) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise NoAudioError(
                f"{path}: {container.format.name} without a sound track; give a file with sound"
            )
        check_decodable(path, stream)
        claim = read_claim(container, stream, limits.recording_s)
        check_claim(path, size_bytes, stream, claim)
        sound = read_sound(path, container, stream, claim, report)
        # Streaming containers may learn how long they are while they are read.
        claim = read_claim(container, stream, limits.recording_s)
        source = Source(
            path=printable(path.absolute()),
            sha256=sha256,
            size_bytes=size_bytes,
            container=container.format.name,
            codec=stream.codec_context.codec.name,
            sample_rate_hz=stream.sample_rate,
            channels=stream.channels,
            decoder=f"PyAV {av.__version__}",
        )
    samples = len(sound.planes[0]) // 2
    check_length(path, samples, sound.damage)
    flags = damage_flags(path, samples / SAMPLE_RATE_HZ, claim, sound.damage)
    return source, sound, [*sound.gaps, *flags]
