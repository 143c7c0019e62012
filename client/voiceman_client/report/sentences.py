"""What a result says in English sentences, in the language of a report.

The core writes reasons, contexts and details as English sentences with values in them; results
keep them as they are. `sentences.toml` holds each of them as a template in both languages. A
place in a template is `{name:kind}`; a kind is a key of `_PATTERNS`, or a group of names in
`messages.toml`, and with a `+` a list of them. A sentence that no template fits stays as it is.
"""

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from voiceman_client.report.messages import Messages, names

_PATTERNS = {
    "number": r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?%?",
    "text": r".+?",
    "sentence": r".+?",  # translated in its turn
}
_DEEPEST = 8  # sentences in sentences; results hold three at most
_CLAUSES = 2  # joined by a semicolon that a template may hold


@dataclass(frozen=True)
class Template:
    """A sentence with places for values.

    Attributes:
        literals: what stands between the places; all of it is in every sentence that fits.
        pattern: fits the sentence; a group for each place.
        kinds: of the places, by name.
        texts: the sentence by language, with the names of the places.
    """

    literals: Sequence[str]
    pattern: re.Pattern[str]
    kinds: Mapping[str, str]
    texts: Mapping[str, str]


def translated(text: str, messages: Messages) -> str:
    """A sentence of a result in the language of the messages; unknown ones as they are."""
    return text if messages.language == "en" else _translated(text, messages.language, 0)


def why_failed(reason: str, messages: Messages) -> str:
    """An error's message, "file: what is wrong; what to do", in the language of the messages."""
    file, colon, said = reason.partition(": ")
    return f"{file}{colon}{translated(said, messages)}"


@lru_cache(maxsize=10_000)
def _translated(text: str, language: str, depth: int) -> str:
    if depth > _DEEPEST:
        return text
    if known := _fixed().get(text):
        return known[language]
    clauses = _split(text, "; ")
    said: list[str] = []
    while clauses:
        for count in range(min(_CLAUSES, len(clauses)), 0, -1):
            found = _fill("; ".join(clauses[:count]), language, depth)
            if found is not None:
                break
        else:
            count, found = 1, clauses[0]
        said.append(found)
        clauses = clauses[count:]
    return "; ".join(said)


def _fill(text: str, language: str, depth: int) -> str | None:
    """The translation of what one template fits as a whole; None: none does."""
    if known := _fixed().get(text):
        return known[language]
    for template in templates():
        if all(literal in text for literal in template.literals):
            match = template.pattern.fullmatch(text)
            if match:
                values = {
                    name: _value(match[name], kind, language, depth)
                    for name, kind in template.kinds.items()
                }
                return template.texts[language].format_map(values)
    return None


def _value(text: str, kind: str, language: str, depth: int) -> str:
    if kind.endswith("+"):
        items = (_value(item, kind[:-1], language, depth) for item in _split(text, ", "))
        return ", ".join(items)
    if kind == "sentence":
        return _translated(text, language, depth + 1)
    return text if kind in _PATTERNS else Messages(language).name(kind, text)


def _split(text: str, separator: str) -> list[str]:
    """Parts of a text, cut where no bracket or quotation mark is open."""
    parts, start, open_brackets, quoted = [""], 0, 0, False
    for at, character in enumerate(text):
        if character in "“”":
            quoted = character == "“"
        elif not quoted:
            open_brackets += (character == "(") - (character == ")")
            if not open_brackets and text.startswith(separator, at):
                parts[-1] = text[start:at]
                parts.append("")
                start = at + len(separator)
    parts[-1] = text[start:]
    return parts


@cache
def templates() -> Sequence[Template]:
    """All sentences with places, in the order in which they are tried."""
    return [_compile(texts) for texts in _table() if "{" in texts["en"]]


@cache
def _fixed() -> Mapping[str, Mapping[str, str]]:
    """All sentences without places, by their English text."""
    return {texts["en"]: texts for texts in _table() if "{" not in texts["en"]}


@cache
def _table() -> Sequence[Mapping[str, str]]:
    source = files("voiceman_client.report") / "sentences.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))["sentence"]


def _compile(texts: Mapping[str, str]) -> Template:
    parts = [*string.Formatter().parse(texts["en"])]
    kinds = {name: kind or "" for _, name, kind, _ in parts if name}
    pattern = "".join(_pattern(*part[:3]) for part in parts)
    literals = [literal for literal, *_ in parts if literal]
    return Template(literals, re.compile(pattern, re.DOTALL), kinds, texts)


def _pattern(literal: str, name: str | None, kind: str | None) -> str:
    place = f"(?P<{name}>{_pattern_of(kind or '')})" if name else ""
    return re.escape(literal) + place


def _pattern_of(kind: str) -> str:
    if kind.endswith("+"):
        one = _pattern_of(kind[:-1])
        return one if kind == "sentence+" else f"(?:{one})(?:, (?:{one}))*"
    return _PATTERNS.get(kind) or "|".join(map(re.escape, names(kind)))
