"""How far words of the telephone call are from the edges of its passages, by aligner.

The reference (STM) times passages, not words: only the first and the last word of a passage have
an edge to be held against, and only where Whisper heard them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perf.peers.interface import WEIGHTS
from perf.peers.windowing import SpokenWindow, Windowing
from perf.telephone_call import Passage, pair_words, read_stm
from perf.whisper_corpus import Recording
from voiceman.audio import to_int16
from voiceman.serving.ctc import WordAligner
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.window import Window, WindowResult
from voiceman_client.decode import decode
from voiceman_export.assets import fetch

LANGUAGE = "en"
ALIGNER_WEIGHTS = WEIGHTS.parents[2] / "word_alignment" / "1" / "weights"
NO_WEIGHTS = f"no weights: voiceman-export word-alignment --language {LANGUAGE}"

Words = list[dict[str, Any]]


def edge_errors(threads: int) -> dict[str, Any]:
    """Median errors at the edges of passages, by cross-attention and by CTC.

    Args:
        threads: of Whisper and of the segmentation that cuts windows.
    """
    folder = fetch("telephone-call")
    call = decode(folder / "sample.wav", "mix").waveforms[0]
    windows = Windowing(threads).cut([Recording(LANGUAGE, (call,))])
    settings = EngineSettings(slots=1, line=1, workers=threads)
    with Engine(load_checkpoint(WEIGHTS), settings, torch.device("cpu")) as engine:
        said = [engine.submit(Window(w.waveform, LANGUAGE)).result() for w in windows]
    reference = read_stm(folder / "sample.stm")
    without = ALIGNER_WEIGHTS / "none"
    found: dict[str, Any] = {
        "whisper-cross-attention": median_errors(reference, align(without, windows, said)),
        "ctc": NO_WEIGHTS,
    }
    if (ALIGNER_WEIGHTS / LANGUAGE).is_dir():
        found["ctc"] = median_errors(reference, align(ALIGNER_WEIGHTS, windows, said))
    return found


def align(weights: Path, windows: Sequence[SpokenWindow], said: Sequence[WindowResult]) -> Words:
    """The words of all windows, in times of the call."""
    requests = [
        {
            "WAVEFORM": to_int16(window.waveform),
            "TRANSCRIPT": json.dumps(result.transcript),
            "CROSS_ATTENTION": result.cross_attention,
        }
        for window, result in zip(windows, said, strict=True)
    ]
    words: Words = []
    for window, outputs in zip(windows, WordAligner(weights)(requests), strict=True):
        for segment in json.loads(str(outputs["ALIGNED_TRANSCRIPT"]))["segments"]:
            for word in segment["words"]:
                shifted = {key: word[key] + window.start_s for key in ("start", "end")}
                words.append({**word, **shifted})
    return words


def median_errors(reference: Sequence[Passage], words: Words) -> dict[str, float | int]:
    """Medians over the first and last words of passages that were found."""
    pairs, error_rate = pair_words(reference, words)
    starts = [abs(w["start"] - p.start) for p, i, w in pairs if i == 0]
    ends = [abs(w["end"] - p.end) for p, i, w in pairs if i == len(p.words) - 1]
    return {
        "words": len(words),
        "word_error_rate": round(error_rate, 4),
        "first_words": len(starts),
        "median_start_error_ms": round(1000 * float(np.median(starts)), 1),
        "last_words": len(ends),
        "median_end_error_ms": round(1000 * float(np.median(ends)), 1),
        "median_edge_error_ms": round(1000 * float(np.median([*starts, *ends])), 1),
    }
