"""The reports as one HTML page each: nothing is loaded from anywhere, only the sound beside it."""

import base64
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from reportlab.graphics.shapes import Drawing

from voiceman_client.documents import shown as showable
from voiceman_client.report import details, formats, svg
from voiceman_client.report.canvas import Canvas, colour_of
from voiceman_client.report.case import Case
from voiceman_client.report.contributions import contributions
from voiceman_client.report.facts import (
    MOST_EVIDENCE,
    failed_rows,
    integrity_text,
    line_reasons,
    model_rows,
    provenance_rows,
    ranking_header,
    ranking_rows,
    sourced_rows,
    summary_rows,
    total_rows,
    voices,
)
from voiceman_client.report.integrity import Recording
from voiceman_client.report.messages import Messages
from voiceman_client.report.run_curves import chart_label, curves, run_charts
from voiceman_client.report.run_facts import (
    MOST_RECORDINGS,
    failure_rows,
    heat_rows,
    leak_rows,
    recording_header,
    recording_rows,
    run_rows,
)
from voiceman_client.report.sentences import translated
from voiceman_client.report.timeline import bin_seconds, timeline
from voiceman_client.report.view import Line, View, reason_of_score

_CHART = Canvas(width=960, font="Helvetica", font_size=13)


@dataclass(frozen=True)
class Sound:
    """Where the page finds the recording: a relative or a data URL."""

    url: str
    embedded: bool


def report_page(
    view: View, recording: Recording, sound: Sound, messages: Messages, made_at: datetime
) -> str:
    """The page of one result."""
    result = view.result
    evidence = result["score"]["evidence"]
    components = result["score"]["components"]
    shown: dict[str, Any] = {
        "view": view,
        "result": result,
        "source": result["provenance"]["source"],
        "sound": sound,
        "sound_place": recording.place,
        "summary": summary_rows(view, messages),
        "score_reason": reason_of_score(result),
        "voices": voices(result, messages),
        "evidence": evidence[:MOST_EVIDENCE],
        "evidence_left": max(0, len(evidence) - MOST_EVIDENCE),
        "components": details.component_rows(components, messages),
        "component_header": details.component_header(messages),
        "timeline": _chart(timeline(view, messages, _CHART)),
        "contributions": _chart(contributions(components, messages, _CHART)),
        "chart_left": round(_CHART.gutter / _CHART.width, 4),
        "bin_seconds": bin_seconds(view),
        "finding_count": sum(item.findings for item in view.categories),
        "speaker_numbers": {name: index for index, name in enumerate(view.speakers)},
        "category_numbers": {item.category: n for n, item in enumerate(view.categories)},
        "line_at": lambda seconds, speaker=None: line_at(view, seconds, speaker),
        "colour": _colours(view),
        "because": lambda reason: details.because(reason, messages),
        "integrity_state": recording.state,
        "integrity": integrity_text(recording, messages),
        "provenance": provenance_rows(view, recording, messages),
        "said": lambda text: translated(text, messages),
        "unavailable": sourced_rows(result["unavailable"], messages),
        "notes": sourced_rows(result["notes"], messages),
        "line_reasons": line_reasons(view, messages),
        "models": model_rows(result, messages),
        "data": {
            "duration": view.duration,
            "shown": messages("shown"),
            **details.packed(view.lines, messages),
        },
    }
    page = _environment().get_template("report.html.j2")
    return page.render(_common(messages, made_at) | shown)


def case_page(case: Case, messages: Messages, made_at: datetime) -> str:
    """The page over many results."""
    shown: dict[str, Any] = {
        "case": case,
        "totals": total_rows(case, messages),
        "ranking_header": ranking_header(messages),
        "ranking": ranking_rows(case, messages),
        "failures": failed_rows(case, messages),
    }
    return _environment().get_template("case.html.j2").render(_common(messages, made_at) | shown)


def performance_page(run: Mapping[str, Any], language: str, made_at: datetime) -> str:
    """The page about how a run went.

    Args:
        run: what `voiceman_client.run_report.performance` made.
        language: one of `voiceman_client.report.messages.LANGUAGES`.
        made_at: stands in it.
    """
    messages = Messages(language)
    run = showable(run)
    shown: dict[str, Any] = {
        "totals": run_rows(run, messages),
        "charts": [
            (chart.title, chart_label(chart), _chart(curves(chart, _CHART)))
            for chart in run_charts(run, messages)
        ],
        "heat": heat_rows(run, messages),
        "leak": leak_rows(run, messages),
        "recording_header": recording_header(messages),
        "recordings": recording_rows(run, messages),
        "recordings_left": max(0, len(run["recordings"]) - MOST_RECORDINGS),
        "failures": failure_rows(run, messages),
    }
    page = _environment().get_template("performance.html.j2")
    return page.render(_common(messages, made_at) | shown)


def line_at(view: View, seconds: float, speaker: str | None = None) -> Line | None:
    """The line in which a time lies, of this speaker if he has one there; else the last before."""
    last = bisect_right(view.lines, seconds, key=lambda line: line.start)
    before = view.lines[max(0, last - 8) : last]
    running = [line for line in before if line.end > seconds] or list(before[-1:])
    same = [line for line in running if line.speaker == speaker]
    return next(iter(same or running), None)


def _chart(drawing: Drawing) -> Markup:
    return Markup(svg.inline(drawing))  # noqa: S704 - an XML writer has escaped it


def _colours(view: View) -> Callable[[str], str]:
    colours = {name: colour_of(index) for index, name in enumerate(view.speakers)}
    return lambda speaker: colours.get(speaker, colour_of(0))


def _common(messages: Messages, made_at: datetime) -> dict[str, Any]:
    script = _template_text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "t": messages,
        "made_at": made_at.strftime("%Y-%m-%d %H:%M %Z"),
        "style": Markup(_template_text("report.css")),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - a file of this package
        "script_hash": f"sha256-{digest}",
    }


@cache
def _template_text(name: str) -> str:
    folder = files("voiceman_client.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("voiceman_client.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "clock": formats.clock,
        "number": formats.number,
        "percent": formats.percent,
    }
    return environment
