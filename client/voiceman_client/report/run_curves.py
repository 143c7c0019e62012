"""The charts of a run's performance: one reading each over the time that the run took."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from reportlab.graphics.shapes import Drawing, PolyLine, Rect
from reportlab.lib.colors import HexColor

from voiceman_client.curve import PEAKS
from voiceman_client.report.canvas import GRID, Canvas, Panels
from voiceman_client.report.formats import number
from voiceman_client.report.messages import Messages

_MOST_POINTS = 240  # a curve with more is drawn from spans of equal length
_LINE = HexColor("#1f4e9c")
# By column of the report: the text of its title, what its numbers are multiplied with, its unit.
_CHARTS = {
    "rtfx": ("run_throughput", 1.0, ""),
    "temperature_celsius": ("run_temperature", 1.0, "°C"),
    "gpu_utilisation": ("run_utilisation", 100.0, "%"),
    "memory_share": ("run_memory", 100.0, "%"),
    "process_bytes": ("run_process", 1e-9, "GB"),
    "gpu_memory_bytes": ("run_gpu_memory", 1e-9, "GB"),
    "in_flight": ("run_in_flight", 1.0, ""),
    "queue_depth": ("run_queue", 1.0, ""),
}
_Point = tuple[float, float | None]  # seconds, value


@dataclass(frozen=True)
class Chart:
    """One reading over time.

    Attributes:
        title: its name.
        unit: of its values; empty: none.
        duration_s: of the run.
        points: seconds and values, None where it was not known.
    """

    title: str
    unit: str
    duration_s: float
    points: Sequence[_Point]

    @property
    def known(self) -> list[float]:
        """The values."""
        return [value for _, value in self.points if value is not None]


def run_charts(run: Mapping[str, Any], messages: Messages) -> list[Chart]:
    """The charts of what was read in a run."""
    columns, duration_s = run["curve"]["columns"], run["totals"]["seconds"]
    charts: list[Chart] = []
    for name, (title, factor, unit) in _CHARTS.items():
        values = [None if v is None else v * factor for v in columns.get(name, [])]
        points = _thinned(list(zip(columns["at_s"], values, strict=False)), name in PEAKS)
        chart = Chart(messages(title), unit, duration_s, points)
        if chart.known:
            charts.append(chart)
    return charts


def chart_label(chart: Chart) -> str:
    """Lowest, mean and highest value, for those who do not see the chart."""
    known = chart.known
    found = (min(known), sum(known) / len(known), max(known))
    return " / ".join(f"{number(value, 2)} {chart.unit}".strip() for value in found)


def curves(chart: Chart, canvas: Canvas) -> Drawing:
    """The chart: from 0 to a round number above its highest value, gaps where nothing is known."""
    panels = Panels(canvas, canvas.curve + 1.8 * canvas.row, chart.duration_s)
    panels.grid(chart.duration_s)
    y, size = panels.row(chart.unit, canvas.curve), canvas.font_size
    frame = Rect(canvas.gutter, y, canvas.width - canvas.gutter, canvas.curve)
    frame.setProperties({"fillColor": None, "strokeColor": GRID})
    panels.add(frame)
    top = _round_above(max(chart.known))
    panels.label(number(top, 2), canvas.gutter - 4 * size, y + canvas.curve - size)
    panels.label("0", canvas.gutter - 4 * size, y)
    for is_known, run in groupby(chart.points, key=lambda point: point[1] is not None):
        corners = [
            (panels.x(min(at, chart.duration_s)), round(y + (value or 0.0) / top * canvas.curve, 1))
            for at, value in run
        ]
        if not is_known:
            continue
        if len(corners) == 1:  # one reading is seen as well
            ((x, at),) = corners
            corners = [(x - 2, at), (x + 2, at)]
        flat = [part for corner in corners for part in corner]
        panels.add(PolyLine(flat, strokeColor=_LINE, strokeWidth=1.6))
    return panels.drawing


def _thinned(points: Sequence[_Point], peaks: bool) -> list[_Point]:
    """At most `_MOST_POINTS`: of neighbours their mean, or the highest."""
    step = math.ceil(len(points) / _MOST_POINTS)
    found: list[_Point] = []
    for start in range(0, len(points), max(step, 1)):
        group = points[start : start + step]
        known = [value for _, value in group if value is not None]
        value = None if not known else max(known) if peaks else sum(known) / len(known)
        found.append((sum(at for at, _ in group) / len(group), value))
    return found


def _round_above(value: float) -> float:
    """1, 2 or 5 times a power of ten, not below the value; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * 0.9999)
