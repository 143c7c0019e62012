"""The performance report of a run: `performance.json`, and `performance.html` to look at.

It says how the run went, nothing of what was said. It never makes a run fail.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from voiceman.errors import ResultNotWrittenError
from voiceman_client.curve import Point, Spread
from voiceman_client.naming import PERFORMANCE_NAME
from voiceman_client.run_log import RunLog
from voiceman_client.telemetry import Account, Course
from voiceman_client.vitals import Observed, Readings
from voiceman_client.writers import Written, write_whole

log = logging.getLogger(__name__)

PERFORMANCE_SCHEMA = "voiceman-performance/1"


class Totals(TypedDict):
    """The run as a whole; None: not known. Shares are 0 to 1."""

    recordings: int
    completed: int
    recalled: int  # an earlier run had done them
    failed: int  # arguments that name no recording included
    windows: int
    retries: int
    seconds: float
    audio_s: float
    rtfx: float
    mean_in_flight: float | None
    mean_gpu_utilisation: float | None
    max_temperature_celsius: float | None
    mean_temperature_celsius: float | None
    max_memory_share: float | None
    memory_start_bytes: int | None
    memory_end_bytes: int | None
    max_memory_bytes: int | None


class Performance(TypedDict):
    """The report as it is written."""

    schema: str
    began: str  # ISO 8601, UTC
    ended: str
    totals: Totals
    heat: Mapping[str, Any] | None
    memory_growth: Mapping[str, Any]
    leak: str
    recordings: list[dict[str, Any]]
    failures: list[dict[str, str]]
    curve: dict[str, Any]


def performance(course: Course, observed: Observed | None = None) -> Performance:
    """The report of a run.

    Args:
        course: what was collected of it.
        observed: what watches found; None: there were none.
    """
    observed = observed or Observed()
    end = course.end
    return Performance(
        schema=PERFORMANCE_SCHEMA,
        began=_stamp(course.began_unix_s),
        ended=_stamp(end.unix_s),
        totals=_totals(course, observed.heat or {}),
        heat=observed.heat,
        memory_growth=observed.memory_growth,
        leak=leak_statement(observed.memory_growth),
        recordings=[_recording(account) for account in course.accounts],
        failures=[asdict(failure) for failure in course.failures],
        curve={"span_s": course.span_s, "columns": _columns(course.points)},
    )


def leak_statement(growths: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether memory grew by more than noise, in one line."""
    if not growths:
        return "too few recordings to tell whether memory grows"
    grown = [
        f"{name} by {growth['mb_per_hour']:.1f} MB an hour (noise {growth['noise_mb']:.1f} MB)"
        for name, growth in growths.items()
        if growth["beyond_noise"]
    ]
    return f"grew beyond noise: {', '.join(grown)}" if grown else "no memory grew beyond noise"


def write_performance(
    folder: Path, course: Course, log_of_run: RunLog, observed: Observed | None = None
) -> list[Path]:
    """Write the report into a results folder and its log; what fails is logged and no more.

    Args:
        folder: of the results.
        course: what was collected of the run.
        log_of_run: of the folder.
        observed: what watches found; None: there were none.

    Returns:
        The files that were written.
    """
    written: list[Written] = []
    try:
        found = performance(course, observed)
        content = json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        written.append(write_whole(folder / f"{PERFORMANCE_NAME}.json", content.encode()))
        if page := _page(found, course.languages):
            written.append(write_whole(folder / f"{PERFORMANCE_NAME}.html", page.encode()))
    except ResultNotWrittenError as err:
        log.warning("%s: the performance report is not complete; the results are (%s)", folder, err)
    except Exception:
        log.exception("%s: the performance report is not complete; the results are", folder)
    try:
        if written:
            log_of_run.written("performance_written", {}, written)
    except ResultNotWrittenError as err:
        log.warning("%s: the log lacks the performance report (%s)", folder, err)
    except Exception:
        log.exception("%s: the log lacks the performance report; the results are there", folder)
    return [file.path for file in written]


def _page(found: Performance, languages: Mapping[str, int]) -> str:
    try:
        from voiceman_client.report.page import performance_page  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as err:
        log.warning("no performance.html: it needs %s: pip install 'voiceman[report]'", err.name)
        return ""
    most = max(languages, key=languages.__getitem__, default="")
    return performance_page(found, "ko" if most == "ko" else "en", datetime.now(UTC))


def _totals(course: Course, heat: Mapping[str, Any]) -> Totals:
    end, spreads = course.end, course.spreads
    celsius, memory = spreads.get("temperature_celsius"), spreads.get("process_bytes")
    share = spreads.get("memory_share")
    states = [account.state for account in course.accounts]
    return Totals(
        recordings=end.recordings,
        completed=states.count("completed"),
        recalled=states.count("recalled"),
        failed=len(course.failures),
        windows=end.windows,
        retries=end.retries,
        seconds=round(end.elapsed_s, 3),
        audio_s=round(end.audio_done_s, 3),
        rtfx=round(end.rtfx, 3),
        mean_in_flight=_mean(spreads.get("in_flight")),
        mean_gpu_utilisation=_first(
            heat.get("mean_utilisation"), _mean(spreads.get("gpu_utilisation"))
        ),
        max_temperature_celsius=_first(heat.get("max_celsius"), celsius and celsius.most),
        mean_temperature_celsius=_first(heat.get("mean_celsius"), _mean(celsius)),
        max_memory_share=share and round(share.most, 4),
        memory_start_bytes=course.first.process_bytes,
        memory_end_bytes=end.readings.process_bytes,
        max_memory_bytes=int(memory.most) if memory else None,
    )


def _recording(account: Account) -> dict[str, Any]:
    audio_s, seconds = account.audio_s, account.seconds
    return {
        **asdict(account),
        "seconds": None if seconds is None else round(seconds, 3),
        "rtfx": round(audio_s / seconds, 3) if audio_s and seconds else None,
    }


def _columns(points: Sequence[Point]) -> dict[str, list[float | None]]:
    """By name, one number for each point; None: not known."""
    known = {name for point in points for name in point.values}
    names = [name for name in Readings.__dataclass_fields__ if name in known]
    columns: dict[str, list[float | None]] = {
        "at_s": [round(point.at_s, 1) for point in points],
        "rtfx": [round(point.rtfx, 3) for point in points],
    }
    return columns | {
        name: [_rounded(point.values.get(name)) for point in points] for name in names
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _mean(spread: Spread | None) -> float | None:
    return round(spread.mean, 3) if spread else None


def _first(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _stamp(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")
