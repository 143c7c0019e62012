"""Tokens to words, as openai/whisper `tokenizer.py` and `timing.py` group them."""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voiceman.languages import WITHOUT_SPACES

_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"
_INCOMPLETE = "\ufffd"  # what a part of a UTF-8 character decodes to

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class TokenWord:
    """A word and the tokens [first, last) that time it; punctuation joined to it has none."""

    text: str
    first: int
    last: int


def group_words(tokens: Sequence[int], decode: Decode, language: str) -> list[TokenWord]:
    """Words of text tokens, punctuation attached.

    Args:
        tokens: text tokens of one segment, no timestamps.
        decode: token ids to text.
        language: ISO 639-1 code, which says where words end.
    """
    words = _complete_characters(tokens, decode)
    if language not in WITHOUT_SPACES:
        words = _join_until_space(words)
    return [
        TokenWord(word.text.strip(), word.first, word.last)
        for word in _attach_punctuation(words)
        if word.text.strip()
    ]


def _complete_characters(tokens: Sequence[int], decode: Decode) -> list[TokenWord]:
    """The shortest runs of tokens that hold whole characters."""
    whole = decode(tokens)
    words: list[TokenWord] = []
    first, offset = 0, 0
    for last in range(1, len(tokens) + 1):
        text = decode(tokens[first:last])
        broken = text.find(_INCOMPLETE)
        # A replacement character that stands in the whole text too was really said by Whisper.
        if broken < 0 or whole[offset + broken : offset + broken + 1] == _INCOMPLETE:
            words.append(TokenWord(text, first, last))
            first, offset = last, offset + len(text)
    if first < len(tokens):
        words.append(TokenWord(decode(tokens[first:]), first, len(tokens)))
    return words


def _join_until_space(pieces: Sequence[TokenWord]) -> list[TokenWord]:
    """Join pieces up to the next that begins with a space or is punctuation."""
    words: list[TokenWord] = []
    for piece in pieces:
        if (
            words
            and not piece.text.startswith(" ")
            and piece.text.strip() not in string.punctuation
        ):
            words[-1] = TokenWord(words[-1].text + piece.text, words[-1].first, piece.last)
        else:
            words.append(piece)
    return words


def _attach_punctuation(words: Sequence[TokenWord]) -> list[TokenWord]:
    """Opening marks go to the word behind them, closing marks to the word before them."""
    joined: list[TokenWord] = []
    for word in reversed(words):
        if joined and word.text.startswith(" ") and word.text.strip() in _OPENING:
            behind = joined[-1]
            joined[-1] = TokenWord(word.text + behind.text, behind.first, behind.last)
        else:
            joined.append(word)
    joined.reverse()
    result: list[TokenWord] = []
    for word in joined:
        if result and not result[-1].text.endswith(" ") and word.text in _CLOSING:
            result[-1] = TokenWord(result[-1].text + word.text, result[-1].first, result[-1].last)
        else:
            result.append(word)
    return result
