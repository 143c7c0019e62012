"""The device and what it reaches at its simplest."""

from dataclasses import asdict

from perf.gpu_check.device import clean_up, describe, measure_reach
from perf.gpu_check.findings import Findings
from perf.gpu_check.setting import Clock, Setting
from voiceman.serving.lanes import new_lane


def look_at_machine(setting: Setting, clock: Clock, findings: Findings) -> None:
    """Name the device, measure a large copy and a large product of matrices."""
    device = setting.device
    findings.note("time_for_it_s", clock.left_s())
    findings.attempt("device", lambda: describe(device))
    findings.attempt(
        "reach",
        lambda: asdict(
            measure_reach(
                new_lane(device),
                setting.copy_bytes,
                setting.matrix_side,
                setting.precisions,
            )
        ),
    )
    clean_up(device)
