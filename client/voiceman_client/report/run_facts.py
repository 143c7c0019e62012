"""What the page about a run says in tables."""

from collections.abc import Mapping
from typing import Any

from voiceman_client.report.formats import ABSENT, clock, number, percent
from voiceman_client.report.messages import Messages
from voiceman_client.report.sentences import why_failed

MOST_RECORDINGS = 300  # on the page, slowest first; the JSON has all
_MB = 1e6


def run_rows(run: Mapping[str, Any], messages: Messages) -> list[tuple[str, str]]:
    """What the run comes to."""
    totals = run["totals"]
    return [
        (messages("run_began"), run["began"]),
        (messages("run_ended"), run["ended"]),
        (messages("run_seconds"), clock(totals["seconds"])),
        (messages("run_audio"), clock(totals["audio_s"])),
        (messages("run_rtfx"), number(totals["rtfx"], 1)),
        (
            messages("recordings"),
            messages(
                "run_counts",
                given=number(totals["recordings"]),
                completed=number(totals["completed"]),
                recalled=number(totals["recalled"]),
                failed=number(totals["failed"]),
            ),
        ),
        (messages("run_windows"), number(totals["windows"])),
        (messages("run_retries"), number(totals["retries"])),
        (messages("run_mean_in_flight"), number(totals["mean_in_flight"], 1)),
        (messages("run_mean_utilisation"), percent(totals["mean_gpu_utilisation"])),
        (
            messages("run_max_mean_temperature"),
            f"{_celsius(totals['max_temperature_celsius'])} / "
            f"{_celsius(totals['mean_temperature_celsius'])}",
        ),
        (messages("run_max_memory"), percent(totals["max_memory_share"])),
        (
            messages("run_client_memory"),
            f"{_mb(totals['memory_start_bytes'])} / {_mb(totals['memory_end_bytes'])} / "
            f"{_mb(totals['max_memory_bytes'])}",
        ),
    ]


def heat_rows(run: Mapping[str, Any], messages: Messages) -> list[list[str]]:
    """The changes of heat control, as the table on the page has them."""
    changes = (run["heat"] or {}).get("transitions", [])
    return [
        [
            str(change["time"]),
            messages.name("heat", change["before"]),
            messages.name("heat", change["after"]),
            str(change["reason"]),
            number(change["temperature_celsius"], 0),
        ]
        for change in changes
    ]


def leak_rows(run: Mapping[str, Any], messages: Messages) -> list[tuple[str, str]]:
    """How each memory grew."""
    growths = run["memory_growth"]
    rows = [
        (
            messages.name("memory", name),
            messages(
                "run_grew" if growth["beyond_noise"] else "run_noise",
                rate=number(growth["mb_per_hour"], 1),
                noise=number(growth["noise_mb"], 1),
            ),
        )
        for name, growth in growths.items()
    ]
    return rows or [(messages.name("memory", "process"), messages("run_growth_unknown"))]


def recording_header(messages: Messages) -> list[str]:
    """Of the table of recordings."""
    keys = ("recording", "run_state", "duration", "run_time", "run_rtfx")
    return [*map(messages, keys), messages("run_memory_start"), messages("run_memory_end")]


def recording_rows(run: Mapping[str, Any], messages: Messages) -> list[list[str]]:
    """The recordings that took longest."""
    slowest = sorted(run["recordings"], key=lambda one: -(one["seconds"] or 0.0))
    return [
        [
            one["file"],
            messages.name("state", one["state"]),
            ABSENT if one["audio_s"] is None else clock(one["audio_s"]),
            ABSENT if one["seconds"] is None else clock(one["seconds"]),
            number(one["rtfx"], 1),
            _mb(one["memory_start_bytes"]),
            _mb(one["memory_end_bytes"]),
        ]
        for one in slowest[:MOST_RECORDINGS]
    ]


def failure_rows(run: Mapping[str, Any], messages: Messages) -> list[list[str]]:
    """What failed: an error's message says what to do."""
    return [
        [one["file"] or ABSENT, one["error"], why_failed(one["why"], messages)]
        for one in run["failures"]
    ]


def _mb(size_bytes: float | None) -> str:
    return ABSENT if size_bytes is None else f"{number(size_bytes / _MB, 0)} MB"


def _celsius(value: float | None) -> str:
    return ABSENT if value is None else f"{number(value, 1)} °C"
