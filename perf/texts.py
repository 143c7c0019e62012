"""How alike two transcripts are, whatever their spacing, case and punctuation."""

import unicodedata
from collections.abc import Sequence

import jiwer


def normalise(text: str) -> str:
    """Letters and digits alone, in one case and one form; no language needs its spaces here."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if unicodedata.category(sign)[0] in "LMN")


def characters(texts: Sequence[str]) -> int:
    """Letters, digits and signs; how texts are spaced says nothing about what was heard."""
    return sum(len("".join(text.split())) for text in texts)


def agreement(reference: Sequence[str], texts: Sequence[str]) -> float:
    """1 less the character error rate against a reference, over all recordings together.

    Args:
        reference: one text per recording, none of them empty.
        texts: the same recordings.
    """
    return 1.0 - float(jiwer.cer(list(map(normalise, reference)), list(map(normalise, texts))))


def differences(reference: str, text: str, context: int = 12) -> list[str]:
    """Where a text says more, less or something else, as "before [theirs|ours] after"."""
    left, right = normalise(reference), normalise(text)
    chunks = jiwer.process_characters(left, right).alignments[0]
    return [
        f"{left[max(0, c.ref_start_idx - context) : c.ref_start_idx]}"
        f"[{left[c.ref_start_idx : c.ref_end_idx]}|{right[c.hyp_start_idx : c.hyp_end_idx]}]"
        f"{left[c.ref_end_idx : c.ref_end_idx + context]}"
        for c in chunks
        if c.type != "equal"
    ]
