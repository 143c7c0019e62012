"""The timeline: who speaks when, findings, emotion and stress over one axis of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, Rect
from reportlab.lib.colors import Color, HexColor

from voiceman_client.report.canvas import (
    FINDING,
    GRID,
    INK,
    Canvas,
    Panels,
    colour_of,
    merged,
    shortened,
)
from voiceman_client.report.details import because
from voiceman_client.report.messages import Messages
from voiceman_client.report.view import Line as Spoken
from voiceman_client.report.view import Reading, View, common_reasons

_AROUSAL, _VALENCE, _STRESS = map(HexColor, ("#a33b00", "#1f4e9c", "#7a2a8a"))
_MOST_POINTS = 300  # a curve with more is drawn from means of equal spans
_MOST_DOTS = 80  # more dots than these hide the curve

_Point = tuple[float, float | None]  # seconds, value


@dataclass(frozen=True)
class _Curve:
    """One reading of every line, over 0 to 1."""

    name: str
    colour: Color
    dashes: list[int] | None
    reading: Callable[[Spoken], Reading]


def bin_seconds(view: View) -> float | None:
    """Seconds of the spans whose means the curves show; None: every utterance is a point."""
    return view.duration / (_MOST_POINTS / 2) if len(view.lines) > _MOST_POINTS else None


def timeline(view: View, messages: Messages, canvas: Canvas) -> Drawing:
    """Speakers, overlap and findings, arousal and valence, stress, over one axis of time."""
    rows = len(view.speakers) + 2
    height = (rows + 1.8) * canvas.row + 2 * canvas.curve
    panels = Panels(canvas, height, view.duration)
    panels.grid(view.duration)
    for index, speaker in enumerate(view.speakers):
        panels.bars(_turns_of(view, speaker), panels.row(speaker), HexColor(colour_of(index)))
    panels.bars(view.overlaps, panels.row(messages("overlap")), INK)
    _findings(panels, view, messages)
    emotion = (
        _Curve(messages("arousal"), _AROUSAL, None, lambda line: line.arousal),
        _Curve(messages("valence"), _VALENCE, [4, 2], lambda line: line.valence),
    )
    _panel(panels, view, messages, messages("emotion"), emotion)
    panels.top -= 0.6 * canvas.row
    stress = _Curve(messages("stress"), _STRESS, None, lambda line: line.stress)
    _panel(panels, view, messages, messages("stress"), (stress,))
    return panels.drawing


def _turns_of(view: View, speaker: str) -> list[tuple[float, float]]:
    turns = view.result["speaker_turns"]
    spans = [(turn["start"], turn["end"]) for turn in turns if turn["speaker"] == speaker]
    return spans or [(line.start, line.end) for line in view.lines if line.speaker == speaker]


def _findings(panels: Panels, view: View, messages: Messages) -> None:
    y, half = panels.row(messages("findings")) + 2, 0.3 * panels.canvas.row
    starts = [panels.x(line.start) for line in view.lines if line.categories]
    for x, _ in merged(zip(starts, starts, strict=True), gap=1.0):
        corners = [x - half, y, x + half, y, x, y + 2 * half]
        panels.add(Polygon(corners, fillColor=FINDING, strokeColor=None))


def _panel(
    panels: Panels, view: View, messages: Messages, title: str, curves: Sequence[_Curve]
) -> None:
    canvas = panels.canvas
    size, width = canvas.font_size, canvas.width - canvas.gutter
    y = panels.row(title, canvas.curve)
    frame = Rect(canvas.gutter, y, width, canvas.curve)
    frame.setProperties({"fillColor": None, "strokeColor": GRID})
    panels.add(frame)
    panels.label("1", canvas.gutter - size, y + canvas.curve - size)
    panels.label("0", canvas.gutter - size, y)
    for index, curve in enumerate(curves):
        if len(curves) > 1:
            _key(panels, curve, y + canvas.curve - (2.6 + 1.5 * index) * size)
        points = _points(view, curve)
        if all(value is None for _, value in points):
            reasons = common_reasons(curve.reading(line) for line in view.lines)
            reason = because(reasons[0][0] if reasons else "", messages)
            text = shortened(f"{curve.name}: {reason}", int(width / (0.62 * size)))
            panels.label(text, canvas.gutter + 6, y + canvas.curve / 2 - 1.5 * index * size)
        for known, run in groupby(points, key=lambda point: point[1] is not None):
            if known:
                _draw(panels, [(at, value or 0.0) for at, value in run], y, curve)


def _key(panels: Panels, curve: _Curve, y: float) -> None:
    size = panels.canvas.font_size
    sample = Line(0, y + size / 3, 1.6 * size, y + size / 3, strokeColor=curve.colour)
    sample.setProperties({"strokeWidth": 1.8, "strokeDashArray": curve.dashes})
    panels.add(sample)
    panels.label(shortened(curve.name, 10), 2 * size, y, curve.colour)


def _points(view: View, curve: _Curve) -> list[_Point]:
    """Every line in its middle; means of spans where there are too many lines."""
    points = [((line.start + line.end) / 2, curve.reading(line).value) for line in view.lines]
    span = bin_seconds(view)
    if span is None:
        return points
    binned: list[_Point] = []
    for number, group in groupby(sorted(points, key=_at), key=lambda point: int(_at(point) / span)):
        known = [value for _, value in group if value is not None]
        binned.append(((number + 0.5) * span, sum(known) / len(known) if known else None))
    return binned


def _at(point: _Point) -> float:
    return point[0]


def _draw(panels: Panels, points: Sequence[tuple[float, float]], y: float, curve: _Curve) -> None:
    height = panels.canvas.curve
    corners = [(panels.x(at), y + min(max(value, 0.0), 1.0) * height) for at, value in points]
    if len(corners) > 1:
        flat = [round(part, 1) for corner in corners for part in corner]
        line = PolyLine(flat, strokeColor=curve.colour, strokeWidth=1.6)
        line.setProperties({"strokeDashArray": curve.dashes})
        panels.add(line)
    dot = 0.18 * panels.canvas.font_size
    for x, at in corners if len(corners) <= _MOST_DOTS else ():
        box = Rect(x - dot, at - dot, 2 * dot, 2 * dot)
        box.setProperties({"fillColor": curve.colour, "strokeColor": None})
        panels.add(box)
