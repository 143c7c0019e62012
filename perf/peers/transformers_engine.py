"""transformers in fp32, in batches of 30 s windows."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from perf.peers.interface import BATCH, MAX_NEW_TOKENS, WEIGHTS, Peer
from perf.whisper_corpus import Recording
from voiceman.audio import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, Waveform, to_float32


class FixedWindows:
    """Fixed windows of 30 s; with timestamps, transformers decodes on inside each."""

    def __init__(self, *, timestamps: bool, threads: int) -> None:
        """Read the exported weights."""
        torch.set_num_threads(threads)
        self._timestamps = timestamps
        self._processor = WhisperProcessor.from_pretrained(WEIGHTS)
        model = WhisperForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
        self._model = model.eval()

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        windows = [cut(to_float32(recording.waveform)) for recording in recordings]
        languages = [r.language for r, own in zip(recordings, windows, strict=True) for _ in own]
        texts = self._texts([window for own in windows for window in own], languages)
        ends = np.cumsum([0, *map(len, windows)]).tolist()
        return [" ".join(texts[first:last]) for first, last in pairwise(ends)]

    def _texts(self, windows: Sequence[Waveform], languages: Sequence[str]) -> list[str]:
        texts: list[str] = []
        for first in range(0, len(windows), BATCH):
            here = slice(first, first + BATCH)
            inputs = self._processor(
                windows[here], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
            )
            with torch.inference_mode():
                tokens = self._model.generate(
                    inputs.input_features,
                    language=list(languages[here]),
                    task="transcribe",
                    return_timestamps=self._timestamps,
                    max_new_tokens=MAX_NEW_TOKENS,
                    num_beams=1,
                    do_sample=False,
                )
            found = self._processor.batch_decode(tokens, skip_special_tokens=True)
            texts += [text.strip() for text in found]
        return texts


def cut(waveform: Waveform) -> list[Waveform]:
    """Windows [n] of 30 s, the last one shorter."""
    starts = range(0, len(waveform), MAX_WINDOW_SAMPLES)
    return [waveform[start : start + MAX_WINDOW_SAMPLES] for start in starts]


ENGINES: dict[str, Callable[[int], Peer]] = {
    "transformers-fixed": lambda threads: FixedWindows(timestamps=False, threads=threads),
    "transformers-timestamps": lambda threads: FixedWindows(timestamps=True, threads=threads),
}
