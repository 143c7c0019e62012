"""Answers of earlier runs about the same sound, from the cache."""

import asyncio
from pathlib import Path

from voiceman.manifest import sha256_of
from voiceman_client.answer_cache import AnswerCache
from voiceman_client.answers import Answers, decode_answers, encode_answers
from voiceman_client.cache_keys import answers_key, decoded_key
from voiceman_client.decoded import Decoded, decode_decoded, encode_decoded
from voiceman_client.options import SubmitOptions
from voiceman_client.result import Made
from voiceman_client.server_weights import ServerWeights


class Recall:
    """What a run may know already; nothing is decoded and nothing heard for it."""

    def __init__(
        self, cache: AnswerCache, weights: ServerWeights, made: Made, options: SubmitOptions
    ) -> None:
        """Look nothing up yet.

        Args:
            cache: of answers.
            weights: of the server, which answers must rest on.
            made: of the run.
            options: of the run.
        """
        self._cache = cache
        self._weights = weights
        self._made = made
        self._options = options

    async def find(self, path: Path) -> tuple[Decoded, Answers] | None:
        """What is known about a file; None: nothing, or what no longer holds.

        Raises:
            ServerError: the server failed when it was asked for its weights.
        """
        found = await asyncio.to_thread(self._look_up, path)
        return found if found and await self._weights.still_hold(found[1]) else None

    async def keep(self, decoded: Decoded, answers: Answers) -> None:
        """Keep what was found out; never fails."""
        await asyncio.to_thread(self._keep, decoded, answers)

    def _look_up(self, path: Path) -> tuple[Decoded, Answers] | None:
        try:
            file_sha256 = sha256_of(path)
        except OSError:  # decoding says what is wrong with it
            return None
        value = self._cache.get(decoded_key(file_sha256, self._options))
        if value is None:
            return None
        decoded = decode_decoded(value, path)
        value = self._cache.get(answers_key(decoded, self._made))
        return (decoded, decode_answers(value)) if value is not None else None

    def _keep(self, decoded: Decoded, answers: Answers) -> None:
        key = decoded_key(decoded.source.sha256, self._options)
        self._cache.put(key, encode_decoded(decoded))
        self._cache.put(answers_key(decoded, self._made), encode_answers(answers))
