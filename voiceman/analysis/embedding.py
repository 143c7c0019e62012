"""From utterances to speaker embeddings: what is cut, what is batched, what is refused.

Where several people talk at once, an embedding is nobody's: of every utterance only what one
person says alone is embedded. Utterances are disjoint, so no second is ever embedded twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.analysis.cutting import NOTHING, cut_utterance
from voiceman.analysis.fbank import HOP_SAMPLES, log_mel_features
from voiceman.analysis.overlap import Spans, find_overlaps
from voiceman.analysis.utterances import check_turns
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, Waveform
from voiceman.contracts import SPEAKER_EMBEDDING_SIZE

Floats = npt.NDArray[np.float32]
# Features [b, t, 80] of b utterances of one length to embeddings [b, 192].
Network = Callable[[Floats], Floats]

# Shorter cuts say more about the sound spoken than about the speaker. Uncalibrated.
MIN_UTTERANCE_S = 0.3
# Utterances are cut to whole steps, so that equal lengths meet in a batch. Equal they must be:
# padded to a longer neighbour, an utterance's embedding turns by up to 13 degrees (cosine
# 0.976), because every convolution mirrors the end of its input.
LENGTH_STEP_S = 0.05
_LENGTH_STEP_SAMPLES = int(LENGTH_STEP_S * SAMPLE_RATE_HZ)
# Bounds the memory of one run: about 0.2 MB of activations per frame.
MAX_BATCH_FRAMES = 6_000


@dataclass(frozen=True)
class Embeddings:
    """The speaker embeddings of one window.

    Attributes:
        vectors: [u, 192], unit length; NaN where there is none.
        missing: why, by utterance index.
    """

    vectors: Floats
    missing: dict[int, str]


def embed_utterances(
    waveforms: Sequence[Int16Waveform],
    utterances: Sequence[Floats],
    turns: Sequence[Floats | None],
    network: Network,
) -> list[Embeddings]:
    """Embed the utterances of several windows.

    An embedding depends on its utterance alone, whatever else is in the batch.

    Args:
        waveforms: INT16 [n] of every window.
        utterances: [u, 2] start and end in seconds, for every window.
        turns: [t, 2] start and end in seconds, for every window; None: nobody knows who talks
            at once.
        network: ECAPA-TDNN.

    Raises:
        InvalidRequestError: a turn is not a number.
    """
    found = [
        Embeddings(np.full((len(spans), SPEAKER_EMBEDDING_SIZE), np.nan, np.float32), {})
        for spans in utterances
    ]
    by_length: dict[int, list[tuple[int, int, Waveform]]] = {}
    windows = zip(waveforms, utterances, turns, strict=True)
    for window, (waveform, spans, known) in enumerate(windows):
        overlaps = _overlaps(known)
        for index, span in enumerate(spans):
            cut = _whole_steps(cut_utterance(waveform, span, MIN_UTTERANCE_S, overlaps))
            if isinstance(cut, str):
                found[window].missing[index] = cut
            else:
                by_length.setdefault(len(cut), []).append((window, index, cut))
    for length, cuts in sorted(by_length.items()):
        size = max(1, MAX_BATCH_FRAMES * HOP_SAMPLES // length)
        for batch in (cuts[i : i + size] for i in range(0, len(cuts), size)):
            vectors = _normalise(network(np.stack([log_mel_features(cut) for *_, cut in batch])))
            for (window, index, _), vector in zip(batch, vectors, strict=True):
                found[window].vectors[index] = vector
                if not np.isfinite(vector).all():
                    found[window].missing[index] = "the embedding is not finite"
    return found


def _overlaps(turns: Floats | None) -> Spans:
    if turns is None:
        return NOTHING
    check_turns(turns)
    return find_overlaps(turns)


def _whole_steps(cut: Waveform | str) -> Waveform | str:
    """A cut in whole length steps; a reason stays a reason."""
    if isinstance(cut, str):
        return cut
    return cut[: len(cut) // _LENGTH_STEP_SAMPLES * _LENGTH_STEP_SAMPLES]


def _normalise(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
