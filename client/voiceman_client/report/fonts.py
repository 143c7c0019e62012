"""Fonts of the PDF: one that has Hangul, and others for what it lacks.

ReportLab embeds TrueType outlines (.ttf), only the characters that are used. Searched are the
font that the user names, the cache of `voiceman-export fetch korean-font`, and the folders in
which systems keep fonts. Bitstream Vera comes with ReportLab and is the last to be asked.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from voiceman.cache import cache_dir
from voiceman.errors import ConfigurationError

_ASSET = "korean-font"  # in the exporter's catalogue
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
# Families with Hangul in TrueType outlines, the better ones first: regular file, bold file.
_FAMILIES = (
    ("NanumGothic_400Regular.ttf", "NanumGothic_700Bold.ttf"),
    ("NanumGothic.ttf", "NanumGothicBold.ttf"),
    ("NanumBarunGothic.ttf", "NanumBarunGothicBold.ttf"),
    ("NotoSansKR-Regular.ttf", "NotoSansKR-Bold.ttf"),
    ("UnDotum.ttf", "UnDotumBold.ttf"),
    ("baekmuk-dotum.ttf", "baekmuk-dotum.ttf"),
    ("malgun.ttf", "malgunbd.ttf"),
)
_OTHERS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansArabic-Regular.ttf")
BOX = "□"


@dataclass(frozen=True)
class Fonts:
    """Registered fonts by name.

    Attributes:
        regular: of the text.
        bold: of headings.
        glyphs: the characters of each font in the order in which they are asked, `regular` first.
    """

    regular: str
    bold: str
    glyphs: Mapping[str, frozenset[int]]

    def runs(self, text: str) -> Iterator[tuple[str, str]]:
        """The text in stretches of one font each: (font, text); BOX for what all of them lack."""
        for font, characters in groupby(text, key=self._font_of):
            stretch = "".join(characters)
            yield (font or self.regular), (stretch if font else BOX * len(stretch))

    def lacking(self, text: str) -> int:
        """How many characters of a text no font has."""
        return sum(self._font_of(character) is None for character in text)

    def _font_of(self, character: str) -> str | None:
        code = ord(character)
        return next((name for name, codes in self.glyphs.items() if code in codes), None)


def load(chosen: Path | None = None) -> Fonts:
    """Register the fonts of the PDF.

    Args:
        chosen: a TrueType font of the user, which is then asked first; None: one with Hangul that
            this machine has.

    Raises:
        ConfigurationError: the chosen font cannot be used, or no font with Hangul was found.
    """
    regular, bold = (chosen, chosen) if chosen else _korean_family()
    names = {"report": regular, "report-bold": bold}
    paths = [*names.items(), *((path.stem, path) for path in _fallbacks())]
    glyphs: dict[str, frozenset[int]] = {}
    for name, path in paths:
        glyphs[name] = _register(name, path)
    return Fonts("report", "report-bold", {k: v for k, v in glyphs.items() if k != "report-bold"})


def _register(name: str, path: Path) -> frozenset[int]:
    try:
        font = TTFont(name, str(path))
    except (TTFError, OSError) as err:
        raise ConfigurationError(
            f"{path}: not a TrueType font that a PDF can hold ({err}); .ttf with glyf outlines is"
        ) from err
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)


def _korean_family() -> tuple[Path, Path]:
    folders: Sequence[Path] = [
        *sorted((cache_dir() / "assets").glob(f"{_ASSET}-*")),
        *(Path(folder).expanduser() for folder in _FOLDERS),
    ]
    files = {path.name: path for folder in reversed(folders) for path in _ttf_files(folder)}
    for regular, bold in _FAMILIES:
        if regular in files:
            return files[regular], files.get(bold, files[regular])
    raise ConfigurationError(
        "a PDF needs a font with Hangul, and none was found: `voiceman-export fetch korean-font`, "
        "install fonts-nanum, or give a .ttf with --font"
    )


def _fallbacks() -> list[Path]:
    files = {path.name: path for folder in _FOLDERS for path in _ttf_files(Path(folder))}
    vera = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
    return [*(files[name] for name in _OTHERS if name in files), vera]


def _ttf_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder.expanduser()):
        yield from (Path(parent, name) for name in names if name.lower().endswith(".ttf"))
