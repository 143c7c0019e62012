"""Which weights the server works with now: whether cached answers still are its answers."""

import asyncio
import json

import numpy as np

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.evidence import Evidence, ModelWeights, Summary
from voiceman.options import AUTO_LANGUAGE
from voiceman_client.answers import Answers
from voiceman_client.planning import all_of
from voiceman_client.transport import Arrays, Server, read_text

_SILENCE = np.zeros(SAMPLE_RATE_HZ, np.int16)


class ServerWeights:
    """Asks with a second of silence, once in each language that answers are in."""

    def __init__(self, server: Server, timeout_s: float) -> None:
        """Ask nothing yet.

        Args:
            server: where the models are.
            timeout_s: for each request.
        """
        self._server = server
        self._timeout_s = timeout_s
        self._known: dict[str, dict[str, ModelWeights]] = {}  # by language
        self._asking = asyncio.Lock()

    async def still_hold(self, answers: Answers) -> bool:
        """Whether answers rest on the weights, precisions and code that the server has now.

        Raises:
            ServerError: the server failed; see `voiceman.errors`.
        """
        now: dict[str, ModelWeights] = {}
        for language in sorted(answers.languages) or [AUTO_LANGUAGE]:
            now |= await self._in(language or AUTO_LANGUAGE)
        return all(now.get(name) == weights for name, weights in answers.all_weights.items())

    async def _in(self, language: str) -> dict[str, ModelWeights]:
        async with self._asking:
            if language not in self._known:
                self._known[language] = await self._ask(language)
        return self._known[language]

    async def _ask(self, language: str) -> dict[str, ModelWeights]:
        """The weights of all models that take part in a language."""
        window = {"WAVEFORM": _SILENCE, "TURNS": np.zeros((0, 2), np.float32), "LANGUAGE": language}
        embeddings = np.zeros((0, SPEAKER_EMBEDDING_SIZE), np.float32)
        recording = {"WINDOW_EVIDENCE": [""], "SPEAKER_EMBEDDING": embeddings}
        texts = await all_of(
            self._text(model, inputs, name)
            for model, inputs, name in (
                ("forensic", window, "EVIDENCE"),
                ("recording_summary", recording, "SUMMARY"),
                ("voice_activity", {"WAVEFORM": _SILENCE}, "VOICE_ACTIVITY_WEIGHTS"),
            )
        )
        evidence: Evidence = json.loads(texts[0])
        summary: Summary = json.loads(texts[1])
        found: ModelWeights = json.loads(texts[2])
        return {**evidence["models"], **summary.get("models", {}), "voice_activity": found}

    async def _text(self, model: str, inputs: Arrays, name: str) -> str:
        return read_text(await self._server.infer(model, inputs, self._timeout_s), name)
