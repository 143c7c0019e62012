"""What the charts share: measures, colours, panels over one axis of time.

They are ReportLab drawings: one description for the page's SVG and for the PDF. Labels start
where they are put and are never centred: the page shows them in another font than the one that
ReportLab could measure.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Rect, Shape, String
from reportlab.lib.colors import Color, HexColor

# Dark enough for 4.5:1 on white (WCAG 2.1, 1.4.3), so that they serve for text as well.
SPEAKER_COLOURS = (
    *("#1f4e9c", "#a33b00", "#1b6b3a", "#7a2a8a", "#8a1538", "#005f73", "#5c4b00", "#444b57"),
)
_HOUR_S, _DAY_S = 3600, 86_400
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(_HOUR_S, 2 * _HOUR_S, 4 * _HOUR_S, 8 * _HOUR_S, _DAY_S, 2 * _DAY_S, 7 * _DAY_S),
)
INK, GRID, FINDING = map(HexColor, ("#2b2f36", "#d5d9e0", "#a61b1b"))


@dataclass(frozen=True)
class Canvas:
    """Measures of a chart, in units of the drawing (points in the PDF, pixels on the page)."""

    width: float
    font: str
    font_size: float

    @property
    def gutter(self) -> float:
        """Width of the labels on the left."""
        return 11 * self.font_size

    @property
    def row(self) -> float:
        """Height of one row with a label."""
        return 1.7 * self.font_size

    @property
    def curve(self) -> float:
        """Height of a panel with curves."""
        return 5.5 * self.font_size


def colour_of(index: int) -> str:
    """The colour of the speaker with this number; colours repeat, names do not."""
    return SPEAKER_COLOURS[index % len(SPEAKER_COLOURS)]


class Panels:
    """Panels one below the other over one axis of time, from the top down.

    Attributes:
        top: lower edge of the last panel.
    """

    def __init__(self, canvas: Canvas, height: float, duration_s: float) -> None:
        self.canvas = canvas
        self.drawing = Drawing(canvas.width, height)
        self.top = height
        self._scale = (canvas.width - canvas.gutter) / max(duration_s, 1e-3)

    def x(self, seconds: float) -> float:
        """Where a time lies."""
        return round(self.canvas.gutter + seconds * self._scale, 1)

    def add(self, shape: Shape) -> None:
        """Add a shape to the drawing."""
        self.drawing.add(shape)

    def label(self, text: str, x: float, y: float, colour: Color = INK) -> None:
        """Write a text that starts at x on the line y; nothing for an empty one."""
        if not text:
            return
        shown = String(x, round(y, 1), text, fontName=self.canvas.font)
        shown.fontSize, shown.fillColor = self.canvas.font_size, colour
        self.add(shown)

    def grid(self, duration_s: float) -> None:
        """Lines of time through all panels below, and their labels in a row of its own."""
        size = self.canvas.font_size
        labels = (self.canvas.width - self.canvas.gutter) / (5 * size)  # as many as there is room
        step = next((s for s in _STEPS_S if duration_s / s <= labels), _STEPS_S[-1])
        self.top -= self.canvas.row
        for tick in range(0, int(duration_s) + 1, step):
            x = self.x(tick)
            self.add(Line(x, 0, x, self.top + size, strokeColor=GRID, strokeWidth=0.6))
            if x + 4 * size < self.canvas.width:
                self.label(_tick(tick), x + 2, self.top + 0.3 * size)

    def row(self, label: str, height: float = 0.0) -> float:
        """Open a panel below the last one; its lower edge. Height 0: of one row."""
        height = height or self.canvas.row
        self.top = round(self.top - height, 1)
        self.label(shortened(label), 0, self.top + height - 1.2 * self.canvas.font_size)
        return self.top

    def bars(self, spans: Iterable[tuple[float, float]], y: float, colour: Color) -> None:
        """Draw spans of seconds as bars in the row above y."""
        for start, end in merged((self.x(start), self.x(end)) for start, end in spans):
            bar = Rect(start, y + 2, round(max(end - start, 0.8), 1), 0.66 * self.canvas.row)
            bar.setProperties({"fillColor": colour, "strokeColor": None})
            self.add(bar)


def _tick(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def merged(spans: Iterable[tuple[float, float]], gap: float = 0.4) -> list[tuple[float, float]]:
    """Spans by start, joined where no eye could tell them apart."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] < gap:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def shortened(text: str, longest: int = 14) -> str:
    """The text, or its beginning where it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
