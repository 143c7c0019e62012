"""How fast: a step and an encoder pass alone, and windows through the whole engine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from perf.gpu_check.device import clean_up, forget_peak, peak_memory, seconds_per_run
from perf.gpu_check.findings import Findings
from perf.gpu_check.models import random_checkpoint
from perf.gpu_check.setting import WINDOW_S, Clock, Setting, make_sounds
from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.graphs import Work, recorder
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.buckets import smallest_holding
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.network import decode_step
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.window import Window

ANSWER_TIMEOUT_S = 90.0
PROMPT_STEPS = 4  # forced tokens before the first generated one


@dataclass(frozen=True)
class Case:
    """One cell of the table: a network in a precision with a number of slots."""

    setting: Setting
    checkpoint: Checkpoint
    precision: str
    slots: int


def measure_speed(
    setting: Setting, name: str, precision: str, clock: Clock, findings: Findings
) -> None:
    """Measure a network with every number of slots."""
    checkpoint = random_checkpoint(setting.sizes[name], setting.device, endless=True)
    sounds = make_sounds(8, whole=True)
    needed_s = 0.0
    for slots in setting.batches:
        if clock.left_s() < needed_s:
            findings.note(str(slots), f"not measured: {clock.left_s():.0f} s were left")
            continue
        start_s = time.monotonic()
        case = Case(setting, checkpoint, precision, slots)
        findings.attempt(str(slots), partial(_measure, case, sounds))
        clean_up(setting.device)
        needed_s = 1.3 * (time.monotonic() - start_s)


def _measure(case: Case, sounds: Sequence[Waveform]) -> dict[str, object]:
    setting, slots = case.setting, case.slots
    alone = time_alone(case)
    window_s = (
        alone["encoder_pass_s"] / alone["encoder_windows"]
        + (setting.tokens + PROMPT_STEPS) * alone["step_s"] / slots
    )
    count = min(max(round(setting.cell_s / window_s), 3, slots), max(8, 8 * slots))
    windows = [sounds[index % len(sounds)] for index in range(count)]
    forget_peak(setting.device)
    engine = _through_engine(case, windows)
    return {**alone, **engine, "peak_memory": peak_memory(setting.device)}


def time_alone(case: Case) -> dict[str, float]:
    """Seconds on the device, recorded: a step, its network without the rules, an encoder pass."""
    setting, slots = case.setting, case.slots
    device = setting.device
    with torch.inference_mode():
        network = build_network(case.checkpoint, choose_precision(case.precision, device), device)
        batch = Batch(case.checkpoint, network, slots)
        (short, long), windows = _lengths(batch), max(batch.encoder.passes)
        nothing = torch.zeros(slots, dtype=torch.int64, device=device)

        def compute_network() -> None:
            decode_step(network, batch.caches, nothing, nothing, short)

        record = recorder(batch.stepping)
        # All are kept until the end: recordings of one lane must end together.
        works: list[Work] = [record(batch.steps[slots, length]) for length in (long, short)]
        works.append(record(compute_network))
        works.append(recorder(batch.encoder.lane)(batch.encoder.passes[windows]))
        runs = setting.runs
        found = {
            "step_s": seconds_per_run(batch.stepping, works[1], runs),
            "step_length": short,
            "long_step_s": seconds_per_run(batch.stepping, works[0], runs),
            "long_step_length": long,
            "network_of_step_s": seconds_per_run(batch.stepping, works[2], runs),
            "encoder_pass_s": seconds_per_run(batch.encoder.lane, works[3], max(2, runs // 10)),
            "encoder_windows": windows,
        }
        batch.release()
    return found


def _lengths(batch: Batch) -> tuple[int, int]:
    """The length of the self cache that a window of 120 tokens needs, and the longest."""
    lengths = sorted({length for _, length in batch.steps})
    return smallest_holding(lengths, 120 + PROMPT_STEPS), lengths[-1]


def _through_engine(case: Case, sounds: Sequence[Waveform]) -> dict[str, object]:
    """Windows in flight, all of the same number of tokens, word times included."""
    setting = case.setting
    line = max(4, min(8, case.slots))  # as many as the encoder takes at once
    settings = EngineSettings(slots=case.slots, line=line, precision=case.precision)
    start_s = time.perf_counter()
    with Engine(case.checkpoint, settings, setting.device) as engine:
        ready_s = time.perf_counter() - start_s
        answer(engine, sounds[:1], setting.tokens)
        start_s = time.perf_counter()
        tokens = answer(engine, sounds, setting.tokens)
        wall_s = time.perf_counter() - start_s
        return {
            "slots": engine.slots(),
            "windows": len(sounds),
            "tokens": sorted({len(each) for each in tokens}),
            "wall_s": wall_s,
            "rtfx": WINDOW_S * len(sounds) / wall_s,
            "ready_s": ready_s,
        }


def answer(engine: Engine, sounds: Sequence[Waveform], tokens: int) -> list[tuple[int, ...]]:
    """Decode windows to a number of tokens each."""
    options = WindowOptions(timestamps=False, max_new_tokens=tokens, temperatures=(0.0,))
    futures = [engine.submit(Window(sound, "en", options)) for sound in sounds]
    return [future.result(timeout=ANSWER_TIMEOUT_S).tokens[0] for future in futures]
