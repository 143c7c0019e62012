"""Recordings to windows with speech, as the client and the model `voice_activity` make them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from perf.peers.interface import WEIGHTS
from perf.whisper_corpus import Recording
from voiceman.analysis.coverage import Intervals, detected_speech
from voiceman.analysis.segmentation import find_activity
from voiceman.audio import SAMPLE_RATE_HZ, Waveform, to_float32
from voiceman.serving.segmentation import load_segmentation
from voiceman_client.windows import clip_turns, plan_pieces, plan_windows, stitch

SEGMENTATION = WEIGHTS.parents[2] / "voice_activity" / "1" / "weights"


@dataclass(frozen=True, eq=False)
class SpokenWindow:
    """A window of at most 30 s, samples [n] of recording number `recording`.

    Attributes:
        start_s: where it begins in the recording, seconds.
        speech: where somebody speaks, seconds from the start of the window.
    """

    waveform: Waveform
    language: str
    recording: int
    start_s: float
    speech: Intervals | None


class Windowing:
    """Cuts recordings; `threads` are those of the segmentation network."""

    def __init__(self, threads: int) -> None:
        """Open the segmentation network."""
        self._network = load_segmentation(SEGMENTATION)
        self._threads = threads

    def cut(self, recordings: Sequence[Recording]) -> list[SpokenWindow]:
        """The windows with speech, in order."""
        threads = torch.get_num_threads()  # what comes next in this process has its own number
        torch.set_num_threads(self._threads)
        try:
            return [
                window
                for number, recording in enumerate(recordings)
                for window in self._windows(recording, number)
            ]
        finally:
            torch.set_num_threads(threads)

    def _windows(self, recording: Recording, number: int) -> list[SpokenWindow]:
        waveform = recording.waveform
        pieces = plan_pieces(len(waveform))
        found = find_activity([waveform[p.start : p.end] for p in pieces], self._network)
        speech = stitch(pieces, [activity.speech for activity in found])
        turns = stitch(pieces, [activity.turns for activity in found])
        return [
            SpokenWindow(
                to_float32(waveform[span.start : span.end]),
                recording.language,
                number,
                span.start / SAMPLE_RATE_HZ,
                detected_speech(clip_turns(turns, span), span.seconds),
            )
            for span in plan_windows(speech, waveform)
        ]
