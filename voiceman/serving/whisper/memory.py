"""Memory is short: fewer windows in flight; none left: fewer slots, or else the CPU."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from voiceman.errors import ModelMemoryError
from voiceman.serving.guard import SPEECH_TO_TEXT, Guard, fewer
from voiceman.serving.memory import give_back, is_out_of_memory, meter_of
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.layers import Network, build_network
from voiceman.serving.whisper.precision import Precision, choose_precision

log = logging.getLogger(__name__)
T = TypeVar("T")

CPU = torch.device("cpu")


def fit_batch(
    checkpoint: Checkpoint, precision: Precision, slots: int, device: torch.device
) -> Batch:
    """A batch that is warmed up, with as many slots as there is memory for.

    Args:
        checkpoint: the weights.
        precision: in which the device computes.
        slots: at most this many.
        device: where; if not even one slot fits beside the weights, it is the CPU instead.
    """
    network = _attempt(lambda: build_network(checkpoint, precision, device), "the weights", device)
    return _fit(checkpoint, network or _on_the_cpu(checkpoint, precision), slots, wanted=slots)


def fixed_batch(
    checkpoint: Checkpoint, precision: Precision, slots: int, device: torch.device
) -> Batch:
    """A batch of one shape that is warmed up, with all of its slots on this device.

    Raises:
        ModelMemoryError: there is no room for them.
    """
    try:
        batch = Batch(checkpoint, build_network(checkpoint, precision, device), slots, fixed=True)
        batch.warm_up()
    except RuntimeError as err:
        if not is_out_of_memory(err):
            raise
        raise ModelMemoryError(
            f"whisper: no memory for {slots} slots on {device}, and the profile reproducible "
            "takes neither fewer nor another device; set fewer in its config.pbtxt"
        ) from err
    return batch


def smaller(batch: Batch) -> Batch:
    """What takes the place of a batch that ran out of memory.

    The old batch gives its memory back first, so whatever was in its slots is lost and must be
    encoded again.

    Raises:
        ModelMemoryError: the batch's shape is fixed; it may go on as it is.
    """
    if batch.fixed:
        give_back()
        raise ModelMemoryError(
            f"whisper: no memory left on {batch.device}, and under the profile reproducible no "
            "batch is made smaller; send the request again"
        )
    slots = batch.slots
    batch.release()
    give_back()
    return _fit(batch.checkpoint, batch.network, fewer(slots), wanted=slots)


def guard_of(batch: Batch) -> Guard:
    """What says how many slots of a batch may be taken: all, unless memory is short."""
    stage = replace(
        SPEECH_TO_TEXT,
        items=batch.slots,
        most=batch.slots,
        mb_per_item=batch.caches.nbytes / 1e6 / batch.slots,
    )
    return Guard("whisper", stage, meter_of(str(batch.device)))


def _fit(checkpoint: Checkpoint, network: Network, slots: int, *, wanted: int) -> Batch:
    device = network.embedding.device
    while slots > 0:
        found = _attempt(lambda n=slots: _warm(checkpoint, network, n), f"{slots} slots", device)
        if found is not None:
            if slots < wanted:
                log.warning("%d of %d slots fit into the memory of %s", slots, wanted, device)
            return found
        slots = fewer(slots)
    return _warm(checkpoint, _on_the_cpu(checkpoint, network.precision), wanted)


def _warm(checkpoint: Checkpoint, network: Network, slots: int) -> Batch:
    batch = Batch(checkpoint, network, slots)
    batch.warm_up()
    return batch


def _on_the_cpu(checkpoint: Checkpoint, precision: Precision) -> Network:
    """In fp32 if that was asked for, else in the CPU's fast precision."""
    name = "fp32" if precision.name == "fp32" else "int8"
    log.warning("Whisper does not fit into the memory; it runs on the CPU in %s, slowly", name)
    return build_network(checkpoint, choose_precision(name, CPU), CPU)


def _attempt(build: Callable[[], T], what: str, device: torch.device) -> T | None:
    """What is built; None, with a warning, if there is no memory for it."""
    try:
        return build()
    except RuntimeError as err:
        if not is_out_of_memory(err):
            raise
        log.warning("%s: no memory for %s (%s)", device, what, str(err).partition("\n")[0])
    # Only here, where the error is gone, is what its traceback held free as well.
    give_back()
    return None
