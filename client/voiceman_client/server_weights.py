"""Which weights the server works with now: whether cached answers still are its answers."""

import asyncio

from voiceman.evidence import ModelWeights
from voiceman.options import AUTO_LANGUAGE
from voiceman_client.answers import Answers
from voiceman_client.identity import weights_in_use
from voiceman_client.transport import Server


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
        if not answers.are_of_one_server:
            return False
        now: dict[str, ModelWeights] = {}
        for language in sorted(answers.languages) or [AUTO_LANGUAGE]:
            now |= await self._in(language or AUTO_LANGUAGE)
        return all(now.get(name) == weights for name, weights in answers.all_weights.items())

    async def _in(self, language: str) -> dict[str, ModelWeights]:
        async with self._asking:
            if language not in self._known:
                self._known[language] = await weights_in_use(
                    self._server, language, self._timeout_s
                )
        return self._known[language]
