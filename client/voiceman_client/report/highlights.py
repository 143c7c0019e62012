"""Where findings lie in a text: the text in pieces, each with the findings that cover it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from voiceman.evidence import Finding

FINDING_WEIGHT = 0.5  # from here on a finding, below a mention; as result.schema.json says


@dataclass(frozen=True)
class Piece:
    """A stretch of a text.

    Attributes:
        text: as it stands there.
        findings: those that cover all of it; none: ordinary text.
    """

    text: str
    findings: tuple[Finding, ...]

    @property
    def only_mentions(self) -> bool:
        """Whether every finding in it is a mention: quoted, negated, reported, fiction."""
        return all(finding["weight"] < FINDING_WEIGHT for finding in self.findings)


def pieces(text: str, findings: Sequence[Finding]) -> list[Piece]:
    """Cut a text where findings begin and end; joined, the pieces are the text.

    Findings may overlap each other and reach beyond the text.
    """
    cuts = {0, len(text)}
    for finding in findings:
        cuts |= {min(max(finding[side], 0), len(text)) for side in ("start", "end")}
    edges = sorted(cuts)
    return [
        Piece(
            text[start:end],
            tuple(f for f in findings if f["start"] <= start and end <= f["end"]),
        )
        for start, end in pairwise(edges)
    ]
