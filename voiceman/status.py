"""The status that every voice model sends beside its numbers: why a number is missing."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Status:
    """What a model could and could not compute for one window.

    Attributes:
        weights: name and version of the weights in use; empty: the model has none.
        unavailable: why the whole model has no answer; empty: it has.
        utterances: reason by utterance index, for single utterances without an answer.
        note: what a reader must know about the domain of the weights.
        sha256: of the weights, where others' numbers cannot be compared; empty elsewhere.
    """

    weights: str = ""
    unavailable: str = ""
    utterances: dict[int, str] = field(default_factory=dict[int, str])
    note: str = ""
    sha256: str = ""

    def to_json(self) -> str:
        """As the text of a *_STATUS tensor."""
        return json.dumps(
            {
                "weights": self.weights,
                "unavailable": self.unavailable,
                "utterances": {str(index): why for index, why in self.utterances.items()},
                "note": self.note,
                "sha256": self.sha256,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> "Status":
        """From the text of a *_STATUS tensor; empty text is an empty status (warm-up)."""
        if not text:
            return cls(unavailable="no status was sent")
        values = json.loads(text)
        utterances = {int(index): str(why) for index, why in values["utterances"].items()}
        return cls(
            values["weights"],
            values["unavailable"],
            utterances,
            values["note"],
            values["sha256"],
        )
