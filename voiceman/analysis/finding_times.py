"""When the passage of a finding was said: from characters of a text to times of its words."""

from collections.abc import Sequence

from voiceman.evidence import Finding, Word
from voiceman.languages import WITHOUT_SPACES

Span = tuple[float, float]


def join_words(words: Sequence[Word], language: str) -> str:
    """The text of an utterance."""
    return _between(language).join(word["word"].strip() for word in words)


def locate(
    findings: Sequence[Finding], words: Sequence[Word], language: str, utterance: Span
) -> list[Span]:
    """Start and end of every finding, seconds.

    Args:
        findings: their `start` and `end` are characters of `join_words(words, language)`.
        words: with their times.
        language: ISO 639-1 code.
        utterance: its start and end: the times of a finding without words.
    """
    if not findings:
        return []
    gap = len(_between(language))
    edges: list[tuple[int, int]] = []
    at = 0
    for word in words:
        end = at + len(word["word"].strip())
        edges.append((at, end))
        at = end + gap
    found: list[Span] = []
    for hit in findings:
        spoken = [
            word
            for word, (first, last) in zip(words, edges, strict=True)
            if first < hit["end"] and last > hit["start"]
        ]
        times = (min(w["start"] for w in spoken), max(w["end"] for w in spoken)) if spoken else ()
        found.append(times or utterance)
    return found


def _between(language: str) -> str:
    return "" if language in WITHOUT_SPACES else " "
