"""Paragraphs and tables of the PDF, in fonts that have their characters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, Paragraph, Table, TableStyle

from voiceman_client.report.fonts import Fonts

INK, MUTED, GRID, BAD = map(HexColor, ("#1d2129", "#4a5261", "#d5d9e0", "#a61b1b"))
_BODY_POINTS = 9


class HeadingStyle(ParagraphStyle):
    """The style of a heading: what is set in it goes into the outline.

    Attributes:
        level: 0 is the document's own.
    """

    level: int


@dataclass
class Writer:
    """Makes what a document consists of, and counts what its fonts lack.

    Attributes:
        missing: characters so far that no font has.
    """

    fonts: Fonts
    missing: int = 0
    _styles: dict[tuple[float, Color, float], ParagraphStyle] = field(
        default_factory=dict[tuple[float, Color, float], ParagraphStyle]
    )

    def markup(self, text: str, *, bold: bool = False) -> str:
        """The text as ReportLab's markup, each stretch in a font that has it."""
        self.missing += self.fonts.lacking(text)
        main = self.fonts.bold if bold else self.fonts.regular
        parts: list[str] = []
        for font, stretch in self.fonts.runs(text.replace("\n", " ").replace("\t", " ")):
            name = main if font == self.fonts.regular else font
            safe = escape(stretch)
            parts.append(
                safe if name == self.fonts.regular else f'<font name="{name}">{safe}</font>'
            )
        return "".join(parts)

    def paragraph(
        self,
        text: str,
        *,
        size: float = _BODY_POINTS,
        colour: Color = INK,
        bold: bool = False,
    ) -> Paragraph:
        """A paragraph of plain text."""
        return self.marked(self.markup(text, bold=bold), size=size, colour=colour)

    def marked(
        self, markup: str, *, size: float = _BODY_POINTS, colour: Color = INK, indent: float = 0.0
    ) -> Paragraph:
        """A paragraph of ReportLab's markup, whose texts came from `markup`."""
        return Paragraph(markup, self._style(size, colour, indent))

    def heading(self, text: str, level: int = 2) -> Paragraph:
        """A heading that goes into the outline and stays with what follows."""
        size = 15.0 - 2 * level
        style = HeadingStyle(
            f"heading-{level}",
            fontName=self.fonts.bold,
            fontSize=size,
            leading=1.4 * size,
            textColor=INK,
            spaceBefore=16 - 3 * level,
            spaceAfter=4,
            keepWithNext=1,
        )
        style.level = level
        return Paragraph(self.markup(text, bold=True), style)

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]
    ) -> Flowable:
        """A table whose header is repeated on every page, with rows that may be split."""
        cells = [[self.paragraph(cell, colour=MUTED, bold=True, size=8) for cell in header]]
        cells += [[self.paragraph(cell, size=8) for cell in row] for row in rows]
        made = Table(
            cells if header else cells[1:],
            colWidths=list(widths),
            repeatRows=1 if header else 0,
            splitInRow=1,
        )
        made.setStyle(TABLE_STYLE)
        return made

    def _style(self, size: float, colour: Color, indent: float) -> ParagraphStyle:
        key = (size, colour, indent)
        if key not in self._styles:
            self._styles[key] = ParagraphStyle(
                f"text-{len(self._styles)}",
                fontName=self.fonts.regular,
                fontSize=size,
                leading=1.45 * size,
                textColor=colour,
                leftIndent=indent,
                splitLongWords=1,
                allowWidows=0,
                allowOrphans=0,
            )
        return self._styles[key]


TABLE_STYLE = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, GRID),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
)
