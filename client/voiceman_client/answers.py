"""All that the server answered about a recording, as it is cached.

Answers name the weights that they rest on. These are not in the key, because they become known
with an answer only: a cached one counts where the server still has exactly those, see
`voiceman_client.server_weights`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.evidence import ModelWeights, Summary
from voiceman_client.planning import LocalTurn
from voiceman_client.result import Heard
from voiceman_client.windows import Span


@dataclass(frozen=True)
class Answers:
    """What `assemble` needs beside the recording itself.

    Attributes:
        heard: in the order in which `recording_summary` saw them.
        turns: speaker turns over the whole recording.
        summary_text: SUMMARY as the server sent it; None: there was no window.
        weights: that finding the windows rests on, by model.
    """

    heard: tuple[Heard, ...]
    turns: tuple[LocalTurn, ...]
    summary_text: str | None
    weights: Mapping[str, ModelWeights]

    @property
    def summary(self) -> Summary | None:
        """The summary, parsed."""
        return None if self.summary_text is None else json.loads(self.summary_text)

    @property
    def languages(self) -> set[str]:
        """Languages of the windows."""
        return {item.evidence["language"] for item in self.heard}

    @property
    def all_weights(self) -> dict[str, ModelWeights]:
        """All weights that they rest on, by model; of one that was exchanged, the last."""
        return {name: weights for named in self._named for name, weights in named.items()}

    @property
    def are_of_one_server(self) -> bool:
        """Whether no model was exchanged between the first answer and the last."""
        # What a model says of itself counts, not what others say.
        return all(
            self.all_weights[name] == weights
            for named in self._named
            for name, weights in named.items()
            if name not in self.weights
        )

    @property
    def _named(self) -> list[Mapping[str, ModelWeights]]:
        answers = (*(item.evidence for item in self.heard), self.summary)
        return [*(answer.get("models", {}) for answer in answers if answer), self.weights]


def encode_answers(answers: Answers) -> bytes:
    """As a value of the cache; every text and every number comes back as it was."""
    document = {
        "heard": [_encode(item) for item in answers.heard],
        "turns": answers.turns,
        "summary": answers.summary_text,
        "weights": dict(answers.weights),
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode_answers(value: bytes) -> Answers:
    """From a value of the cache, as `encode_answers` made it."""
    document: dict[str, Any] = json.loads(value.decode("utf-8", "surrogatepass"))
    return Answers(
        tuple(_decode(item) for item in document["heard"]),
        tuple((start, end, speaker, channel) for start, end, speaker, channel in document["turns"]),
        document["summary"],
        document["weights"],
    )


def _encode(item: Heard) -> dict[str, Any]:
    embeddings = item.embeddings.astype("<f4", copy=False).tobytes()
    return {
        "start": item.span.start,
        "end": item.span.end,
        "channel": item.channel,
        "evidence": item.evidence_text,
        "embeddings": base64.b64encode(embeddings).decode(),
    }


def _decode(item: dict[str, Any]) -> Heard:
    embeddings = np.frombuffer(base64.b64decode(item["embeddings"]), "<f4").astype(np.float32)
    return Heard(
        Span(item["start"], item["end"]),
        item["channel"],
        json.loads(item["evidence"]),
        item["evidence"],
        embeddings.reshape(-1, SPEAKER_EMBEDDING_SIZE),
    )
