"""This project's engine, with the voice activity detection that cuts its windows."""

from collections.abc import Callable, Sequence

import torch

from perf.peers.interface import BATCH, MAX_NEW_TOKENS, WEIGHTS, Peer
from perf.peers.windowing import SpokenWindow, Windowing
from perf.whisper_corpus import Recording
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.window import Window, WindowResult

OPTIONS = WindowOptions(max_new_tokens=MAX_NEW_TOKENS, temperatures=(0.0,))


class Voiceman:
    """Windows of all recordings in flight at once; one driver per thread."""

    def __init__(self, threads: int, precision: str, *, speech: bool = True) -> None:
        """Read the exported weights and start the engine.

        Args:
            threads: of the segmentation network, then of the engine.
            precision: of the engine.
            speech: tell the engine where people speak, as the server does; without it, it
                decodes on within a window by openai-whisper's rule alone.
        """
        torch.set_num_threads(1)
        settings = EngineSettings(
            slots=BATCH * threads, line=BATCH, workers=threads, precision=precision
        )
        device = torch.device("cpu")
        self._windowing = Windowing(threads)
        self._speech = speech
        self._engine = Engine(load_checkpoint(WEIGHTS), settings, device)

    def transcribe(self, recordings: Sequence[Recording]) -> list[str]:
        """See `Peer`."""
        windows = self._windowing.cut(recordings)
        texts: list[list[str]] = [[] for _ in recordings]
        for window, result in zip(windows, self._decode(windows), strict=True):
            texts[window.recording] += [s["text"] for s in result.transcript["segments"]]
        return [" ".join(parts) for parts in texts]

    def _decode(self, windows: Sequence[SpokenWindow]) -> list[WindowResult]:
        futures = [self._engine.submit(self._request(window)) for window in windows]
        return [future.result() for future in futures]

    def _request(self, window: SpokenWindow) -> Window:
        return Window(
            window.waveform, window.language, OPTIONS, window.speech if self._speech else None
        )


ENGINES: dict[str, Callable[[int], Peer]] = {
    "voiceman-int8": lambda threads: Voiceman(threads, "int8"),
    "voiceman-fp32": lambda threads: Voiceman(threads, "fp32"),
    "voiceman-fp32-plain": lambda threads: Voiceman(threads, "fp32", speech=False),
    "voiceman-int8-plain": lambda threads: Voiceman(threads, "int8", speech=False),
}
