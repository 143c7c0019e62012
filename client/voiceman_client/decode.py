"""One media file to 16 kHz INT16 channels, with everything that must be said about it.

The file is hostile input: only demuxers of sound and video files may open it (no playlists,
which could name other files or hosts), and `voiceman_client.decoding` runs this in a process
of its own. A damaged file is read as far as possible and flagged.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from voiceman.audio import MIN_WAVEFORM_SAMPLES, SAMPLE_RATE_HZ, Int16Waveform
from voiceman.errors import (
    NoAudioError,
    RecordingNotFoundError,
    RecordingTooShortError,
    RecordingUnreadableError,
)
from voiceman.evidence import Flag
from voiceman.manifest import sha256_of
from voiceman_client.channels import select_channels
from voiceman_client.inputs import printable

DEMUXERS = "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,amr,mov,matroska,asf,avi"
# Containers that write down how long they are; elsewhere FFmpeg guesses from the bit rate.
_STATES_DURATION = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac", "wav"}
_DURATION_TOLERANCE_S = 0.5  # codec delay and padding are below this
_NO_TIMES = "aac"  # ADTS has no time stamps: FFmpeg counts, at the rate of the first frame
_GAP_S = 0.1  # shorter jumps of the time stamps are jitter of the container
_LONGEST_GAP_S = 60.0  # where the container does not say how long it is; longer ones are damage
MAX_RECORDING_S = 12 * 3600.0  # a small file can claim to hold days; 12 h are 1.4 GB a channel
_UNKNOWN_RIFF_SIZES = {0, 0xFFFFFFFF}  # written by recorders that stream

Channels = npt.NDArray[np.int16]  # [c, n]


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
    """

    source: Source
    waveforms: tuple[Int16Waveform, ...]
    channels: tuple[int | None, ...]
    flags: tuple[Flag, ...]
    pcm_sha256: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveforms[0]) / SAMPLE_RATE_HZ


@dataclass
class _Damage:
    """What went wrong while reading: packets lost, from where on, and FFmpeg's last word."""

    packets: int = 0
    first_s: float = 0.0
    reason: str = ""


def decode(path: Path, channels: str = "auto") -> Recording:
    """Decode a file.

    Args:
        path: the file.
        channels: "mix" makes one channel of all, "split" keeps two channels apart, "auto"
            keeps them apart when each carries one speaker.

    Raises:
        RecordingNotFoundError: no such file.
        RecordingUnreadableError: no permission, empty, not audio, not finite, or nothing
            could be decoded.
        NoAudioError: a container without a sound track.
        RecordingTooShortError: less than 25 ms of sound.
    """
    size_bytes, sha256 = _identify(path)
    try:
        with av.open(
            f"file:{path.absolute()}",
            options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
        ) as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, AudioStream):
                raise NoAudioError(
                    f"{path}: {container.format.name} without a sound track; give a file with sound"
                )
            damage, gaps = _Damage(), list[Flag]()
            sound = _read(path, container, stream, damage, gaps)
            stated_s = _stated_duration(container, stream)
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
    except FFmpegError as err:
        raise RecordingUnreadableError(
            f"{path}: not a sound file, or damaged beyond reading ({err.strerror}); "
            f"{size_bytes} bytes; check that it plays"
        ) from err
    _check_length(path, sound, damage)
    flags = (*gaps, *_damage_flags(path, sound.shape[1] / SAMPLE_RATE_HZ, stated_s, damage))
    waveforms, numbers = select_channels(sound, channels)
    pcm = hashlib.sha256()
    for waveform in waveforms:
        pcm.update(waveform.astype("<i2", copy=False).tobytes())
    return Recording(source, waveforms, numbers, flags, pcm.hexdigest())


def _identify(path: Path) -> tuple[int, str]:
    """Size and SHA-256; whatever the file system refuses becomes an error that says so."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes == 0:
            raise RecordingUnreadableError(f"{path}: empty, 0 bytes; copy it again")
        return size_bytes, sha256_of(path)
    except FileNotFoundError as err:
        raise RecordingNotFoundError(f"{path}: no such file; check the path") from err
    except PermissionError as err:
        raise RecordingUnreadableError(
            f"{path}: no permission to read; change its mode or run as its owner"
        ) from err
    except OSError as err:
        raise RecordingUnreadableError(f"{path}: cannot be read ({err.strerror})") from err


def _read(
    path: Path, container: InputContainer, stream: AudioStream, damage: _Damage, gaps: list[Flag]
) -> Channels:
    """All samples [c, n] at 16 kHz; c is 2 for two channels and 1 (a mixdown) otherwise."""
    layout = "stereo" if stream.channels == 2 else "mono"
    blocks = [np.zeros((2 if layout == "stereo" else 1, 0), np.int16)]
    resampler = _Resampler(layout)
    heard_s, origin_s = 0.0, None
    stated_s = _stated_duration(container, stream)
    for frame in _frames(container, stream, damage):
        _check_finite(path, frame, heard_s)
        if frame.time is not None and container.format.name != _NO_TIMES:
            origin_s = frame.time if origin_s is None else origin_s
            gap_s = frame.time - origin_s - heard_s
            longest_s = _LONGEST_GAP_S if stated_s is None else stated_s - heard_s
            if _GAP_S < gap_s <= longest_s:
                blocks += resampler.flush()
                silence = round(gap_s * SAMPLE_RATE_HZ)
                blocks.append(np.zeros((len(blocks[0]), silence), np.int16))
                gaps.append(_flag("gap", heard_s, heard_s + gap_s, "no sound in the file here"))
                heard_s += gap_s
        heard_s += frame.samples / frame.sample_rate
        if heard_s > MAX_RECORDING_S:
            raise RecordingUnreadableError(
                f"{path}: more than {MAX_RECORDING_S / 3600:g} h of sound; cut it into parts"
            )
        frame.pts = None  # the resampler would stretch sound to fit irregular time stamps
        blocks += resampler.add(frame)
    blocks += resampler.flush()
    return np.concatenate(blocks, axis=1)


class _Resampler:
    """FFmpeg's resampler with its defaults, the filter behind Whisper's own way to load sound.

    Measured from 8 kHz: the image of a tone of 3.4 kHz, where telephones end, is 52 dB down.
    Rate, layout and sample format may change midway, as in MP3 or AAC files put end to end.
    """

    def __init__(self, layout: str) -> None:
        self._layout = layout
        self._kind: tuple[int, str, str] | None = None  # of the frames that _filter takes
        self._filter: av.AudioResampler | None = None

    def add(self, frame: AudioFrame) -> list[Channels]:
        """What comes of a frame, as blocks [c, n]."""
        kind = (frame.sample_rate, frame.layout.name, frame.format.name)
        rest = self.flush() if kind != self._kind else []
        if self._filter is None:
            self._filter = av.AudioResampler("s16p", self._layout, SAMPLE_RATE_HZ)
            self._kind = kind
        return rest + _arrays(self._filter.resample(frame))

    def flush(self) -> list[Channels]:
        """What is still held; the next frame begins anew."""
        held = _arrays(self._filter.resample(None)) if self._filter else []
        self._filter = None
        return held


def _arrays(frames: list[AudioFrame]) -> list[Channels]:
    return [frame.to_ndarray().astype(np.int16, copy=False) for frame in frames]


def _frames(
    container: InputContainer, stream: AudioStream, damage: _Damage
) -> Iterator[AudioFrame]:
    """The decoded frames; packets that cannot be decoded are skipped and counted."""
    heard_s = 0.0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as err:  # the container itself is broken from here on
            damage.reason = str(err.strerror)
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except FFmpegError as err:
            damage.first_s = damage.first_s if damage.packets else heard_s
            damage.packets += 1
            damage.reason = str(err.strerror)
            continue
        for frame in frames:
            if frame.time is not None:
                heard_s = frame.time + frame.samples / frame.sample_rate
            yield frame


def _check_finite(path: Path, frame: AudioFrame, at_s: float) -> None:
    if not frame.format.name.startswith(("flt", "dbl")):
        return
    bad = int(np.count_nonzero(~np.isfinite(frame.to_ndarray())))
    if bad:
        raise RecordingUnreadableError(
            f"{path}: {bad} samples near {at_s:.3f} s are not finite numbers (NaN or infinite); "
            "write the file again from its source"
        )


def _check_length(path: Path, sound: Channels, damage: _Damage) -> None:
    samples = sound.shape[1]
    if samples == 0 and damage.reason:
        raise RecordingUnreadableError(
            f"{path}: damaged, no sound could be decoded ({damage.reason}); copy it again"
        )
    if samples < MIN_WAVEFORM_SAMPLES:
        raise RecordingTooShortError(
            f"{path}: {1000 * samples / SAMPLE_RATE_HZ:.1f} ms of sound, at least "
            f"{1000 * MIN_WAVEFORM_SAMPLES / SAMPLE_RATE_HZ:.0f} ms are needed; leave it out"
        )


def _stated_duration(container: InputContainer, stream: AudioStream) -> float | None:
    """Seconds of sound that the container claims to hold, where it writes that down."""
    if container.format.name not in _STATES_DURATION:
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _damage_flags(
    path: Path, heard_s: float, stated_s: float | None, damage: _Damage
) -> list[Flag]:
    flags: list[Flag] = []
    if stated_s is not None and stated_s - heard_s > _DURATION_TOLERANCE_S:
        detail = f"{heard_s:.2f} of {stated_s:.2f} s could be read; the rest is missing"
        flags.append(_flag("truncated", heard_s, stated_s, detail))
    elif missing := _missing_riff_bytes(path):
        detail = f"the file is {missing} bytes shorter than it says; {heard_s:.2f} s could be read"
        flags.append(_flag("truncated", heard_s, heard_s, detail))
    elif damage.packets or damage.reason:
        detail = f"{damage.packets} packets could not be decoded ({damage.reason})"
        flags.append(_flag("damaged", damage.first_s, heard_s, detail))
    return flags


def _missing_riff_bytes(path: Path) -> int:
    """Bytes that a RIFF (WAV) file's header promises beyond its end."""
    with path.open("rb") as file:
        header = file.read(8)
    if len(header) < 8 or header[:4] != b"RIFF":
        return 0
    (size,) = struct.unpack("<I", header[4:])
    return 0 if size in _UNKNOWN_RIFF_SIZES else max(0, size + 8 - path.stat().st_size)


def _flag(kind: str, start: float, end: float, detail: str) -> Flag:
    return Flag(kind=kind, start=round(start, 3), end=round(end, 3), detail=detail)
