"""What every engine under comparison offers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from perf.whisper_corpus import Recording

WEIGHTS = Path(__file__).parents[2] / "model_repository" / "whisper" / "1" / "weights"
MAX_NEW_TOKENS = 224  # per decode: openai-whisper's limit, and the default of the options here
BATCH = 8


class Peer(Protocol):
    """A loaded engine."""

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """The text of every recording; greedy, the language given, whatever was said."""
        ...
