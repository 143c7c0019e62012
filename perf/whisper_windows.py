"""Word times and languages of single windows, here and elsewhere."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from perf.peers.interface import BATCH, MAX_NEW_TOKENS, WEIGHTS
from perf.peers.process import GUEST_PYTHON
from perf.peers.windowing import SpokenWindow
from perf.record import ROOT
from perf.texts import normalise
from voiceman.analysis.word_times import align_words
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.options import WindowOptions
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window, WindowResult

GREEDY = WindowOptions(max_new_tokens=MAX_NEW_TOKENS, temperatures=(0.0,))
ONE_TOKEN = WindowOptions(max_new_tokens=1, temperatures=(0.0,))
BAR_S = 0.04

TimedWord = Mapping[str, Any]  # word, start, end


def own_words(engine: Engine, windows: Sequence[SpokenWindow]) -> list[list[TimedWord]]:
    """The words of every window with their times, by openai-whisper's rule of decoding on."""
    futures = [engine.submit(Window(w.waveform, w.language, GREEDY)) for w in windows]
    return [_words(future) for future in futures]


def _words(answer: Future[WindowResult]) -> list[TimedWord]:
    aligned = align_words(answer.result().transcript, answer.result().cross_attention)
    return [word for segment in aligned["segments"] for word in segment["words"]]


def openai_words(threads: int, languages: Sequence[str]) -> list[list[TimedWord]]:
    """The same of openai-whisper, in a process of its own."""
    command = [GUEST_PYTHON, "-m", "perf.peers.openai_words"]
    command += ["--threads", str(threads), "--only", ",".join(languages)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def compare_words(
    theirs: Sequence[Sequence[TimedWord]], ours: Sequence[Sequence[TimedWord]]
) -> dict[str, Any]:
    """How far apart the words that both found begin and end, over all windows."""
    pairs = [
        pair
        for left, right in zip(theirs, ours, strict=True)
        for pair in matching_words(left, right)
    ]
    apart = np.array([[abs(a[key] - b[key]) for key in ("start", "end")] for a, b in pairs])
    return {
        "words": {"openai-whisper": sum(map(len, theirs)), "voiceman": sum(map(len, ours))},
        "matched": len(pairs),
        "mean_ms": {
            "start": _ms(apart[:, 0].mean()),
            "end": _ms(apart[:, 1].mean()),
            "both": _ms(apart.mean()),
        },
        "median_ms": _ms(np.median(apart)),
        "share_within_40_ms": round(float((apart <= BAR_S + 1e-9).mean()), 4),
    }


def matching_words(
    left: Sequence[TimedWord], right: Sequence[TimedWord]
) -> list[tuple[TimedWord, TimedWord]]:
    """Pairs of equal words in their longest common order."""
    sides = [[word for word in side if normalise(word["word"])] for side in (left, right)]
    names = [[normalise(word["word"]) for word in side] for side in sides]
    blocks = SequenceMatcher(None, *names, autojunk=False).get_matching_blocks()
    return [
        (sides[0][block.a + index], sides[1][block.b + index])
        for block in blocks
        for index in range(block.size)
    ]


def own_languages(engine: Engine, windows: Sequence[SpokenWindow]) -> list[str]:
    """The language that the engine detects in every window."""
    futures = [engine.submit(Window(w.waveform, options=ONE_TOKEN)) for w in windows]
    return [future.result().transcript["language"] for future in futures]


def transformers_languages(windows: Sequence[SpokenWindow]) -> list[str]:
    """The same of transformers."""
    model = WhisperForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    features = WhisperFeatureExtractor.from_pretrained(WEIGHTS)
    names = {token: name.strip("<|>") for name, token in model.generation_config.lang_to_id.items()}
    found: list[str] = []
    for first in range(0, len(windows), BATCH):
        waveforms = [window.waveform for window in windows[first : first + BATCH]]
        inputs = features(waveforms, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            tokens = model.detect_language(inputs.input_features)
        found += [names[token] for token in tokens.tolist()]
    return found


def _ms(seconds: float) -> float:
    return round(1000 * float(seconds), 1)
