"""The cues of a text: its words, their parts and neighbours, and what the patterns found."""

from collections.abc import Iterable, Iterator, Sequence

from voiceman.analysis.pieces import Span
from voiceman.analysis.word_parts import parts, stem

Cue = tuple[str, Span]  # its name, and where it stands

PART = "^"  # begins a cue that is a part of a word
_RUN = "~"  # begins a cue that is a run of letters
_PATTERN_CUE = "pattern:"
WORDLESS = (PART, _RUN, _PATTERN_CUE)  # what cues begin with that are no reason to name
_BEGIN, _END = "<", ">"
_NEIGHBOURS = ((1, " "), (2, " _ "))  # how many words further, and what joins the two
_RUN_LETTERS = (2, 3, 4)  # of Hangul


def cues_of(
    text: str, language: str, units: Sequence[Cue], found: Iterable[tuple[str, bool]]
) -> dict[str, Span]:
    """The cues of a text, each with its first place.

    Args:
        text: composed, see `voiceman.analysis.morphemes.make_plain`.
        language: of the text.
        units: form/tag and place of its units.
        found: category and "is a finding" of what the patterns hit in it.
    """
    words = spoken(units, language)
    every = [
        *inner_cues(text, language, units, words),
        *edge_cues(words),
        *pattern_cues(found, (0, len(text))),
    ]
    return dict(reversed(every))


def spoken(units: Iterable[Cue], language: str) -> list[Cue]:
    """The words among the units, in the form that cues are made of.

    Korean: the form with the first letter of its tag; else the stem of the word.
    """
    said = [(*form.rpartition("/")[::2], place) for form, place in units if not _is_sign(form)]
    if language == "ko":
        return [(f"{word}/{tag[:1]}", place) for word, tag, place in said]
    return [(stem(word), place) for word, _, place in said]


def inner_cues(
    text: str, language: str, units: Iterable[Cue], words: Sequence[Cue]
) -> Iterator[Cue]:
    """The cues of a text that each part of it has too, if it holds them whole."""
    yield from words
    for further, joint in _NEIGHBOURS:
        for (form, (start, _)), (other, (_, end)) in zip(words, words[further:], strict=False):
            yield f"{form}{joint}{other}", (start, end)
    yield from _runs(text) if language == "ko" else _parts(units)


def edge_cues(words: Sequence[Cue]) -> Iterator[Cue]:
    """The first two and the last two words of a text, as such."""
    for (_, joint), (form, place) in zip(_NEIGHBOURS, words, strict=False):
        yield f"{_BEGIN}{joint}{form}", place
    for (_, joint), (form, place) in zip(_NEIGHBOURS, reversed(words), strict=False):
        yield f"{form}{joint}{_END}", place


def pattern_cues(found: Iterable[tuple[str, bool]], span: Span) -> Iterator[Cue]:
    """What the patterns hit in a passage, by category and "is a finding"."""
    for category, finding in found:
        yield f"{_PATTERN_CUE}{category}:{finding}", span


def _runs(text: str) -> Iterator[Cue]:
    """Runs of letters without regard to blanks: recognisers put these anywhere."""
    places = [i for i, char in enumerate(text) if char.isalnum()]
    letters = "".join([text[i] for i in places])
    for length in _RUN_LETTERS:
        for i in range(len(places) - length + 1):
            yield _RUN + letters[i : i + length], (places[i], places[i + length - 1] + 1)


def _parts(units: Iterable[Cue]) -> Iterator[Cue]:
    for form, place in units:
        if not _is_sign(form):
            for part in parts(form.rpartition("/")[0]):
                yield f"{PART}{part}", place


def _is_sign(form: str) -> bool:
    tag = form.rpartition("/")[2]
    return tag == "P" or tag.startswith("S")
