"""A folder of broken files with good ones among them, through a real `submit`."""

import asyncio
import shutil
from collections import Counter
from pathlib import Path

from perf.broken_files import break_all, make_good
from perf.faults.processes import Client, Server
from voiceman.errors import RecordingError
from voiceman_client.decoding import DecoderPool
from voiceman_client.inputs import SUFFIXES

GOOD = 20
PER_KIND = 10  # at most, so that every kind has its part
_SEED = 1
_LIMIT_S = 900.0
_FAILED = 1


def submit_broken(
    server: Server, folder: Path, good: Path, *, goods: int = GOOD, per_kind: int = PER_KIND
) -> tuple[dict[str, int], list[str]]:
    """Submit broken files, and good ones.

    Args:
        server: that runs.
        folder: to work in.
        good: folder of good recordings.
        goods: how many of them to take.
        per_kind: how many files of each kind of damage to take at most.

    Returns:
        Counts of both, and all that was not as it must be.
    """
    mixed, results = folder / "mixed", folder / "mixed-results"
    mixed.mkdir()
    fine = [Path(shutil.copy(path, mixed)) for path in sorted(good.glob("*.wav"))[:goods]]
    broken = asyncio.run(_break(folder, mixed, per_kind))
    client = Client(mixed, results, server.address, server.ports.metrics)
    code = client.process.wait(_LIMIT_S)
    said = client.said.read_text()
    errors = [line for line in said.splitlines() if line.startswith("failed: ")]
    wrong = [] if code == _FAILED else [f"broken files: exit code {code}"]
    names = {path.stem for path in results.glob("*.json")}
    wrong += [f"good, but no result: {path}" for path in fine if path.stem not in names]
    for path in broken:
        told = sum(f"{path}: " in line for line in errors)
        if told != 1:
            wrong.append(f"broken, and said {told} times: {path}")
    if len(errors) != len(broken):
        wrong.append(f"{len(broken)} broken files, {len(errors)} errors")
    return {"broken_files": len(broken), "good_files_among_them": len(fine)}, wrong


async def _break(folder: Path, mixed: Path, per_kind: int) -> list[Path]:
    """Write files of every kind of damage that a decoder refuses when it is asked alone."""
    pool = DecoderPool(1)
    taken: Counter[str] = Counter()
    broken: list[Path] = []
    try:
        for kind, path in break_all(make_good(folder / "good", 1.0), folder / "broken", _SEED):
            if taken[kind] == per_kind or path.suffix not in SUFFIXES:
                continue
            try:
                await pool.decode(path, "auto")
            except RecordingError:
                taken[kind] += 1
                broken.append(Path(shutil.copy(path, mixed)))
    finally:
        await pool.close()
    return broken
