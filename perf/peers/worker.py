"""One engine in a process of its own: a round for every line read, a JSON line for every round.

    python -m perf.peers.worker faster-whisper-batched --threads 2 --only ko,en

Loading the model, reading the sound and a warm-up come first, then a line with the
version of the package.
Nothing but these lines is written to standard output, whatever the engine prints.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

from perf.peers.catalogue import ENGINES
from perf.peers.interface import Peer
from perf.whisper_corpus import Recording, load_corpus
from voiceman.audio import SAMPLE_RATE_HZ

WARM_UP_S = 35


def measure(peer: Peer, recordings: Sequence[Recording]) -> dict[str, Any]:
    """One round: texts, wall and CPU seconds of this process, its greatest memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    texts = peer.transcribe(recordings)
    return {
        "texts": texts,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="languages, separated by commas")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    recordings = load_corpus([name for name in arguments.only.split(",") if name])
    engine = ENGINES[arguments.engine]
    module = import_module(f"perf.peers.{engine.module}")
    peer: Peer = module.ENGINES[arguments.engine](arguments.threads)
    first = recordings[0]
    warm_up = first.waveform[: WARM_UP_S * SAMPLE_RATE_HZ]
    peer.transcribe([Recording(first.language, (warm_up,))])
    print(json.dumps({engine.package: version(engine.package)}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure(peer, recordings)), file=answers, flush=True)


if __name__ == "__main__":
    main()
