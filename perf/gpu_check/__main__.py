"""The command: see the package."""

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from perf.gpu_check.parts import part_command, run_all, run_part
from perf.gpu_check.report import add_shares, findings_of, markdown
from perf.gpu_check.setting import real_setting
from perf.record import write_result

COMMAND = "python -m perf.gpu_check"
NO_CUDA = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="on the CPU with a small network; nothing is written down, no figure means anything",
    )
    parser.add_argument("--part", help="run one part in this process (used by the command itself)")
    parser.add_argument("--findings", type=Path, help="with --part: where it writes")
    parser.add_argument("--seconds", type=float, default=60.0, help="with --part: its time")
    arguments = parser.parse_args()
    if not arguments.rehearse and not torch.cuda.is_available():
        print(f"{COMMAND}: torch {torch.__version__} finds no CUDA GPU here", file=sys.stderr)
        return NO_CUDA
    if arguments.part:
        run_part(arguments.part, arguments.findings, arguments.seconds, rehearse=arguments.rehearse)
        return 0
    command = partial(part_command, rehearse=arguments.rehearse)
    with tempfile.TemporaryDirectory() as folder:
        results = run_all(command, Path(folder), _say if arguments.rehearse else _write)
    return 0 if all(map(_is_well, results.values())) else 1


def _is_well(result: Mapping[str, Any]) -> bool:
    """Whether a part came to its end and met no error on the way."""
    found = result.get("findings", {}).values()
    return result["state"] == "done" and not any(
        isinstance(value, dict) and "error" in value for value in found
    )


def _say(results: Mapping[str, Any]) -> None:
    """Tell what has become of the latest part."""
    name, result = list(results.items())[-1]
    print(f"{name}: {result['state']}", file=sys.stderr)
    for line in result.get("log", []):
        print(f"    {line}", file=sys.stderr)


def _write(results: Mapping[str, Any]) -> None:
    """Write down all that has been found so far."""
    _say(results)
    shares: dict[str, object] = {}
    try:
        shares = add_shares(results, real_setting().tokens)
        text = markdown(results, shares)
    except Exception:  # noqa: BLE001  # the figures are worth more than their tables
        text = f"No tables:\n\n```\n{traceback.format_exc()}```\n"
    device = findings_of(results, "machine").get("device", {}).get("name", "GPU")
    figures = {"parts": results, "shares_of_the_floor": shares}
    try:
        path = write_result("gpu-check", COMMAND, figures, text, f"Whisper on {device}")
        print(f"    written to {path}", file=sys.stderr)
    except Exception:  # noqa: BLE001  # then at least the terminal has them
        traceback.print_exc()
        print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(main())
