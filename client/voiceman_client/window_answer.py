"""The server's answer about a window, and the hash that it is known by."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman_client.windows import Span


@dataclass(frozen=True)
class WindowAnswer:
    """The server's answer about a window.

    Attributes:
        evidence: the EVIDENCE tensor.
        embeddings: [u, 192] of its utterances.
    """

    evidence: str
    embeddings: npt.NDArray[np.float32]

    @property
    def embedding_bytes(self) -> bytes:
        """The embeddings as little-endian float32, row by row."""
        return np.ascontiguousarray(self.embeddings, "<f4").tobytes()

    def sha256(self, work: str, channel: int | None, span: Span) -> str:
        """SHA-256 of the answer and of what it answers.

        Args:
            work: see `voiceman_client.ledger`.
            channel: of the window.
            span: of the window.
        """
        # JSON holds no NUL, so every byte is either of the key, of the evidence or of the rest.
        key = json.dumps([work, channel, span.start, span.end])
        parts = (key.encode(), self.evidence.encode(), self.embedding_bytes)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()
