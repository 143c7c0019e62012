"""Recordings to windows with speech, as the client and the model `voice_activity` make them."""

from collections.abc import Sequence
from dataclasses import dataclass

from perf.peers.interface import WEIGHTS
from perf.whisper_corpus import Recording
from voiceman.analysis.coverage import Intervals, detected_speech
from voiceman.analysis.segmentation import Floats, find_activity
from voiceman.audio import Waveform, to_float32
from voiceman.serving.onnx import open_model
from voiceman_client.windows import clip_turns, plan_pieces, plan_windows, stitch

SEGMENTATION = WEIGHTS.parents[2] / "voice_activity" / "1" / "weights" / "segmentation.onnx"


@dataclass(frozen=True, eq=False)
class SpokenWindow:
    """A window of at most 30 s, samples [n] of recording number `recording`.

    Attributes:
        speech: where somebody speaks, seconds from the start of the window.
    """

    waveform: Waveform
    language: str
    recording: int
    speech: Intervals | None


class Windowing:
    """Cuts recordings; `threads` are those of the segmentation network."""

    def __init__(self, threads: int) -> None:
        """Open the segmentation network."""
        self._network = open_model(SEGMENTATION, threads=threads)

    def cut(self, recordings: Sequence[Recording]) -> list[SpokenWindow]:
        """The windows with speech, in order."""
        return [
            window
            for number, recording in enumerate(recordings)
            for window in self._windows(recording, number)
        ]

    def _windows(self, recording: Recording, number: int) -> list[SpokenWindow]:
        waveform = recording.waveform
        pieces = plan_pieces(len(waveform))
        found = find_activity([waveform[p.start : p.end] for p in pieces], self._segment)
        speech = stitch(pieces, [activity.speech for activity in found])
        turns = stitch(pieces, [activity.turns for activity in found])
        return [
            SpokenWindow(
                to_float32(waveform[span.start : span.end]),
                recording.language,
                number,
                detected_speech(clip_turns(turns, span), span.seconds),
            )
            for span in plan_windows(speech, waveform)
        ]

    def _segment(self, windows: Floats) -> Floats:
        return self._network(WAVEFORM=windows)["SEGMENTATION"]
