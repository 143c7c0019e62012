"""Who speaks when, found by the product's own functions without a server and without text.

The same walk as a recording takes through client and models: pieces, turns, stitching, windows,
utterances, embeddings, clustering, names. Without Whisper an utterance is what a turn covers,
which is what `utterances` makes of turns in which no words were heard.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from perf.record import ROOT
from voiceman.analysis.embedding import embed_utterances
from voiceman.analysis.segmentation import find_activity
from voiceman.analysis.speaker_turns import LocalTurn, name_turns
from voiceman.analysis.speakers import SpeakerCount, Speech, label_speakers
from voiceman.analysis.utterances import find_utterances
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.evidence import SpeakerTurn
from voiceman.serving.ecapa import load_ecapa
from voiceman.serving.segmentation import load_segmentation
from voiceman_client.windows import Spans, clip_turns, plan_pieces, plan_windows, stitch


@dataclass
class Diarizer:
    """The exported networks on one thread, and what they have cost so far.

    Attributes:
        cpu_s: CPU-seconds by stage: segmentation, embedding, clustering.
        audio_s: seconds of sound that were given in.
    """

    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    audio_s: float = 0.0

    def __post_init__(self) -> None:
        torch.set_num_threads(1)
        self._segmentation = load_segmentation(_weights("voice_activity"))
        self._ecapa = load_ecapa(_weights("speaker_embedding"))

    def diarize(self, waveform: Int16Waveform, count: SpeakerCount) -> list[SpeakerTurn]:
        """Who speaks when.

        Args:
            waveform: [n] at 16 kHz.
            count: what is known about the number of speakers.
        """
        self.audio_s += len(waveform) / SAMPLE_RATE_HZ
        with self._timed("segmentation"):
            speech, turns = self._activity(waveform)
        with self._timed("embedding"):
            spoken = self._embed(waveform, speech, turns)
        with self._timed("clustering"):
            labels = label_speakers(spoken, count)
            local = [LocalTurn(s, e, int(number), None) for s, e, number in turns.tolist()]
            return name_turns(local, spoken, labels)

    def _activity(self, waveform: Int16Waveform) -> tuple[Spans, Spans]:
        pieces = plan_pieces(len(waveform))
        found = find_activity([waveform[p.start : p.end] for p in pieces], self._segmentation)
        return stitch(pieces, [a.speech for a in found]), stitch(pieces, [a.turns for a in found])

    def _embed(self, waveform: Int16Waveform, speech: Spans, turns: Spans) -> Speech:
        windows = plan_windows(speech, waveform)
        inside = [clip_turns(turns, window) for window in windows]
        utterances = [
            find_utterances([], window.seconds, known)
            for window, known in zip(windows, inside, strict=True)
        ]
        sounds = [waveform[window.start : window.end] for window in windows]
        found = embed_utterances(sounds, utterances, inside, self._ecapa)
        spans = [u + window.start_s for u, window in zip(utterances, windows, strict=True)]
        none = np.zeros((0, SPEAKER_EMBEDDING_SIZE), np.float32)
        vectors = np.concatenate([none, *(f.vectors for f in found)])
        return Speech(vectors, np.concatenate([np.zeros((0, 2)), *spans]), [None] * len(vectors))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        self.cpu_s[stage] += time.process_time() - begun


def _weights(model: str) -> Path:
    return ROOT / "model_repository" / model / "1" / "weights"
