"""The pages of the PDF: size, header, footer with page of pages, outline, opening, widths."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas as PdfCanvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from voiceman_client.report.facts import Row
from voiceman_client.report.messages import Messages
from voiceman_client.report.pdf_text import BAD, GRID, MUTED, TABLE_STYLE, HeadingStyle, Writer

_MARGIN = 48.0  # points, 17 mm
_TITLE_CHARACTERS = 90  # what fits on one line
WIDTH = A4[0] - 2 * _MARGIN


def paged(story: Sequence[Flowable], title: str, messages: Messages, writer: Writer) -> bytes:
    """Set a story on pages.

    Args:
        story: what the document consists of.
        title: stands in the header of every page and in the document's properties.
        messages: of the document's language.
        writer: that made the story.
    """
    target = BytesIO()
    document = _Document(target, title, messages, writer)
    document.build(list(story), canvasmaker=_counting(document))
    return target.getvalue()


def opening(
    kind: str, name: str, writer: Writer, messages: Messages, made_at: datetime
) -> list[Flowable]:
    """Title and disclaimer: the first things on the first page."""
    made = f"{messages('made_at')}: {made_at:%Y-%m-%d %H:%M %Z}"
    box = Table(
        [
            [writer.paragraph(messages("disclaimer_title"), colour=BAD, bold=True)],
            [writer.paragraph(messages("disclaimer"))],
        ],
        colWidths=[WIDTH],
    )
    box.setStyle([("BOX", (0, 0), (-1, -1), 1.2, BAD), ("LEFTPADDING", (0, 0), (-1, -1), 8)])
    return [
        writer.paragraph(kind, colour=HexColor("#1f4e9c"), bold=True),
        writer.heading(name, level=0),
        writer.paragraph(made, colour=MUTED, size=8),
        Spacer(1, 6),
        box,
    ]


def facts_table(rows: Sequence[Row], writer: Writer) -> Flowable:
    """Rows of a name and a value."""
    made = Table(
        [[writer.paragraph(name, colour=MUTED), writer.paragraph(value)] for name, value in rows],
        colWidths=shares(30, 70),
        splitInRow=1,
    )
    made.setStyle(TABLE_STYLE)
    return made


def shares(*parts: float) -> list[float]:
    """Widths of columns in points, as shares of the page's width."""
    return [WIDTH * part / sum(parts) for part in parts]


class _Document(BaseDocTemplate):
    """A document whose headings go into the outline."""

    def __init__(self, target: BytesIO, title: str, messages: Messages, writer: Writer) -> None:
        super().__init__(
            target,
            pagesize=A4,
            title=title[:_TITLE_CHARACTERS],
            author="voiceman",
            subject=messages("disclaimer"),
            lang=messages.language,
        )
        self.shown_title = title[:_TITLE_CHARACTERS]
        self.messages, self.writer = messages, writer
        frame = Frame(_MARGIN, _MARGIN, WIDTH, A4[1] - 2 * _MARGIN, 0, 0, 0, 0)
        self.addPageTemplates([PageTemplate("page", [frame])])
        self._headings = 0

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - ReportLab's name
        """Put a heading into the outline."""
        if isinstance(flowable, Paragraph) and isinstance(flowable.style, HeadingStyle):
            self._headings += 1
            key = f"heading-{self._headings}"
            text = flowable.getPlainText()[:_TITLE_CHARACTERS]
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(text, key, max(0, flowable.style.level - 2))

    def decorate(self, canvas: PdfCanvas, page: int, pages: int) -> None:
        """Write header and footer of a page."""
        top, bottom = A4[1] - _MARGIN + 12, _MARGIN - 20
        canvas.setStrokeColor(GRID)
        canvas.line(_MARGIN, top - 4, A4[0] - _MARGIN, top - 4)
        canvas.line(_MARGIN, bottom + 11, A4[0] - _MARGIN, bottom + 11)
        self._line(canvas, self.shown_title, _MARGIN, top)
        self._line(canvas, self.messages("disclaimer_short"), _MARGIN, bottom)
        text = self.messages("page", number=page, total=pages)
        font = self.writer.fonts.regular
        self._line(canvas, text, A4[0] - _MARGIN - canvas.stringWidth(text, font, 8), bottom)

    def _line(self, canvas: PdfCanvas, text: str, x: float, y: float) -> None:
        canvas.setFillColor(MUTED)
        for font, stretch in self.writer.fonts.runs(text):
            canvas.setFont(font, 8)
            canvas.drawString(x, y, stretch)
            x += canvas.stringWidth(stretch, font, 8)


def _counting(document: _Document) -> type[PdfCanvas]:
    """A canvas that writes header and footer when all pages are known."""

    class CountingCanvas(PdfCanvas):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*arguments, **options)
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - ReportLab's name
            self._kept.append(dict(self.__dict__))
            self._startPage()  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs

        def save(self) -> None:
            for page, state in enumerate(self._kept, start=1):
                self.__dict__.update(state)
                document.decorate(self, page, len(self._kept))
                super().showPage()
            super().save()

    return CountingCanvas
