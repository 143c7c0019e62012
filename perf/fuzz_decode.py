"""Mutated media files through real decoder processes: nothing may take the client down or hang it.

    python -m perf.fuzz_decode [--count 200000] [--workers 2] [--seed 1]

Good files of a fifth of a second, in every format, are broken in every way that
`perf.broken_files` knows, one to three of them on top of each other, and decoded by the pool of
`voiceman-client submit` with 5 s of time for each. Counted are recordings, flagged ones, errors,
crashes of workers (each costs one file) and files stopped at a limit. Inputs that crash a worker
or meet a limit are kept beside the result's name in the folder `--keep`.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from perf.broken_files import BREAKAGES, make_good
from perf.record import ROOT, table, write_result
from voiceman.errors import RecordingError, RecordingLimitError
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.decoding import DecodeProgress, DecoderPool

COMMAND = "make fuzz-decode"
EXPLANATION = __doc__.split("\n\n")[2].strip()
SECONDS = 0.2
LIMITS = DecodeLimits(start_s=5.0)
GRACE_S = 2.0  # beyond its limit: to end a worker, on a machine that does other things too
MOST_MUTATIONS = 3
# What no decoder gets to see is tried less often.
SHALLOW = {"empty", "false header", "header alone", "playlist", "in a gzip", "in a tar", "in a zip"}
WEIGHTS = [1 if kind in SHALLOW else 10 for kind in BREAKAGES]


@dataclass
class Tally:
    """What happened so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    unforeseen: list[str] = field(default_factory=list)
    late: int = 0


async def decode_one(pool: DecoderPool, path: Path, name: str, tally: Tally) -> str:
    """Decode a file and count what came of it; returns that."""
    began_s, allowed_s = None, LIMITS.start_s  # the wait for a free worker is not the file's

    def follow(progress: DecodeProgress) -> None:
        nonlocal began_s, allowed_s
        began_s = began_s or time.monotonic()
        allowed_s = LIMITS.wall_s(progress.file_bytes, progress.decoded_s)

    try:
        recording = await pool.decode(path, "auto", follow)
        outcome = "flagged" if recording.flags else "read"
    except RecordingLimitError:
        outcome = "limit"
    except RecordingError as err:
        outcome = "crash" if "crashed" in str(err) else type(err).__name__
        if "cannot be decoded (" in str(err) or "nonsense" in str(err):
            outcome = "unforeseen"
            tally.unforeseen.append(f"{name}: {err}")
    took_s = time.monotonic() - began_s if began_s else 0.0
    tally.late += took_s > allowed_s + GRACE_S
    if took_s > tally.slowest_s:
        tally.slowest_s, tally.slowest = took_s, name
    tally.outcomes[outcome] += 1
    return outcome


async def fuzz(count: int, workers: int, seed: int, folder: Path, keep: Path) -> tuple[Tally, int]:
    """Decode `count` mutated files; also returns how many processes that took."""
    good = [(path.name, path.read_bytes()) for path in make_good(folder / "good", SECONDS)]
    pool, tally, numbers = DecoderPool(workers, limits=LIMITS), Tally(), iter(range(count))

    async def work(lane: int) -> None:
        for number in numbers:
            rng = random.Random(seed * 1_000_003 + number)
            source, content = rng.choice(good)
            kinds = rng.choices(list(BREAKAGES), WEIGHTS, k=rng.randint(1, MOST_MUTATIONS))
            for kind in kinds:
                content = BREAKAGES[kind](content, rng) if content else content
            path = folder / f"{lane}-{source}"
            path.write_bytes(content)
            name = f"{number} ({source}: {', '.join(kinds)})"
            if await decode_one(pool, path, name, tally) in {"crash", "limit", "unforeseen"}:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{number}-{source}").write_bytes(content)
            if number % 1000 == 999:
                print(number + 1, dict(tally.outcomes), f"{pool.started} processes", flush=True)

    try:
        await asyncio.gather(*(work(lane) for lane in range(workers)))
    finally:
        await pool.close()
    return tally, pool.started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000, help="inputs")
    parser.add_argument("--workers", type=int, default=2, help="decoder processes")
    parser.add_argument("--seed", type=int, default=1, help="other inputs for another seed")
    parser.add_argument("--keep", type=Path, default=ROOT / "results" / "fuzz", help="folder")
    parser.add_argument("--no-result", action="store_true", help="write no file of results")
    given = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        tally, started = asyncio.run(
            fuzz(given.count, given.workers, given.seed, Path(name), given.keep)
        )
    figures = {
        "inputs": given.count,
        "seed": given.seed,
        "outcomes": dict(tally.outcomes.most_common()),
        "client_crashes": 0,  # this line would not have been reached
        "past_the_limit": tally.late,
        "slowest_s": round(tally.slowest_s, 2),
        "slowest_input": tally.slowest,
        "processes_started": started,
        "wall_s": round(time.monotonic() - began_s, 1),
        "unforeseen": tally.unforeseen[:20],
    }
    rows = [(key, value) for key, value in figures.items() if key not in {"outcomes"}]
    text = f"{EXPLANATION}\n\n{table(('outcome', 'inputs'), tally.outcomes.most_common())}\n"
    text += table(("figure", "value"), rows)
    print(text)
    if not given.no_result:
        path = write_result("fuzz-decode", COMMAND, figures, text, "Fuzzing of the decoder")
        print(path.relative_to(ROOT))
    if tally.late or tally.unforeseen:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
