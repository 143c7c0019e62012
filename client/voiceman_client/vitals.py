"""What a run looks like at one moment: all that a dashboard shows, and no more."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Readings:
    """What was measured just now; None: not known.

    Attributes:
        in_flight: windows with the server.
        allowed: windows that may be with it.
        waiting: windows that wait in the client for a place.
        queue_depth: windows that wait in the server.
        temperature_celsius: of the hottest GPU.
        gpu_utilisation: 0 to 1.
        memory_share: 0 to 1, of the fullest memory, of this machine or its GPU.
        process_bytes: this process and its decoders keep in main memory.
        heat: what heat control does, in words; empty: nothing.
        gpu_memory_bytes: in use of the fullest GPU, by everybody; None as well where it is the
            machine's memory.
    """

    in_flight: int | None = None
    allowed: int | None = None
    waiting: int | None = None
    queue_depth: int | None = None
    temperature_celsius: float | None = None
    gpu_utilisation: float | None = None
    memory_share: float | None = None
    process_bytes: int | None = None
    heat: str = ""
    gpu_memory_bytes: int | None = None

    def numbers(self) -> dict[str, float]:
        """The known numbers, by name."""
        return {
            name: float(value)
            for name, value in asdict(self).items()
            if isinstance(value, int | float)
        }


@dataclass(frozen=True)
class Active:
    """A recording that is worked on.

    Attributes:
        file: its path, as `printable` writes it.
        audio_s: its length; 0 until it is decoded.
        done_s: seconds of it that are answered.
    """

    file: str
    audio_s: float
    done_s: float


@dataclass(frozen=True)
class Vitals:
    """A run at one moment.

    Attributes:
        unix_s: when that was.
        elapsed_s: since the run began.
        recordings: that the run was given.
        finished: of these, with a result or an error.
        failed: errors, those of arguments that name no recording included.
        recalled: finished recordings that an earlier run had done.
        audio_done_s: seconds of audio answered.
        audio_expected_s: seconds in all; the mean of the recordings that were decoded stands for
            those that were not.
        windows: answered, those that an earlier run had filed included.
        retries: requests that were sent again.
        recent_rtfx: seconds of audio a second over the last minutes; None: too early to say.
        states: recordings of the results folder by state, see `voiceman_client.entries`.
        active: recordings that are worked on, longest at it first.
        errors: the last ones, latest last.
        readings: of machine and server.
    """

    unix_s: float
    elapsed_s: float
    recordings: int
    finished: int = 0
    failed: int = 0
    recalled: int = 0
    audio_done_s: float = 0.0
    audio_expected_s: float = 0.0
    windows: int = 0
    retries: int = 0
    recent_rtfx: float | None = None
    states: Mapping[str, int] = field(default_factory=dict[str, int])
    active: tuple[Active, ...] = ()
    errors: tuple[str, ...] = ()
    readings: Readings = Readings()

    @property
    def rtfx(self) -> float:
        """Seconds of audio a second since the run began."""
        return self.audio_done_s / max(self.elapsed_s, 1e-3)

    @property
    def share(self) -> float:
        """0 to 1, of the audio that is done."""
        if self.finished >= self.recordings:
            return 1.0
        return self.audio_done_s / self.audio_expected_s if self.audio_expected_s else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until all is done at the present speed; None: nobody knows."""
        speed = self.rtfx if self.recent_rtfx is None else self.recent_rtfx
        left_s = self.audio_expected_s - self.audio_done_s
        return left_s / speed if speed > 0 and left_s > 0 else None

    def to_json(self) -> str:
        """One line, with `rtfx`, `share` and `left_s`."""
        derived = {"rtfx": self.rtfx, "share": self.share, "left_s": self.left_s}
        return json.dumps(asdict(self) | derived, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Vitals":
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            for derived in ("rtfx", "share", "left_s"):
                fields.pop(derived)
            fields["active"] = tuple(Active(**item) for item in fields["active"])
            fields["errors"] = tuple(fields["errors"])
            fields["readings"] = Readings(**fields["readings"])
            found = cls(**fields)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"these are no vitals of a run ({err!r})") from err
        if not math.isfinite(found.unix_s):
            raise ValueError(f"unix_s is {found.unix_s}")
        return found


def span(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def in_a_line(vitals: Vitals) -> str:
    """How far a run is, where there is no room for more."""
    left_s, readings = vitals.left_s, vitals.readings
    parts = [
        f"{vitals.finished} of {vitals.recordings} recordings",
        f"{span(vitals.audio_done_s)} of audio",
        f"{vitals.rtfx:.1f} x real time",
        f"{span(left_s)} left" if left_s is not None else "",
        f"{readings.in_flight} in flight" if readings.in_flight is not None else "",
        f"{readings.temperature_celsius:.0f} °C" if readings.temperature_celsius else "",
        readings.heat,
        f"{vitals.failed} failed" if vitals.failed else "",
    ]
    return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Observed:
    """What watches of heat and memory found in a run, as JSON would hold it.

    Attributes:
        heat: the heat watch's report, transitions included; None: nobody observed.
        memory_growth: for each memory its growth: `mb_per_hour`, `noise_mb`, `beyond_noise`.
    """

    heat: Mapping[str, Any] | None = None
    memory_growth: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
