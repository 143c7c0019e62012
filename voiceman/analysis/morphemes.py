"""What patterns are matched on: the units of a text, with their places in it.

Korean is cut into morphemes (kiwipiepy), so that endings, spacing and contractions do not
hide a word: "뿌린다", "뿌려 버릴게" and "뿌렸다" all hold 뿌리/V. Other languages are cut into
words in small letters, contractions in two.

Units are written as one line, " 너/NP 죽이/VV 어/EC 버리/VX ㄹ/ETM …", on which the phrases of
`voiceman.analysis.phrases` are regular expressions. Final consonants that are endings of their
own are written as letters that a keyboard has (ㄴ, ㄹ, ㅁ, ㅂ).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from voiceman.errors import ConfigurationError

if TYPE_CHECKING:
    from kiwipiepy import Kiwi, Token

_PIECE = 200  # characters that are analysed at a time: the time grows with their square
_FINALS = str.maketrans(
    {"\u11ab": "ㄴ", "\u11af": "ㄹ", "\u11b7": "ㅁ", "\u11b8": "ㅂ", "\u11bb": "ㅆ"}
)
_WORDS = re.compile(r"n['’]t\b|['’](?:s|m|re|ve|ll|d)\b|\w+?(?=n['’]t\b)|\w+|[^\w\s]")
# Syllables that stand alone four times and more: someone writes or hears "죽 여 버 린 다".
_SPREAD = re.compile(r"(?<!\S)(?:[가-힣] ){3,}[가-힣](?!\S)")
_MOST_REPEATS = 4
# "ㅋㅋㅋㅋㅋㅋ", and what takes an analyser long.
_REPEATED = re.compile(rf"(.)\1{{{_MOST_REPEATS},}}")
# A Hangul syllable written as jamo, or any character with its combining marks.
_CLUSTER = re.compile(
    "[\u1100-\u115f][\u1160-\u11a7](?:[\u11a8-\u11ff])?|.[\u0300-\u036f]*", re.DOTALL
)


@dataclass(frozen=True)
class PlainText:
    """A text made even: composed (NFC), no control characters, white space as blanks.

    Attributes:
        text: the text.
        origins: for each of its characters, and its end, the position in the original; None
            where nothing changed.
    """

    text: str
    origins: list[int] | None

    def origin(self, position: int) -> int:
        """Where a position of the text was in the original."""
        return position if self.origins is None else self.origins[position]


@dataclass(frozen=True)
class Units:
    """The units of a text, as one line of UTF-8.

    Attributes:
        line: " form/TAG" for each unit.
        offsets: [n] where each unit begins in the line, bytes.
        spans: [n] where each unit stands in the text, (start, end) in characters.
    """

    line: bytes
    offsets: list[int]
    spans: list[tuple[int, int]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the text behind `line[start:end]`."""
        first = bisect_right(self.offsets, start) - 1
        last = bisect_right(self.offsets, end - 1) - 1
        return self.spans[first][0], max(stop for _, stop in self.spans[first : last + 1])


def make_plain(text: str, spelling: Mapping[str, str]) -> PlainText:
    """Compose a text, drop its control and format characters, join spread syllables.

    Args:
        text: any text.
        spelling: what is read in place of what; the places stay those of the text.
    """
    plain = _composed(text)
    if _REPEATED.search(plain.text):
        plain = _respelled(plain, _REPEATED, lambda match: match.group(1) * _MOST_REPEATS)
    if any(read in plain.text for read in spelling):
        longest_first = sorted(spelling, key=len, reverse=True)
        read = re.compile("|".join(map(re.escape, longest_first)))
        plain = _respelled(plain, read, lambda match: spelling[match.group()])
    return plain


def _respelled(
    plain: PlainText, read: re.Pattern[str], spell: Callable[[re.Match[str]], str]
) -> PlainText:
    pieces: list[str] = []
    origins: list[int] = []
    done = 0
    for match in read.finditer(plain.text):
        start, end = match.span()
        meant = spell(match)
        pieces += [plain.text[done:start], meant]
        origins += [plain.origin(at) for at in range(done, start)]
        # Longer than what is read: the rest of it stands where its last character stands.
        origins += [plain.origin(min(start + index, end - 1)) for index in range(len(meant))]
        done = end
    pieces.append(plain.text[done:])
    origins += [plain.origin(at) for at in range(done, len(plain.text) + 1)]
    return PlainText("".join(pieces), origins)


def _composed(text: str) -> PlainText:
    if text.isprintable() and unicodedata.is_normalized("NFC", text) and not _SPREAD.search(text):
        return PlainText(text, None)
    pieces: list[str] = []
    origins: list[int] = []
    for cluster in _CLUSTER.finditer(text):
        composed = unicodedata.normalize("NFC", cluster.group())
        if composed.isspace():
            composed = " "
        elif unicodedata.category(composed[0]) in ("Cc", "Cf", "Cs"):
            continue
        pieces.append(composed)
        origins.extend([cluster.start()] * len(composed))
    plain = "".join(pieces)
    dropped = {
        match.start() + index
        for match in _SPREAD.finditer(plain)
        for index in range(1, len(match.group()), 2)
    }
    if dropped:
        origins = [at for index, at in enumerate(origins) if index not in dropped]
        plain = "".join(char for index, char in enumerate(plain) if index not in dropped)
    return PlainText(plain, [*origins, len(text)])


def cut(text: str, language: str) -> Units:
    """The units of a plain text.

    Raises:
        ConfigurationError: the language needs an analyser that is not installed.
    """
    found = _morphemes(text) if language == "ko" else _words(text)
    line: list[bytes] = []
    offsets: list[int] = []
    spans: list[tuple[int, int]] = []
    length = 0
    for form, tag, start, end in found:
        written = f" {form.replace('/', '').replace(' ', '')}/{tag}".encode()
        line.append(written)
        offsets.append(length)
        spans.append((start, end))
        length += len(written)
    return Units(b"".join(line), offsets, spans)


def _words(text: str) -> Iterable[tuple[str, str, int, int]]:
    for match in _WORDS.finditer(text):
        form = match.group().lower().replace("’", "'")
        yield form, "W" if form[-1].isalnum() else "P", match.start(), match.end()


def _morphemes(text: str) -> Iterable[tuple[str, str, int, int]]:
    kiwi = load_kiwi()
    for start, end in _pieces(text):
        for token in cast("list[Token]", kiwi.tokenize(text[start:end])):
            begins = start + token.start
            form = token.form.translate(_FINALS)
            yield form, token.tag, begins, begins + max(token.len, 1)


def _pieces(text: str) -> Iterable[tuple[int, int]]:
    """Spans of at most _PIECE characters, cut at blanks where there are any."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            blank = text.rfind(" ", start + 1, end)
            end = blank if blank > 0 else end
        yield start, min(end, len(text))
        start = end


@lru_cache
def load_kiwi() -> "Kiwi":
    """The Korean analyser, loaded once (about 3 s).

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from kiwipiepy import Kiwi  # noqa: PLC0415  # a client without it must still start
    except ImportError as err:
        raise ConfigurationError(
            "Korean patterns need the analyser of morphemes: pip install 'kiwipiepy>=0.24'"
        ) from err
    return Kiwi(num_workers=1)
