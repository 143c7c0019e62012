"""Decoding again: when a decode is not good enough, at which temperature, and which one is kept.

Source: `decode_with_fallback` of openai/whisper `transcribe.py`. There the last decode is kept;
here the best one is, because a passage that nothing helps should be shown as Whisper heard it
best. What is drawn is a function of the sound and of how often it has been decoded, so that
the same window always says the same.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voiceman.audio import Waveform
from voiceman.options import WindowOptions


@dataclass(frozen=True)
class Draw:
    """How the tokens of one decode are drawn.

    Attributes:
        temperature: 0: the likeliest token is taken.
        seed: of the sound and the attempt.
    """

    temperature: float = 0.0
    seed: bytes = b""

    def noise(self, count: int) -> list[float]:
        """Numbers in [0, 1) to draw tokens by; none are needed at temperature 0.

        Philox gives the same bits on every platform and in every release of numpy.
        """
        if self.temperature == 0:
            return []
        bits = np.random.Philox(int.from_bytes(self.seed[:8], "little")).random_raw(count)
        return ((bits >> np.uint64(40)) * 2.0**-24).tolist()  # fp32 holds 24 bits exactly


def draw_for(sound: Waveform, attempt: int, options: WindowOptions) -> Draw:
    """How attempt 0, 1, ... at a sound float32 [n] is drawn."""
    temperature = options.temperatures[attempt]
    if temperature == 0:
        return Draw()
    seed = hashlib.sha256(np.ascontiguousarray(sound).tobytes() + attempt.to_bytes(4, "little"))
    return Draw(temperature, seed.digest())


@dataclass(frozen=True)
class Attempt:
    """What one decode of a sound has said.

    Attributes:
        tokens: generated, without end of text. text: what they say.
        logprobs: of `tokens`, and of end of text where it was reached.
        ended: whether end of text was reached.
    """

    temperature: float
    tokens: tuple[int, ...]
    text: str
    logprobs: tuple[float, ...]
    ended: bool
    no_speech_probability: float

    @property
    def avg_logprob(self) -> float:
        """Mean log-probability per generated token, end of text included."""
        return float(np.mean(self.logprobs)) if self.logprobs else 0.0

    @property
    def compression_ratio(self) -> float:
        """Of the text."""
        return compression_ratio(self.text)


def compression_ratio(text: str) -> float:
    """Bytes of UTF-8 text over bytes after zlib: high when text repeats itself; 0 for none."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def is_good(attempt: Attempt, options: WindowOptions) -> bool:
    """Whether a decode is kept as it is: neither a loop nor a guess, or taken for silence."""
    if attempt.avg_logprob < options.min_avg_logprob:
        return attempt.no_speech_probability > options.no_speech_threshold
    return attempt.compression_ratio <= options.max_compression_ratio


def best(attempts: Sequence[Attempt], options: WindowOptions) -> Attempt:
    """The decode to keep: a good one, else the likeliest of those that do not loop.

    Of several that say the same the first is kept: their log-probabilities differ by rounding
    alone, which may depend on the neighbours in a batch.
    """

    def rank(attempt: Attempt) -> tuple[bool, bool, float]:
        loops = attempt.compression_ratio > options.max_compression_ratio
        return is_good(attempt, options), not loops, attempt.avg_logprob

    distinct = {attempt.tokens: attempt for attempt in reversed(attempts)}
    return max(reversed(distinct.values()), key=rank)
