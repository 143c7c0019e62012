"""Memory that is not enough: at the start, in the middle of the work, and for the weights."""

from functools import partial

import torch

from perf.gpu_check.costs import cross_cache_bytes, self_cache_bytes
from perf.gpu_check.device import clean_up, limited_memory
from perf.gpu_check.findings import Findings
from perf.gpu_check.models import SMALL, random_checkpoint, weight_shapes
from perf.gpu_check.setting import Clock, Setting, make_sounds
from perf.gpu_check.speed import answer
from voiceman.serving.whisper.checkpoint import Dimensions
from voiceman.serving.whisper.engine import Engine, EngineSettings

SLOTS = 32
ITEM_BYTES = 2
# For what is not in caches: workspaces, activations, recordings.
SURROUNDINGS_BYTES = 3 * 2**29


def press(setting: Setting, clock: Clock, findings: Findings) -> None:
    """Take memory away and ask for answers."""
    cases = {
        "at the start": partial(_at_the_start, setting),
        "while decoding": partial(_while_decoding, setting),
        "no room for the weights": partial(_no_room, setting),
    }
    for name, case in cases.items():
        if clock.left_s() < 5:
            findings.note(name, "not measured: no time was left")
            continue
        findings.attempt(name, case)
        clean_up(setting.device)


def _weight_bytes(sizes: Dimensions) -> int:
    return ITEM_BYTES * sum(torch.Size(shape).numel() for shape in weight_shapes(sizes).values())


def _slot_bytes(sizes: Dimensions) -> int:
    text = self_cache_bytes(sizes, sizes.text_positions, ITEM_BYTES)
    return cross_cache_bytes(sizes, ITEM_BYTES) + text


def _at_the_start(setting: Setting) -> dict[str, object]:
    """Room for about a third of the slots."""
    device, size = setting.device, setting.sizes["turbo"]
    room = _weight_bytes(size.dimensions) + SLOTS // 3 * _slot_bytes(size.dimensions)
    checkpoint = random_checkpoint(size, device, endless=True)
    with (
        limited_memory(device, room + SURROUNDINGS_BYTES),
        Engine(checkpoint, EngineSettings(slots=SLOTS, precision="bf16"), device) as engine,
    ):
        tokens = answer(engine, make_sounds(4, whole=True), setting.tokens)
        return {"wanted": SLOTS, "slots": engine.slots(), "answers": len(tokens)}


def _while_decoding(setting: Setting) -> dict[str, object]:
    """All slots at first; then nothing more can be had, and what was cached is gone."""
    device = setting.device
    checkpoint = random_checkpoint(setting.sizes["turbo"], device, endless=True)
    sounds = make_sounds(4, whole=True)
    with Engine(checkpoint, EngineSettings(slots=SLOTS, precision="bf16"), device) as engine:
        before, expected = engine.slots(), answer(engine, sounds, setting.tokens)
        with limited_memory(device, 0):
            found = answer(engine, sounds, setting.tokens)
        return {
            "slots_before": before,
            "slots_after": engine.slots(),
            "answers": len(found),
            "equal_answers": sum(a == b for a, b in zip(expected, found, strict=True)),
        }


def _no_room(setting: Setting) -> dict[str, object]:
    """Not even the weights of a small network fit: the CPU answers."""
    device = setting.device
    checkpoint = random_checkpoint(SMALL, torch.device("cpu"), endless=True)
    with (
        limited_memory(device, 0),
        Engine(checkpoint, EngineSettings(slots=2, precision="fp32"), device) as engine,
    ):
        tokens = answer(engine, make_sounds(2, whole=False), 8)
        return {"slots": engine.slots(), "answers": len(tokens)}
