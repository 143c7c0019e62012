"""Crime language: passages of a text that a table of patterns hits, each with its context.

The tables are data (`voiceman/data/patterns/<language>.toml`): patterns with examples that
must and must not match, and context rules that turn a finding into a mention (quoted, negated,
fiction, news). A hit is a reading aid: it shows where to look, and says nothing about guilt.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from voiceman.analysis.pattern_tables import (
    ContextRule,
    Pattern,
    PatternTable,
    Tables,
    default_tables,
)
from voiceman.errors import InvalidRequestError

FINDING_WEIGHT = 0.5  # from here on a hit is a finding, below it a mention

_REACH = 40  # characters before and after a hit in which a context rule looks
_SAID_DIRECTLY = "said directly"
_WORD_REST = re.compile(r"\w{0,10}")  # endings that a pattern leaves open belong to its hit
# A Hangul syllable written as jamo, or any character with its combining marks.
_CLUSTER = re.compile(
    "[\u1100-\u115f][\u1160-\u11a7](?:[\u11a8-\u11ff])?|.[\u0300-\u036f]*", re.DOTALL
)


@dataclass(frozen=True)
class Hit:
    """A passage that a pattern hit: `text[start:end]` of the text that was searched.

    `weight` (0 to 1) is 0.5 or more for a finding and less for a mention; `context` says why.
    """

    category: str
    pattern_id: str
    start: int
    end: int
    severity: float
    weight: float
    context: str


def find(text: str, language: str = "ko", tables: Tables | None = None) -> list[Hit]:
    """Find crime language in a text.

    Args:
        text: any text, of any length and script.
        language: ISO 639-1 code.
        tables: by language; None: the tables that come with voiceman.

    Returns:
        Hits in the order of the text. Of overlapping hits of one category the gravest stays.

    Raises:
        InvalidRequestError: there is no table for the language.
    """
    known = default_tables() if tables is None else tables
    if language not in known:
        raise InvalidRequestError(
            f"no crime-language patterns for {language!r}; there are {', '.join(sorted(known))}"
        )
    table = known[language]
    normalised, origins = _normalise(text)
    found = [
        (pattern, match.start(), match.end())
        for pattern in table.patterns
        for match in pattern.expression.finditer(normalised)
        if match.end() > match.start()
    ]
    if not found:
        return []
    rules = [rule for rule in table.contexts if _applies_to_text(rule, normalised)]
    hits = [_hit(pattern, rules, normalised, start, end) for pattern, start, end in found]
    return [_at_origin(hit, origins) for hit in _without_overlaps(hits)]


def _applies_to_text(rule: ContextRule, text: str) -> bool:
    """Whether a rule still has to be asked for each hit: rules for the text are settled here."""
    return rule.where != "text" or rule.expression.search(text) is not None


def _hit(pattern: Pattern, rules: Sequence[ContextRule], text: str, start: int, end: int) -> Hit:
    near = {"before": text[max(0, start - _REACH) : start], "after": text[end : end + _REACH]}
    lowering = [
        rule
        for rule in rules
        if (not rule.categories or pattern.category in rule.categories)
        and (rule.where == "text" or rule.expression.search(near[rule.where]))
    ]
    weight = min((rule.weight for rule in lowering), default=1.0)
    context = "; ".join(rule.reason for rule in lowering) or _SAID_DIRECTLY
    whole_word = _WORD_REST.match(text, end)
    end = whole_word.end() if whole_word else end
    return Hit(pattern.category, pattern.id, start, end, pattern.severity, weight, context)


def _without_overlaps(hits: Sequence[Hit]) -> list[Hit]:
    """One hit, the gravest, of every chain of overlapping ones in a category.

    So that one passage counts once, however many patterns describe it.
    """
    gravest: list[Hit] = []
    chain_end = 0
    for hit in sorted(hits, key=lambda hit: (hit.category, hit.start, hit.end, hit.pattern_id)):
        last = gravest[-1] if gravest else None
        if last is None or last.category != hit.category or hit.start >= chain_end:
            gravest.append(hit)
            chain_end = hit.end
            continue
        chain_end = max(chain_end, hit.end)
        if hit.weight * hit.severity > last.weight * last.severity:
            gravest[-1] = hit
    return sorted(gravest, key=lambda hit: (hit.start, hit.end, hit.pattern_id))


def _normalise(text: str) -> tuple[str, list[int] | None]:
    """Composed (NFC), without control and format characters, white space as blanks.

    Returns:
        the text, and for each of its characters (and its end) the position in the original;
        None where nothing changed.
    """
    if text.isprintable() and unicodedata.is_normalized("NFC", text):
        return text, None
    pieces: list[str] = []
    origins: list[int] = []
    for cluster in _CLUSTER.finditer(text):
        composed = unicodedata.normalize("NFC", cluster.group())
        if composed.isspace():
            composed = " "
        elif unicodedata.category(composed[0]) in ("Cc", "Cf"):
            continue
        pieces.append(composed)
        origins.extend([cluster.start()] * len(composed))
    return "".join(pieces), [*origins, len(text)]


def _at_origin(hit: Hit, origins: list[int] | None) -> Hit:
    if origins is None:
        return hit
    return replace(hit, start=origins[hit.start], end=origins[hit.end])


def broken_examples(table: PatternTable) -> Iterable[str]:
    """The examples that a table does not keep its word on, as sentences."""
    alone = {table.language: table}
    for pattern in table.patterns:
        for text in pattern.matches:
            if pattern.id not in _findings(text, table.language, alone):
                yield f"{pattern.id}: must be a finding: {text}"
        for text in pattern.harmless:
            if found := _findings(text, table.language, alone):
                yield f"{pattern.id}: must be harmless, found {', '.join(found)}: {text}"


def _findings(text: str, language: str, tables: Tables) -> list[str]:
    hits = find(text, language, tables)
    return [hit.pattern_id for hit in hits if hit.weight >= FINDING_WEIGHT]
