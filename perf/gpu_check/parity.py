"""Whether what is recorded, batched and rounded says the same as what is not."""

import gc
from collections.abc import Sequence
from functools import partial

import torch

from perf.gpu_check.device import clean_up
from perf.gpu_check.findings import Findings
from perf.gpu_check.models import SMALL, random_checkpoint
from perf.gpu_check.peer import build_peer, generate
from perf.gpu_check.setting import Clock, Setting, make_sounds
from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.encoder import Placement
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.features import log_mel, mel_transform, pad
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.prompt import task_prompt
from voiceman.serving.whisper.rows import RowStart
from voiceman.serving.whisper.window import Window

SLOTS = 5  # no power of two: the largest recorded shape is not a round one
LIMIT = 60
STEPS = 4

Tokens = list[list[int]]


def compare_tokens(setting: Setting, clock: Clock, findings: Findings) -> None:
    """Decode the same windows in every way and compare the tokens."""
    torch.backends.cudnn.allow_tf32 = False  # fp32 is the oracle here: no 10-bit products
    device = setting.device
    checkpoint = random_checkpoint(SMALL, device, endless=False)
    sounds = make_sounds(setting.windows, whole=False)
    oracle = decode(checkpoint, "fp32", sounds, device, recorded=False)
    findings.note("windows", len(sounds))
    findings.note("different texts among the windows", len({tuple(each) for each in oracle}))

    def against(name: str, *, recorded: bool) -> dict[str, object]:
        return agreement(oracle, decode(checkpoint, name, sounds, device, recorded=recorded))

    def in_flight() -> dict[str, object]:
        plain = [index for index in range(len(sounds)) if not _with_timestamps(index)]
        found = _decode_in_flight(checkpoint, [sounds[index] for index in plain], device)
        return agreement([oracle[index] for index in plain], found)

    findings.attempt("fp32, recorded, against eager", partial(against, "fp32", recorded=True))
    findings.attempt("fp32, in flight, against eager", in_flight)
    findings.attempt(
        "fp32 against transformers",
        lambda: agreement(_peer_tokens(checkpoint, sounds, device), oracle),
    )
    for name in setting.precisions:
        if clock.left_s() < 5:
            findings.note(name, "not measured: no time was left")
            continue
        findings.attempt(f"{name}, recorded, against fp32", partial(against, name, recorded=True))
        findings.attempt(f"{name}, eager, against fp32", partial(against, name, recorded=False))


def agreement(expected: Tokens, found: Tokens) -> dict[str, object]:
    """How many windows are the same, and which share of tokens at the same position is."""
    pairs = list(zip(expected, found, strict=True))
    same = sum(sum(a == b for a, b in zip(*pair, strict=False)) for pair in pairs)
    most = sum(max(map(len, pair)) for pair in pairs)
    return {
        "windows": len(pairs),
        "equal_windows": sum(a == b for a, b in pairs),
        "equal_tokens": same / most if most else 1.0,
        "different": [index for index, (a, b) in enumerate(pairs) if a != b],
    }


def _with_timestamps(index: int) -> bool:
    return index % 3 != 0


def decode(
    checkpoint: Checkpoint,
    precision: str,
    sounds: Sequence[Waveform],
    device: torch.device,
    *,
    recorded: bool,
) -> Tokens:
    """Tokens of windows, a few at a time, every third without timestamps."""
    with torch.inference_mode():
        network = build_network(checkpoint, choose_precision(precision, device), device)
        batch = Batch(checkpoint, network, SLOTS)
        if recorded:
            batch.warm_up()
        tokens: Tokens = []
        for first in range(0, len(sounds), SLOTS):
            tokens += _decode_together(checkpoint, batch, sounds[first : first + SLOTS], first)
        batch.release()
    clean_up(device)
    return tokens


def _decode_together(
    checkpoint: Checkpoint, batch: Batch, sounds: Sequence[Waveform], first: int
) -> Tokens:
    special = checkpoint.special
    placements: list[Placement] = []
    for slot, sound in enumerate(sounds):
        timestamps = _with_timestamps(first + slot)
        prompt = [*task_prompt(special, "en"), *([] if timestamps else [special.no_timestamps])]
        start = RowStart(prompt, 0, detect_language=False, with_timestamps=timestamps, limit=LIMIT)
        placements.append(Placement(slot, sound, start))
    batch.encode(placements).wait()
    batch.begin(placements)
    for made in range(0, LIMIT + len(placements[0].start.prompt) + STEPS, STEPS):
        if all(batch.launch(len(sounds), STEPS, made).done()):
            break
    else:
        raise RuntimeError(f"rows are not done after {made + STEPS} steps for {LIMIT} tokens")
    outputs = [batch.output(slot).tokens for slot in range(len(sounds))]
    return [[token for token in tokens if token != special.end_of_text] for tokens in outputs]


def _decode_in_flight(
    checkpoint: Checkpoint, sounds: Sequence[Waveform], device: torch.device
) -> Tokens:
    options = WindowOptions(timestamps=False, max_new_tokens=LIMIT, temperatures=(0.0,))
    with Engine(checkpoint, EngineSettings(slots=2, precision="fp32"), device) as engine:
        futures = [engine.submit(Window(sound, "en", options)) for sound in sounds]
        return [list(future.result(timeout=60).tokens[0]) for future in futures]


def _peer_tokens(
    checkpoint: Checkpoint, sounds: Sequence[Waveform], device: torch.device
) -> Tokens:
    """What transformers says, one window at a time."""
    model = build_peer(checkpoint, device, torch.float32)
    transform = mel_transform(checkpoint.dimensions.mel_bins, device)
    tokens: Tokens = []
    for index, sound in enumerate(sounds):
        mel = log_mel(pad([sound]).to(device), transform)
        tokens += generate(model, mel, LIMIT, timestamps=_with_timestamps(index))
    del model
    gc.collect()
    return tokens
