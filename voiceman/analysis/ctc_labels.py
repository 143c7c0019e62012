"""From words to the labels of a CTC vocabulary: what is searched for in the sound."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

# Stands for a character that the vocabulary does not have: something is said there, no matter
# what (WhisperX, `alignment.py`). As an index it means the last column.
WILDCARD = -1

# The jamo of a composed syllable, in the order of its code point (The Unicode Standard, 3.12),
# as compatibility jamo, which have no forms by position.
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")


@dataclass(frozen=True)
class Vocabulary:
    """The labels of a CTC model.

    Attributes:
        labels: label number by character, in whatever case and composition the model has.
        blank: the label that says nothing.
        delimiter: the label between words; None: the model has none.
    """

    labels: Mapping[str, int]
    blank: int
    delimiter: int | None

    def spell(self, character: str) -> list[int]:
        """Labels of one character: itself, in another case, or in its parts; else WILDCARD."""
        if (label := self.labels.get(character)) is not None:
            return [label]
        for spelling in self._spellings(character):
            labels = [self.labels.get(part, WILDCARD) for part in spelling]
            if WILDCARD not in labels:
                return labels
        return [WILDCARD]

    def _spellings(self, character: str) -> Iterator[str]:
        for cased in (character, character.lower(), character.upper()):
            yield cased
            # Letters and accents apart; of a Hangul syllable, its jamo.
            yield unicodedata.normalize("NFD", cased)
        if _is_syllable(character) and not self._has_syllables:
            yield _compatibility_jamo(character)

    @cached_property
    def _has_syllables(self) -> bool:
        """A model of syllables has single jamo for laughter only: no syllable is made of them."""
        return any(_is_syllable(label) for label in self.labels)


@dataclass(frozen=True)
class Spelling:
    """The labels of a segment in their order.

    Attributes:
        labels: [n] label numbers, WILDCARD among them.
        owners: [n] index of the word that a label belongs to; -1 between words.
    """

    labels: Indices
    owners: Indices


def spell(words: Sequence[str], vocabulary: Vocabulary) -> Spelling:
    """Spell the words of a segment.

    Args:
        words: as Whisper wrote them: white space between two words belongs to one of them.
        vocabulary: of the CTC model.
    """
    labels: list[int] = []
    owners: list[int] = []
    between = False
    for index, word in enumerate(words):
        for character in unicodedata.normalize("NFC", word):
            if character.isspace():
                between = bool(labels) and vocabulary.delimiter is not None
                continue
            if between and vocabulary.delimiter is not None:
                labels.append(vocabulary.delimiter)
                owners.append(-1)
                between = False
            spelled = vocabulary.spell(character)
            labels += spelled
            owners += [index] * len(spelled)
    return Spelling(np.array(labels, np.int64), np.array(owners, np.int64))


def _is_syllable(label: str) -> bool:
    return len(label) == 1 and _FIRST_SYLLABLE <= ord(label) <= _LAST_SYLLABLE


def _compatibility_jamo(syllable: str) -> str:
    number = ord(syllable) - _FIRST_SYLLABLE
    initial, rest = divmod(number, len(_VOWELS) * len(_FINALS))
    vowel, final = divmod(rest, len(_FINALS))
    return _INITIALS[initial] + _VOWELS[vowel] + _FINALS[final]
