"""A processing rate that falls under equal load: throttling that no sensor shows.

GB10 boxes were seen to fall into slow states that NVML does not report. What windows give (seconds
of audio for each second that one of them was in flight) is compared with what the same load gave
before. Loads are equal when they lie in the same quarter of the window in flight.
"""

from dataclasses import dataclass, replace

# Windows differ by half of their mean length: 64 of them tell a rate to 6 %, so that a fall by a
# quarter is no chance.
_BLOCK_WINDOWS = 64
_BLOCK_S = 60.0
_LEARN_BLOCKS = 3
_KEPT_BLOCKS = 10  # the usual is a mean over about so many
_LOADS = 5  # 0 to 12.5 % busy, to 37.5, to 62.5, to 87.5, to 100


@dataclass(frozen=True)
class Usual:
    """What one load gives: seconds of audio per second in flight, over so many blocks."""

    rate: float = 0.0
    blocks: int = 0


@dataclass(frozen=True)
class Block:
    """Some time under one load.

    Attributes:
        load: the quarter; -1: none yet.
        seconds: for how long.
        in_flight_s: seconds in flight, of all windows.
        audio_s: seconds of audio answered.
        windows: answered.
    """

    load: int = -1
    seconds: float = 0.0
    in_flight_s: float = 0.0
    audio_s: float = 0.0
    windows: int = 0


@dataclass(frozen=True)
class Drift:
    """How the processing rate moves.

    Attributes:
        usual: of each load.
        block: what is being gathered.
        fallen: share by which the last block was below the usual; 0: not, or nothing to compare.
    """

    usual: tuple[Usual, ...] = (Usual(),) * _LOADS
    block: Block = Block()
    fallen: float = 0.0


def follow(drift: Drift, new: Block, busy: float) -> Drift:
    """Take in what was answered since the last look.

    Args:
        drift: what was known before.
        new: what went through since then; its load does not count.
        busy: mean share of the window in flight that was busy meanwhile, 0 to 1.
    """
    load = round(busy * (_LOADS - 1))
    if load != drift.block.load:
        # What is answered now was sent under the load before.
        return replace(drift, block=Block(load), fallen=0.0)
    block = Block(
        load,
        drift.block.seconds + new.seconds,
        drift.block.in_flight_s + new.in_flight_s,
        drift.block.audio_s + new.audio_s,
        drift.block.windows + new.windows,
    )
    if block.windows < _BLOCK_WINDOWS or block.seconds < _BLOCK_S:
        return replace(drift, block=block, fallen=0.0)
    usual, rate = drift.usual[load], block.audio_s / max(block.in_flight_s, 1e-9)
    known = usual.blocks >= _LEARN_BLOCKS and usual.rate > 0.0
    fallen = max(0.0, 1.0 - rate / usual.rate) if known else 0.0
    blocks = usual.blocks + 1
    mean = usual.rate + (rate - usual.rate) / min(blocks, _KEPT_BLOCKS)
    every = (*drift.usual[:load], Usual(mean, blocks), *drift.usual[load + 1 :])
    return Drift(every, Block(load), fallen)
