"""The parts of the check: each a process of its own, which can be ended whatever it does."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from perf.gpu_check.findings import last_lines
from perf.record import ROOT

# A part stops by itself before it is ended: it must not lose the cell that it is in.
GRACE_S = 10.0


@dataclass(frozen=True)
class Part:
    """A part: `function` of a module of this package, called with a setting and `arguments`.

    Attributes:
        seconds: that it may take; an earlier part that took less leaves the rest to `last` ones.
    """

    name: str
    seconds: float
    module: str
    function: str
    arguments: tuple[str, ...] = ()


PARTS = (
    Part("machine", 40, "machine", "look_at_machine"),
    Part("parity", 60, "parity", "compare_tokens"),
    Part("speed turbo bf16", 80, "speed", "measure_speed", ("turbo", "bf16")),
    Part("speed large-v3 bf16", 90, "speed", "measure_speed", ("large-v3", "bf16")),
    Part("attention", 25, "attention", "compare_kernels"),
    Part("voices", 50, "voices", "compare_voices"),
    Part("memory", 40, "pressure", "press"),
    Part("transformers turbo bf16", 110, "peer", "compare", ("turbo",)),
    Part("speed turbo fp16", 60, "speed", "measure_speed", ("turbo", "fp16")),
    Part("speed large-v3 fp16", 60, "speed", "measure_speed", ("large-v3", "fp16")),
)
WHOLE_S = 450.0  # of all parts together; what the last ones need beyond it they do not get


def run_all(
    command: Callable[[Part, Path, float], list[str]],
    folder: Path,
    report: Callable[[Mapping[str, object]], None],
    *,
    parts: tuple[Part, ...] = PARTS,
    whole_s: float = WHOLE_S,
) -> dict[str, object]:
    """Run parts one after the other and report after every one.

    Args:
        command: starts a part that writes its findings to a path within some seconds.
        folder: for these findings.
        report: is given the findings of all parts so far, by name.
        parts: to run, the most important first.
        whole_s: that all may take.
    """
    results: dict[str, object] = {}
    end_s = time.monotonic() + whole_s
    for number, part in enumerate(parts):
        left_s = end_s - time.monotonic()
        if left_s < 2 * GRACE_S:
            results[part.name] = {"state": "not run: no time was left"}
        else:
            path = folder / f"{number}.json"
            limit_s = min(part.seconds, left_s)
            results[part.name] = _run(command(part, path, limit_s - GRACE_S), path, limit_s)
        report(results)
    return results


def _run(command: list[str], path: Path, limit_s: float) -> dict[str, object]:
    """Run one part; what it found by the time it ended, was ended, or fell."""
    start_s = time.monotonic()
    log = path.with_suffix(".log")
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = child.wait(limit_s)
            state = "done" if code == 0 else f"ended with code {code}"
        except subprocess.TimeoutExpired:
            state = f"cut after {limit_s:.0f} s"
        finally:
            with suppress(ProcessLookupError):  # with the compilers that it may have started
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    result: dict[str, object] = {"state": state, "seconds": round(time.monotonic() - start_s, 1)}
    with suppress(OSError, json.JSONDecodeError):
        result["findings"] = json.loads(path.read_text(encoding="utf-8"))
    if state != "done":
        result["log"] = last_lines(log.read_text(encoding="utf-8", errors="replace"))
    return result


def run_part(name: str, path: Path, seconds: float, *, rehearse: bool) -> None:
    """Run a part in this process."""
    end_s = time.monotonic() + seconds
    part = next(part for part in PARTS if part.name == name)
    # Imported here: whatever is wrong with one part's imports is that part's alone.
    setting_module = importlib.import_module("perf.gpu_check.setting")
    findings = importlib.import_module("perf.gpu_check.findings").Findings(path)
    function = getattr(importlib.import_module(f"perf.gpu_check.{part.module}"), part.function)
    setting = setting_module.rehearsal() if rehearse else setting_module.real_setting()
    function(setting, *part.arguments, setting_module.Clock(end_s), findings)
    device = importlib.import_module("perf.gpu_check.device")
    device.clean_up(setting.device)
    findings.note("memory held at the end, MiB", device.held_memory(setting.device))


def part_command(part: Part, path: Path, seconds: float, *, rehearse: bool) -> list[str]:
    """The command that runs a part in a process of its own."""
    command = [sys.executable, "-m", "perf.gpu_check", "--part", part.name]
    command += ["--findings", str(path), "--seconds", str(seconds)]
    return [*command, "--rehearse"] if rehearse else command
