"""The chart of what a score rests on."""

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.lib.colors import HexColor

from voiceman.evidence import Component
from voiceman_client.report.canvas import FINDING, INK, Canvas, shortened
from voiceman_client.report.formats import number
from voiceman_client.report.messages import Messages

_ROOM, _FRAME = map(HexColor, ("#f3f5f8", "#6b7280"))


def contributions(components: Sequence[Component], messages: Messages, canvas: Canvas) -> Drawing:
    """A bar for each component: the points that it alone would give, of those it could give."""
    row = 1.3 * canvas.row
    height = max(row * len(components), 1)
    drawing = Drawing(canvas.width, height)
    left = 1.3 * canvas.gutter
    room = canvas.width - left - 12 * canvas.font_size
    for index, component in enumerate(components):
        y = height - (index + 1) * row + 0.25 * row
        text = shortened(messages.name("component", component["name"]), 18)
        label = String(0, y + 1, text, fontName=canvas.font, fontSize=canvas.font_size)
        most = component["weight"] * room
        drawing.add(label)
        frame = Rect(left, y, most, 0.6 * row)
        frame.fillColor, frame.strokeColor = _ROOM, _FRAME
        drawing.add(frame)
        value = component["value"]
        if value is None:
            frame.strokeDashArray = [3, 2]
            shown = messages("not_available")
        else:
            share = component["weight"] * value
            if share > 0:
                bar = Rect(left, y, share * room, 0.6 * row)
                bar.setProperties({"fillColor": FINDING, "strokeColor": None})
                drawing.add(bar)
            shown = f"{number(100 * share, 1)} / {number(100 * component['weight'], 1)}"
        note = String(left + most + 6, y + 1, shown, fontName=canvas.font)
        note.fontSize, note.fillColor = canvas.font_size, INK
        drawing.add(note)
    return drawing
