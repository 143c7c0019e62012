"""The samples of an open container at 16 kHz, whatever happens on the way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.evidence import Flag
from voiceman_client.damage import Claim, Damage, check_finite, make_flag, too_long

_NO_TIMES = "aac"  # ADTS has no time stamps: FFmpeg counts, at the rate of the first frame
_GAP_S = 0.1  # shorter jumps of the time stamps are jitter of the container
_LONGEST_GAP_S = 60.0  # where the container does not say how long it is; longer ones are damage

Report = Callable[[int, float], None]  # bytes of the file read, seconds of sound decoded


@dataclass
class Sound:
    """What is read of a file.

    Attributes:
        planes: samples of each channel as bytes; they grow in place, without a second copy.
        damage: what could not be read.
        gaps: where the file holds no sound.
    """

    planes: tuple[bytearray, ...]
    damage: Damage = field(default_factory=Damage)
    gaps: list[Flag] = field(default_factory=list[Flag])

    def add(self, blocks: list[npt.NDArray[np.int16]]) -> None:
        """Append blocks [c, n]."""
        for block in blocks:
            for plane, samples in zip(self.planes, block, strict=True):
                plane.extend(samples.data.cast("B"))

    def add_silence(self, samples: int) -> None:
        """Append zeros."""
        for plane in self.planes:
            plane.extend(bytes(2 * samples))

    @property
    def channels(self) -> tuple[Int16Waveform, ...]:
        """One waveform [n] for each channel."""
        return tuple(np.frombuffer(plane, np.int16) for plane in self.planes)


def read_sound(
    path: Path, container: InputContainer, stream: AudioStream, claim: Claim, report: Report
) -> Sound:
    """Read all samples: two channels of two, and a mixdown of any other number.

    Raises:
        RecordingLimitError: more sound than the claim's limit.
        RecordingUnreadableError: samples that are no finite numbers.
    """
    layout = "stereo" if stream.channels == 2 else "mono"
    sound = Sound(tuple(bytearray() for _ in range(2 if layout == "stereo" else 1)))
    resampler = _Resampler(layout)
    heard_s, origin_s = 0.0, None
    for frame, read_bytes in _frames(container, stream, sound.damage):
        check_finite(path, frame, heard_s)
        if frame.time is not None and container.format.name != _NO_TIMES:
            origin_s = frame.time if origin_s is None else origin_s
            gap_s = frame.time - origin_s - heard_s
            believed_s = claim.believed_s
            longest_s = _LONGEST_GAP_S if believed_s is None else believed_s - heard_s
            if _GAP_S < gap_s <= longest_s:
                sound.add(resampler.flush())
                sound.add_silence(round(gap_s * SAMPLE_RATE_HZ))
                detail = "no sound in the file here"
                sound.gaps.append(make_flag("gap", heard_s, heard_s + gap_s, detail))
                heard_s += gap_s
        heard_s += frame.samples / frame.sample_rate
        if heard_s > claim.limit_s:
            raise too_long(path, heard_s, claim.limit_s)
        report(read_bytes, heard_s)
        frame.pts = None  # the resampler would stretch sound to fit irregular time stamps
        sound.add(resampler.add(frame))
    sound.add(resampler.flush())
    return sound


class _Resampler:
    """FFmpeg's resampler with its defaults, the filter behind Whisper's own way to load sound.

    Measured from 8 kHz: the image of a tone of 3.4 kHz, where telephones end, is 52 dB down.
    Rate, layout and sample format may change midway, as in MP3 or AAC files put end to end.
    """

    def __init__(self, layout: str) -> None:
        self._layout = layout
        self._kind: tuple[int, str, str] | None = None  # of the frames that _filter takes
        self._filter: av.AudioResampler | None = None

    def add(self, frame: AudioFrame) -> list[npt.NDArray[np.int16]]:
        """What comes of a frame, as blocks [c, n]."""
        kind = (frame.sample_rate, frame.layout.name, frame.format.name)
        rest = self.flush() if kind != self._kind else []
        if self._filter is None:
            self._filter = av.AudioResampler("s16p", self._layout, SAMPLE_RATE_HZ)
            self._kind = kind
        return rest + _arrays(self._filter.resample(frame))

    def flush(self) -> list[npt.NDArray[np.int16]]:
        """What is still held; the next frame begins anew."""
        held = _arrays(self._filter.resample(None)) if self._filter else []
        self._filter = None
        return held


def _arrays(frames: list[AudioFrame]) -> list[npt.NDArray[np.int16]]:
    return [frame.to_ndarray().astype(np.int16, copy=False) for frame in frames]


def _frames(
    container: InputContainer, stream: AudioStream, damage: Damage
) -> Iterator[tuple[AudioFrame, int]]:
    """The decoded frames, each with the bytes of the file read so far.

    Packets that cannot be decoded are skipped and counted.
    """
    heard_s, read_bytes = 0.0, 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except MemoryError:
            raise
        except FFmpegError as err:  # the container itself is broken from here on
            damage.reason = str(err.strerror)
            return
        if packet is None:
            return
        read_bytes = max(read_bytes, (packet.pos or 0) + packet.size)
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except FFmpegError as err:
            damage.first_s = damage.first_s if damage.packets else heard_s
            damage.packets += 1
            damage.reason = str(err.strerror)
            continue
        for frame in frames:
            if frame.time is not None:
                heard_s = frame.time + frame.samples / frame.sample_rate
            yield frame, read_bytes
