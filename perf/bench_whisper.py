"""Whisper here and elsewhere: the same weights, sound, threads, beam and limits, in turn.

    python -m perf.bench_whisper [--threads 2] [--rounds 3] [--only ko,fr] [--engines a,b]

Every engine runs in a process of its own, loads and warms up once, and is idle while another
one is measured; the order turns round after every round. Loading models and decoding files is
left out for all; voice activity detection is included for those that have it (faster-whisper's
batched pipeline its own, voiceman the segmentation network that cuts its windows and finds the
speaker turns). All decode greedily, without fallback and without dropping anything for its
probability, with the language given; batches are of eight windows, for voiceman per driver, of
which it has one a thread. RTFx is seconds of sound per second that passed, CPU-seconds are those
of the process. Characters are without spaces; how many of openai-whisper's were written stands
beside them, because an engine that leaves text out is faster for it.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

from perf.peers.catalogue import ENGINES
from perf.peers.process import EngineProcess, Round
from perf.record import ROOT, table, write_result
from perf.texts import characters
from perf.whisper_corpus import load_corpus

EXPLANATION = __doc__.split("\n\n")[2].strip()
COMMAND = "make bench-whisper"
LANGUAGES = ("ko", "en", "es")  # the longest of the corpus: ten minutes of conversation
REFERENCE = "openai-whisper"
MEASURED = (
    "voiceman-int8",
    "voiceman-fp32",
    "faster-whisper-batched",
    "faster-whisper-sequential",
    "transformers-fixed",
    "transformers-timestamps",
    REFERENCE,
)


def summarise(rounds: Sequence[Round], audio_s: float) -> dict[str, Any]:
    """The figures of one engine: medians and the best of its rounds."""
    walls, cpus = [r.wall_s for r in rounds], [r.cpu_s for r in rounds]
    return {
        "rtfx_median": round(audio_s / median(walls), 2),
        "rtfx_best": round(audio_s / min(walls), 2),
        "cpu_s_per_audio_s_median": round(median(cpus) / audio_s, 4),
        "cpu_s_per_audio_s_best": round(min(cpus) / audio_s, 4),
        "characters": characters(rounds[-1].texts),
        "same_text_in_all_rounds": len({r.texts for r in rounds}) == 1,
        "peak_rss_mb": round(max(r.peak_rss_mb for r in rounds)),
        "wall_s": [round(wall, 2) for wall in walls],
        "cpu_s": [round(cpu, 2) for cpu in cpus],
    }


def in_turn(names: Sequence[str], rounds: int) -> list[list[str]]:
    """The order of every round: forwards, backwards, forwards."""
    return [list(names) if number % 2 == 0 else list(names)[::-1] for number in range(rounds)]


def measure(
    workers: Mapping[str, EngineProcess], rounds: int, audio_s: float
) -> dict[str, dict[str, Any]]:
    """All rounds of all engines, one at a time."""
    found: dict[str, list[Round]] = {name: [] for name in workers}
    for order in in_turn(list(workers), rounds):
        for name in order:
            one = workers[name].round()
            found[name].append(one)
            print(f"{name}: {one.wall_s:.1f} s, {one.cpu_s:.1f} CPU-s", flush=True)
    return {name: summarise(own, audio_s) for name, own in found.items()}


def as_text(engines: Mapping[str, Mapping[str, Any]], corpus: Mapping[str, float]) -> str:
    """The tables for people."""
    spoken = ", ".join(f"{language} {seconds:.0f} s" for language, seconds in corpus.items())
    reference = engines.get(REFERENCE, {}).get("characters")
    columns = ("engine", "RTFx median", "best", "CPU-s per audio s", "best", "characters")
    rows = [
        [
            ENGINES[name].title,
            f["rtfx_median"],
            f["rtfx_best"],
            f["cpu_s_per_audio_s_median"],
            f["cpu_s_per_audio_s_best"],
            f["characters"],
            f"{f['characters'] / reference:.1%}" if reference else "not measured",
            f["peak_rss_mb"],
        ]
        for name, f in engines.items()
    ]
    head = (*columns, "of openai-whisper's", "peak memory, MB")
    return (
        f"{EXPLANATION}\n\nSound: {sum(corpus.values()):.0f} s ({spoken}).\n\n{table(head, rows)}"
        + ratios(engines)
    )


def ratios(engines: Mapping[str, Mapping[str, Any]]) -> str:
    """How many times as fast as each other engine this project's are, by medians."""
    own = [name for name in engines if ENGINES[name].module == "own_engine"]
    others = [name for name in engines if name not in own]
    if not own or not others:
        return ""
    rows = [
        [
            ENGINES[other].title,
            *(f"{engines[o]['rtfx_median'] / engines[other]['rtfx_median']:.2f}" for o in own),
        ]
        for other in others
    ]
    columns = ("times as fast as", *(ENGINES[name].title for name in own))
    return f"\nSpeed as a ratio of medians:\n\n{table(columns, rows)}"


def names_of(given: str, default: Sequence[str]) -> list[str]:
    """A list separated by commas, or the default."""
    return [name for name in given.split(",") if name] or list(default)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of every engine")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", default="", help=f"separated by commas; else {','.join(LANGUAGES)}"
    )
    parser.add_argument("--engines", default="", help=f"of {', '.join(ENGINES)}")
    arguments = parser.parse_args()
    languages = names_of(arguments.only, LANGUAGES)
    corpus = {r.language: round(r.seconds, 1) for r in load_corpus(languages)}
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(EngineProcess(name, arguments.threads, languages))
            for name in names_of(arguments.engines, MEASURED)
        }
        versions = {k: v for worker in workers.values() for k, v in worker.versions.items()}
        engines = measure(workers, arguments.rounds, sum(corpus.values()))
    text = as_text(engines, corpus)
    if not arguments.only and not arguments.engines:
        figures = {
            "threads": arguments.threads,
            "load_average_before": round(load, 2),
            "audio_s": corpus,
            "peers": versions,
            "engines": engines,
        }
        path = write_result("whisper-speed", COMMAND, figures, text, "Whisper here and elsewhere")
        print(f"written to {path.relative_to(ROOT)}")
    print(text)


if __name__ == "__main__":
    main()
