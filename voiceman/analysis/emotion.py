"""From utterances to emotions: what is cut, what meets in a batch, what is pooled.

The same for both emotion models. An utterance's result depends on the utterance alone: the
length of every network input is a function of that utterance, never of its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voiceman.analysis.cutting import cut_utterance
from voiceman.analysis.network_inputs import Floats, Network, batches, normalise
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, Waveform

# A syllable has no mood: the training utterances are 2 s and longer. Uncalibrated.
MIN_UTTERANCE_S = 0.5
# MSP-Podcast's turns are at most 11 s long (Lotfian & Busso 2017); longer utterances are
# analysed in overlapping pieces of this length, and the results averaged.
MAX_PIECE_S = 12.0
OVERLAP_S = 2.0
MAX_BATCH_PIECES = 8  # the requirements' default batch


@dataclass(frozen=True)
class Emotions:
    """The outputs of an emotion network for one window.

    Attributes:
        values: [u, k], NaN where there is none.
        missing: why, by utterance index.
    """

    values: Floats
    missing: dict[int, str]


@dataclass(frozen=True)
class _Piece:
    window: int
    utterance: int
    samples: Waveform


def analyse_utterances(
    waveforms: Sequence[Int16Waveform],
    utterances: Sequence[Floats],
    network: Network,
    *,
    outputs: int,
    variance_floor: float,
) -> list[Emotions]:
    """Run an emotion network over the utterances of several windows.

    Args:
        waveforms: INT16 [n] of every window.
        utterances: [u, 2] start and end in seconds, for every window.
        network: the exported network, to [b, k].
        outputs: how many numbers it gives per utterance, k.
        variance_floor: of its normalised input.
    """
    found = [
        Emotions(np.full((len(spans), outputs), np.nan, np.float32), {}) for spans in utterances
    ]
    cuts: list[_Piece] = []
    for window, (waveform, spans) in enumerate(zip(waveforms, utterances, strict=True)):
        for index, span in enumerate(spans):
            cut = cut_utterance(waveform, span, MIN_UTTERANCE_S)
            if isinstance(cut, str):
                found[window].missing[index] = cut
                continue
            cuts += [
                _Piece(window, index, normalise(piece, variance_floor)) for piece in pieces(cut)
            ]
    sums: dict[tuple[int, int], list[Floats]] = {}
    for batch in batches([piece.samples for piece in cuts], MAX_BATCH_PIECES):
        outputs_of_batch = network(batch.samples, batch.lengths)
        for number, output in zip(batch.indices, outputs_of_batch, strict=True):
            piece = cuts[number]
            sums.setdefault((piece.window, piece.utterance), []).append(output)
    for (window, index), parts in sums.items():
        value = np.mean(parts, axis=0, dtype=np.float64)
        if np.isfinite(value).all():
            found[window].values[index] = value
        else:
            found[window].missing[index] = "the network's output is not finite"
    return found


def pieces(samples: Waveform) -> list[Waveform]:
    """An utterance, or overlapping pieces of equal length that cover it."""
    longest = int(MAX_PIECE_S * SAMPLE_RATE_HZ)
    if len(samples) <= longest:
        return [samples]
    step = longest - int(OVERLAP_S * SAMPLE_RATE_HZ)
    count = -(-(len(samples) - longest) // step) + 1
    starts = np.linspace(0, len(samples) - longest, count).round().astype(int)
    return [samples[start : start + longest] for start in starts]
