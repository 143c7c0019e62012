"""The device side of the engine: network, caches and rows behind a few plain calls.

Every call hands work over and returns; only `Encoding.wait`, `Look.done`, `output` and
`attention` wait for the device. On CUDA three lanes run side by side: one encodes windows into
free slots, one steps the rows, one reads what finished rows have said. Who is in which slot,
and why, is the engine's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor

from voiceman.serving.graphs import Work, recorder
from voiceman.serving.lanes import Mark, new_lane, settle
from voiceman.serving.whisper.alignment import Matrix, normalise
from voiceman.serving.whisper.buckets import shapes_of
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.encoder import Encoder, Encoding, Placement
from voiceman.serving.whisper.layers import Network
from voiceman.serving.whisper.network import Caches, alignment_scores, new_caches
from voiceman.serving.whisper.packing import pack, row_at, unpack, write
from voiceman.serving.whisper.rows import begin, new_rows, step
from voiceman.serving.whisper.rules import rule_table

HOST = torch.device("cpu")
CUDA_STEPS_PER_LOOK = 4


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


@dataclass(frozen=True, eq=False)
class Look:
    """Steps that were handed over, and a copy of `done` [slots computed] after the last one."""

    flags: Tensor
    mark: Mark

    def done(self) -> list[bool]:
        """Which of the slots are done after these steps; waits for them, not for later ones."""
        self.mark.wait()
        return self.flags.tolist()


class Batch:
    """A fixed number of slots on one device, for one thread, under `torch.inference_mode`.

    A slot is encoded into, begun, stepped until a look shows it as done or until it is stopped,
    and read. Between `encode` and `begin` its row stands still.

    Attributes:
        steps: the work of one step by rows and length of the self cache, done in `stepping`.
        encoder: its passes are done in a lane of its own.
        caches: of all slots.
        fixed: all work has one shape, so that no row depends on its neighbours; see `buckets`.
    """

    def __init__(
        self, checkpoint: Checkpoint, network: Network, slots: int, *, fixed: bool = False
    ) -> None:
        """Allocate everything that stays, on the network's device; nothing of it grows later."""
        sizes, device = checkpoint.dimensions, network.embedding.device
        self.slots = slots
        self.device = device
        self.checkpoint = checkpoint
        self.network = network
        self.fixed = fixed
        self._shapes = shapes_of(device, slots, sizes.text_positions, fixed=fixed)
        self.caches = new_caches(network, slots)
        self._rows = new_rows(slots, sizes.text_positions, device)
        self.stepping = new_lane(device, urgent=True)
        self._reading = new_lane(device)
        self.encoder = Encoder(sizes, network, self.caches, self._shapes.encoder)
        self._encoded: dict[int, Mark] = {}
        table = rule_table(checkpoint.special, sizes.vocabulary, device)
        self.steps: dict[tuple[int, int], Work] = {
            (count, length): partial(
                step, network, self.caches, table, self._rows.first(count), length
            )
            for length in self._shapes.lengths
            for count in self._shapes.rows
        }
        settle(device)  # the lanes see everything that was written until here

    @property
    def encodes_at_once(self) -> int:
        """Windows that one pass of the encoder takes at most."""
        return self._shapes.encoder[-1]

    @property
    def looks_ahead(self) -> int:
        """Launches that should be under way while one is read: the device must not wait."""
        return int(self.stepping.asynchronous)

    @property
    def steps_per_look(self) -> int:
        """Steps between two looks: to look costs nothing on the CPU, a little time on CUDA."""
        return CUDA_STEPS_PER_LOOK if self.stepping.asynchronous else 1

    def warm_up(self) -> None:
        """Record all work that will be replayed; no row may be in flight.

        On the CPU nothing is recorded.
        """
        self.encoder.warm_up()
        record = recorder(self.stepping)
        for shape in reversed(self.steps):  # the largest first: the others reuse its memory
            self.steps[shape] = record(self.steps[shape])
        if self._reading.asynchronous:
            self._rehearse()
        settle(self.device)

    def _rehearse(self) -> None:
        """Do once what is not recorded, so that its memory is found now or never."""
        longest = self.checkpoint.dimensions.text_positions - 2
        frames = self.checkpoint.dimensions.audio_positions
        self.output(0)
        self.attention(0, [0], [0] * longest, frames)
        self.encoder.load_silence(self._shapes.encoder[-1])

    def release(self) -> None:
        """Give back the memory of the slots and recordings; the batch is over."""
        settle(self.device)
        self.steps.clear()
        self.encoder.release()
        self.caches = new_caches(self.network, 0)
        self._rows = new_rows(0, self.checkpoint.dimensions.text_positions, self.device)

    def encode(self, placements: Sequence[Placement]) -> Encoding:
        """Begin to encode windows into their slots; whatever these held is overwritten."""
        encoding = self.encoder.encode(placements)
        self._encoded |= {placement.slot: encoding.mark for placement in placements}
        return encoding

    def begin(self, placements: Sequence[Placement]) -> None:
        """Begin rows, again if need be; their slots are encoded, or will be before they step."""
        values = new_rows(len(placements), self.checkpoint.dimensions.text_positions, HOST)
        for row, placement in enumerate(placements):
            begin(values, row, placement.start)
        for placement in placements:
            mark = self._encoded[placement.slot]
            self.stepping.after(mark)
            self._reading.after(mark)
        with self.stepping.current():
            slots = self.stepping.send(
                torch.tensor([each.slot for each in placements], dtype=torch.int64)
            )
            write(self._rows, slots, unpack(self.stepping.send(pack(values)), values))

    def move(self, source: int, target: int) -> None:
        """Let the row of one slot go on in another; nothing may be under way."""
        for field in fields(Caches):
            cache: Tensor = getattr(self.caches, field.name)
            cache[:, target] = cache[:, source]
        row = row_at(self._rows, source)
        write(self._rows, torch.tensor([target]), unpack(pack(row), row))  # of a copy
        self._encoded[target] = self._encoded.pop(source)
        self.stop(source)

    def launch(self, count: int, steps: int, furthest: int) -> Look:
        """Hand over steps of the first slots.

        Args:
            count: slots to compute; the highest busy one plus 1.
            steps: how many, without a look in between.
            furthest: the most steps that any of these rows has been given since it began.
        """
        with self.stepping.current():
            for made in range(furthest, furthest + steps):
                self.steps[self._shapes.step(count, made)]()
            flags = self.stepping.fetch(self._rows.done[:count])
        return Look(flags, self.stepping.mark())

    def output(self, slot: int) -> RowOutput:
        """What a row has said that a look has shown as done; steps under way go on meanwhile."""
        with self._reading.current():  # a done row stands still, so it can be read beside them
            rows = row_at(self._rows, slot)
            row = unpack(pack(rows).cpu(), rows)
        first = int(row.prompt_length)
        last = first + int(row.generated)
        return RowOutput(
            tokens=row.sequence[0, first:last].tolist(),
            logprobs=row.logprobs[0, first:last].tolist(),
            language=int(row.language),
            language_probability=float(row.language_probability),
            no_speech_probability=float(row.no_speech_probability),
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
        tokens = [*prompt, *text, self.checkpoint.special.end_of_text]
        with self._reading.current():
            scores = alignment_scores(
                self.network,
                self.caches,
                slot,
                self._reading.send(torch.tensor(tokens)),
                self.checkpoint.alignment_heads,
            )
            # A token's row is that of the position which predicts it.
            return normalise(scores, frames)[len(prompt) - 1 : -1].cpu().numpy()

    def stop(self, slot: int) -> None:
        """Let the row in a slot stand still."""
        with self.stepping.current():
            self._rows.done[slot] = True
