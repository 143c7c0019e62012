"""What Whisper writes here and elsewhere: completeness, agreement, languages, word times.

    python -m perf.check_whisper [--threads 2] [--only ko,en] [--show ko]

All engines decode the same sound with the same weights greedily, without fallback, with the
language given. Three references, all openai-whisper in fp32, which drops nothing (its thresholds
are off): on this project's windows, each for itself and padded with silence, as transformers and
this project pad them, which isolates the engine; and in its own way, each window prompted with
the text before it, over every clip by itself and over the joined recordings that all engines get.
Characters are without spaces. Agreement is 1 less the character error rate of letters and digits
over all recordings. Languages are held against transformers', word times against
openai-whisper's on the same windows, for the words that both found. What other engines say is
kept between two runs; `--show` prints where voiceman and openai-whisper differ in a language.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from perf.bench_whisper import names_of
from perf.peers.catalogue import ENGINES
from perf.peers.interface import BATCH, WEIGHTS
from perf.peers.kept_answers import kept
from perf.peers.process import EngineProcess
from perf.peers.windowing import SpokenWindow, Windowing
from perf.record import ROOT, table, write_result
from perf.texts import agreement, characters, differences
from perf.whisper_corpus import Recording, load_corpus
from perf.whisper_windows import (
    compare_words,
    openai_words,
    own_languages,
    own_words,
    transformers_languages,
)
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings

EXPLANATION = __doc__.split("\n\n")[2].strip()
COMMAND = "make check-whisper"
REFERENCES = {
    "same windows": "openai-whisper-windows-silence",
    "clip by clip": "openai-whisper-clips",
    "whole recordings": "openai-whisper",
}
BY_WINDOW = "openai-whisper-windows"  # how these begin: what they say depends on the windows
SHOWN = "voiceman-fp32"

Texts = Mapping[str, Sequence[str]]  # by engine, one per recording


def texts_of(
    name: str, threads: int, recordings: Sequence[Recording], windows: Sequence[SpokenWindow]
) -> list[str]:
    """What an engine writes; that of others is kept."""

    def transcribe() -> list[str]:
        print(f"{name} ...", flush=True)
        languages = [recording.language for recording in recordings]
        with EngineProcess(name, threads, languages) as engine:
            return list(engine.round().texts)

    if ENGINES[name].module == "own_engine":
        return transcribe()
    sounds = windows if name.startswith(BY_WINDOW) else recordings
    return kept(name, sounds, transcribe)


def hold_against(reference: Sequence[str], texts: Sequence[str]) -> dict[str, float]:
    """Characters as a share of the reference's, and agreement."""
    share = characters(texts) / characters(reference)
    return {"characters": round(share, 4), "agreement": round(agreement(reference, texts), 4)}


def completeness(texts: Texts, languages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Every engine against both references, in all and by language."""
    return {
        name: {
            "characters": characters(own),
            **{kind: hold_against(texts[reference], own) for kind, reference in REFERENCES.items()},
            "by language": {
                language: {
                    "characters": characters([own[index]]),
                    **{
                        kind: hold_against([texts[reference][index]], [own[index]])
                        for kind, reference in REFERENCES.items()
                    },
                }
                for index, language in enumerate(languages)
            },
        }
        for name, own in texts.items()
    }


def check_windows(
    threads: int, languages: Sequence[str], windows: Sequence[SpokenWindow]
) -> dict[str, Any]:
    """Languages and word times of the engine in fp32."""
    settings = EngineSettings(slots=BATCH, line=BATCH, workers=threads)
    with Engine(load_checkpoint(WEIGHTS), settings, torch.device("cpu")) as engine:
        words, found = own_words(engine, windows), own_languages(engine, windows)
    expected = kept("transformers-languages", windows, lambda: transformers_languages(windows))
    reference = kept("openai-words", windows, lambda: openai_words(threads, languages))
    pairs = zip(windows, found, expected, strict=True)
    return {
        "windows": len(windows),
        "languages_equal": sum(a == b for a, b in zip(found, expected, strict=True)),
        "languages_different": [
            {"spoken": window.language, "voiceman": ours, "transformers": theirs}
            for window, ours, theirs in pairs
            if ours != theirs
        ],
        "word_times": compare_words(reference, words),
    }


def as_text(engines: Mapping[str, Mapping[str, Any]], windows: Mapping[str, Any]) -> str:
    """The tables for people."""
    heads = [f"{what}, {kind}" for kind in REFERENCES for what in ("characters", "agreement")]
    rows = [[ENGINES[name].title, f["characters"], *_shares(f)] for name, f in engines.items()]
    own = [name for name in engines if ENGINES[name].module == "own_engine"]
    by_language = [
        [language, ENGINES[name].title, f["characters"], *_shares(f)]
        for language in engines[own[0]]["by language"]
        for name in own
        for f in (engines[name]["by language"][language],)
    ]
    times = windows["word_times"]
    mean = times["mean_ms"]
    return (
        f"{EXPLANATION}\n\n{table(('engine', 'characters', *heads), rows)}\n"
        f"By language:\n\n"
        f"{table(('language', 'engine', 'characters', *heads), by_language)}\n"
        f"Language detection equals transformers' on {windows['languages_equal']} of "
        f"{windows['windows']} windows.\n\nWord times: {times['matched']} words of "
        f"{times['words']['voiceman']} here and {times['words']['openai-whisper']} in "
        f"openai-whisper match; on average they begin {mean['start']} ms and end {mean['end']} ms "
        f"apart, {mean['both']} ms together; median {times['median_ms']} ms, "
        f"{times['share_within_40_ms']:.1%} within 40 ms.\n"
    )


def _shares(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"{figures[kind][what]:.1%}" for kind in REFERENCES for what in ("characters", "agreement")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of every engine")
    parser.add_argument("--only", default="", help="languages, separated by commas")
    parser.add_argument("--engines", default="", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--show", default="", help="language whose differences are printed")
    arguments = parser.parse_args()
    recordings = load_corpus(names_of(arguments.only, ()))
    languages = [recording.language for recording in recordings]
    windows = Windowing(arguments.threads).cut(recordings)
    names = dict.fromkeys([*names_of(arguments.engines, list(ENGINES)), *REFERENCES.values()])
    texts = {n: texts_of(n, arguments.threads, recordings, windows) for n in names}
    engines = completeness(texts, languages)
    checked = check_windows(arguments.threads, languages, windows)
    text = as_text(engines, checked)
    if not arguments.only and not arguments.engines:
        figures = {
            "audio_s": {r.language: round(r.seconds, 1) for r in recordings},
            "engines": engines,
            **checked,
        }
        path = write_result("whisper-quality", COMMAND, figures, text, "What Whisper writes")
        print(f"written to {path.relative_to(ROOT)}")
    print(text)
    if arguments.show:
        index = languages.index(arguments.show)
        reference = texts[REFERENCES["same windows"]][index]
        print("\n".join(differences(reference, texts[SHOWN][index])))


if __name__ == "__main__":
    main()
