"""Phrases: what a pattern looks for, written over units and compiled to linear-time searches.

A phrase is a row of elements with blanks between them, each for one unit:

    죽이/V          this form with a tag that begins so; no tag, or `/*`: any
    돈|현금|대금     one of several forms
    kill*           `*` stands for any characters
    /EF             any form with this tag
    안/MAG?         `?` at the end: may be missing
    ..  ..8         up to 4 (8) units of any kind
    $MONEY          any phrase of the concept MONEY; within a longer phrase those on units alone
    =죽여버(린|릴)   the rest of the phrase is a regular expression (RE2) on the text itself, in
                    small letters, in Korean without its blanks

All becomes RE2, which knows no backtracking: its time is linear in the text whatever the
phrase, so that phrases from a user cannot hang a server (R. Cox, 2010, "Regular Expression
Matching in the Wild").
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from voiceman.analysis.morphemes import Units

_GAP = 4
_MOST_MEMORY_BYTES = 16 << 20  # of one compiled search
_SHOWN = 80  # characters of an expression in a message
_NEVER = "[^\\x00-\\x{10FFFF}]"

Concepts = Mapping[str, Sequence[str]]
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Surface:
    """A plain text as text searches see it: small letters, in Korean without blanks.

    Attributes:
        written: UTF-8.
        places: for each of its bytes, and its end, the position in the plain text, characters.
    """

    written: bytes
    places: list[int]


@dataclass(frozen=True)
class Search:
    """Some phrases, compiled; finds spans in characters of the plain text."""

    on_units: Any
    on_surface: Any

    def spans(self, surface: Surface, units: Units) -> Spans:
        """All places, in the order of the text, those on units first."""
        found: Spans = []
        if self.on_units is not None:
            for match in self.on_units.finditer(units.line):
                if match.end() > match.start():
                    found.append(units.span(match.start(), match.end()))
        if self.on_surface is not None:
            for match in self.on_surface.finditer(surface.written):
                if match.end() > match.start():
                    places = surface.places
                    found.append((places[match.start()], places[match.end() - 1] + 1))
        return sorted(found)


def make_surface(text: str, language: str) -> Surface:
    """What text searches see of a plain text."""
    without_blanks = language == "ko"
    letters: list[bytes] = []
    places: list[int] = []
    for index, char in enumerate(text):
        if without_blanks and char == " ":
            continue
        low = char.lower().encode("utf-8", "replace")
        letters.append(low)
        places.extend([index] * len(low))
    return Surface(b"".join(letters), [*places, len(text)])


def compile_phrases(phrases: Iterable[str], concepts: Concepts) -> Search:
    """Compile phrases; any of them is a find.

    Raises:
        ValueError: a phrase that cannot be read, a concept that is not there or holds itself,
            or more than RE2 has memory for.
    """
    units, surface = _alternatives(phrases, concepts, ())
    return Search(_compile(units), _compile(surface))


def _compile(alternatives: Sequence[str]) -> Any:  # noqa: ANN401  # re2 ships no types
    if not alternatives:
        return None
    options = re2.Options()
    options.max_mem = _MOST_MEMORY_BYTES
    options.log_errors = False
    try:
        return re2.compile("|".join(alternatives).encode(), options)
    except re2.error:
        for alternative in alternatives:
            _check(alternative, options)
        raise ValueError("the phrases are too many or too long together") from None


def _check(expression: str, options: Any) -> None:  # noqa: ANN401  # re2 ships no types
    """Name the one phrase that cannot be compiled."""
    try:
        re2.compile(expression.encode(), options)
    except re2.error as err:
        reason = err.args[0].decode(errors="replace").partition(":")[0]
        raise ValueError(f"no regular expression ({reason}): {expression[:_SHOWN]}") from None


def _alternatives(
    phrases: Iterable[str], concepts: Concepts, within: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Expressions on units and on the surface for some phrases."""
    units: list[str] = []
    surface: list[str] = []
    for phrase in phrases:
        if phrase.startswith("="):
            surface.append(f"(?:{phrase[1:]})")
        elif _is_reference(phrase):
            more = _alternatives(look_up(phrase, concepts, within), concepts, (*within, phrase))
            units.extend(more[0])
            surface.extend(more[1])
        else:
            units.append("".join(_element(part, concepts, within) for part in phrase.split()))
    return units, surface


def _is_reference(phrase: str) -> bool:
    return phrase.startswith("$") and " " not in phrase and not phrase.endswith("?")


def look_up(name: str, concepts: Concepts, within: tuple[str, ...] = ()) -> Sequence[str]:
    """The phrases of a concept, written "$NAME", within the concepts that led to it.

    Raises:
        ValueError: there is none of this name, or it holds itself.
    """
    if name in within:
        raise ValueError(f"{name} holds itself")
    try:
        return concepts[name[1:]]
    except KeyError:
        raise ValueError(f"no concept {name}") from None


def _element(written: str, concepts: Concepts, within: tuple[str, ...]) -> str:
    optional, body = written.endswith("?") and len(written) > 1, written.removesuffix("?")
    if body.startswith(".."):
        return f"(?: [^ ]+){{0,{int(body[2:] or _GAP)}}}"
    if body.startswith("$"):
        inside, _ = _alternatives(look_up(body, concepts, within), concepts, (*within, body))
        expression = f"(?:{'|'.join(inside) or _NEVER})"
    else:
        forms, _, tag = body.rpartition("/") if "/" in body else (body, "", "")
        either = "|".join(re.escape(form).replace(r"\*", "[^ /]*") for form in forms.split("|"))
        expression = f" (?:{either or '[^ /]+'})/{re.escape(tag.rstrip('*'))}[^ ]*"
    return f"(?:{expression})?" if optional else expression
