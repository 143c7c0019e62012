"""The device side of the engine: network, caches and rows behind five plain calls.

Other precisions, captured graphs and other devices take their place behind this class; who
is in which slot, and why, is the engine's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from voiceman.audio import Waveform
from voiceman.serving.whisper.alignment import Matrix, normalise
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.features import log_mel
from voiceman.serving.whisper.layers import Network
from voiceman.serving.whisper.network import (
    alignment_scores,
    encode,
    fill_cross_cache,
    new_caches,
)
from voiceman.serving.whisper.rows import RowStart, begin, new_rows, step
from voiceman.serving.whisper.rules import rule_table

ENCODER_BATCHES = (8, 4, 2, 1)  # the shapes that the encoder sees, largest first
LENGTH_BUCKET = 64  # the self cache is read up to a multiple of this


@dataclass(frozen=True)
class Placement:
    """A window that enters a slot: samples [n] of up to 30 s, and how its row begins."""

    slot: int
    sound: Waveform
    start: RowStart


@dataclass(frozen=True)
class RowOutput:
    """What a finished row has said.

    Attributes:
        tokens, logprobs: everything generated, end of text included.
        language: index among the checkpoint's languages; -1: it was not to be detected.
    """

    tokens: list[int]
    logprobs: list[float]
    language: int
    language_probability: float
    no_speech_probability: float


class Batch:
    """A fixed number of slots on one device."""

    def __init__(self, checkpoint: Checkpoint, network: Network, slots: int) -> None:
        """Allocate everything that will be needed; nothing grows later."""
        sizes, device = checkpoint.dimensions, network.embedding.device
        self._checkpoint = checkpoint
        self._device = device
        self._network = network
        self._caches = new_caches(self._network, slots)
        self._rows = new_rows(slots, sizes.text_positions, device)
        self._table = rule_table(checkpoint.special, sizes.vocabulary, device)

    def place(self, placements: Sequence[Placement]) -> None:
        """Encode sounds and begin their rows; whatever the slots held is overwritten."""
        at = 0
        while at < len(placements):
            size = next(size for size in ENCODER_BATCHES if size <= len(placements) - at)
            self._place_batch(placements[at : at + size])
            at += size

    def _place_batch(self, batch: Sequence[Placement]) -> None:
        mel_bins = self._checkpoint.dimensions.mel_bins
        mel = log_mel([placement.sound for placement in batch], mel_bins, self._device)
        audio = encode(self._network, mel)
        slots = torch.tensor([placement.slot for placement in batch], device=self._device)
        fill_cross_cache(self._network, self._caches, audio, slots)
        for placement in batch:
            begin(self._rows, placement.slot, placement.start)

    def run(self, count: int, steps: int, furthest: int) -> list[bool]:
        """Run steps of the first slots and look.

        Args:
            count: slots to compute; the highest busy one plus 1.
            steps: how many, without a look in between.
            furthest: the most steps that any of these rows has made since it began.

        Returns:
            Which of the slots are done.
        """
        rows, positions = self._rows.first(count), self._checkpoint.dimensions.text_positions
        for made in range(furthest, furthest + steps):
            length = min((made // LENGTH_BUCKET + 1) * LENGTH_BUCKET, positions)
            step(self._network, self._caches, self._table, rows, length)
        return rows.done.tolist()

    def output(self, slot: int) -> RowOutput:
        """What the row in a slot has said so far."""
        rows = self._rows
        first = int(rows.prompt_length[slot])
        last = first + int(rows.generated[slot])
        return RowOutput(
            tokens=rows.sequence[slot, first:last].tolist(),
            logprobs=rows.logprobs[slot, first:last].tolist(),
            language=int(rows.language[slot]),
            language_probability=float(rows.language_probability[slot]),
            no_speech_probability=float(rows.no_speech_probability[slot]),
        )

    def attention(
        self, slot: int, prompt: Sequence[int], text: Sequence[int], frames: int
    ) -> Matrix:
        """Normalised attention [len(text) + 1, frames] of text tokens and end of text.

        Args:
            slot: still holds the window.
            prompt: ends with <|notimestamps|>.
            text: text tokens, no timestamps.
            frames: 20 ms frames that hold sound.
        """
        tokens = [*prompt, *text, self._checkpoint.special.end_of_text]
        scores = alignment_scores(
            self._network,
            self._caches,
            slot,
            torch.tensor(tokens, device=self._device),
            self._checkpoint.alignment_heads,
        )
        # A token's row is that of the position which predicts it.
        return normalise(scores, frames)[len(prompt) - 1 : -1].cpu().numpy()

    def stop(self, slot: int) -> None:
        """Let the row in a slot stand still."""
        self._rows.done[slot] = True
