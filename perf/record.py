"""How a result is written down: figures beside the machine, the commit and the command.

Every benchmark in this folder ends with `write_result`; speeds mean something only as ratios
within one file, because they were measured in one run.
"""

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "perf" / "results"
PACKAGES = ("torch", "transformers", "numpy", "tritonclient", "nvidia-pytriton")


def machine_name() -> str:
    """What kind of machine this is, without its name: "x86_64-2core"."""
    return f"{platform.machine()}-{len(os.sched_getaffinity(0))}core"


def commit() -> str:
    """Short hash of the commit; "+" follows when files differ from it, results left out."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", ":!perf/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def write_result(
    name: str, command: str, figures: Mapping[str, object], text: str, title: str
) -> Path:
    """Write `<date>-<machine>-<name>.json` and the same for people as `.md`.

    Args:
        name: what was measured, as part of the file name.
        command: the command that measures it again.
        figures: the results, as JSON values.
        text: Markdown below the heading, usually a `table`.
        title: heading of the Markdown file.

    Returns:
        The path of the JSON file.
    """
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    origin = {
        "date": today,
        "machine": machine_name(),
        "processor": _processor(),
        "commit": commit(),
        "command": command,
        "versions": {package: _version(package) for package in PACKAGES},
    }
    path = RESULTS / f"{today}-{machine_name()}-{name}.json"
    path.parent.mkdir(exist_ok=True)
    whole = {**origin, "results": figures}
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    head = (
        f"# {title}\n\n`{command}` at commit {origin['commit']}, {today}, "
        f"{origin['machine']} ({origin['processor']}).\n\n"
    )
    path.with_suffix(".md").write_text(head + text, encoding="utf-8")
    return path


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
