"""A known voice from recordings of one person."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voiceman.analysis.overlap import covered_s, find_overlaps
from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.errors import RecordingTooShortError, SeveralSpeakersError
from voiceman.status import Status
from voiceman.voices import MIN_ANCHOR_S, MIN_ENROLLED_S, SAME_SPEAKER_SIMILARITY
from voiceman_client.decoding import DecoderPool
from voiceman_client.planning import Window, plan
from voiceman_client.transport import Server, read_array, read_text
from voiceman_client.voices import EmbeddingModel, Floats, Voice, mean_voice

_DIGITS = 6  # of the embedding; more than two runs of a model share


@dataclass(frozen=True)
class _Turns:
    """The turns of a recording.

    Attributes:
        embeddings: [t, 192]; NaN: none.
        seconds: [t] that one person speaks alone.
        starts: [t] seconds in the recording.
    """

    embeddings: Floats
    seconds: npt.NDArray[np.float64]
    starts: npt.NDArray[np.float64]


async def enrol(server: Server, paths: Sequence[Path], timeout_s: float) -> Voice:
    """Make one voice of recordings, each of the same person alone.

    Raises:
        RecordingError: a recording cannot be decoded; there is less than `MIN_ENROLLED_S` of
            speech in all of them, or there is more than one voice.
        ServerError: the server failed; see `voiceman.errors`.
    """
    decoders, at_once = DecoderPool(1), asyncio.Semaphore(1)
    files: dict[str, str] = {}
    heard: list[_Turns] = []
    try:
        for path in paths:
            recording = await decoders.decode(path, "mix")
            planned = await plan(server, recording, lambda: at_once, timeout_s)
            turns = [
                await _embed(server, window, timeout_s) for window in planned.windows(recording)
            ]
            heard.append(_joined(turns))
            files[recording.source.path] = recording.source.sha256
    finally:
        await decoders.close()
    _check_one_voice(paths, heard)
    whole = _joined(heard)
    speech_s = float(whole.seconds[np.isfinite(whole.embeddings).all(axis=1)].sum())
    mean = mean_voice(whole.embeddings, whole.seconds)
    if mean is None or speech_s < MIN_ENROLLED_S:
        raise RecordingTooShortError(
            f"{', '.join(map(str, paths))}: {speech_s:.1f} s of speech of one person alone; "
            f"{MIN_ENROLLED_S:g} s are needed for a voice, give longer or more recordings"
        )
    return Voice(tuple(round(x, _DIGITS) for x in mean.tolist()), round(speech_s, 3), files)


async def embedding_model(server: Server, timeout_s: float) -> EmbeddingModel:
    """Which weights the server's `speaker_embedding` works with."""
    inputs = {"WAVEFORM": np.zeros(400, np.int16), "UTTERANCES": np.zeros((1, 2), np.float32)}
    answer = await server.infer("speaker_embedding", inputs, timeout_s)
    status = Status.from_json(read_text(answer, "SPEAKER_EMBEDDING_STATUS"))
    return EmbeddingModel(status.weights, status.sha256)


async def _embed(server: Server, window: Window, timeout_s: float) -> _Turns:
    if not len(window.turns):
        return _joined([])
    inputs = {"WAVEFORM": window.waveform, "UTTERANCES": window.turns, "TURNS": window.turns}
    answer = await server.infer("speaker_embedding", inputs, timeout_s)
    shared = np.diff(covered_s(find_overlaps(window.turns), window.turns), axis=1)[:, 0]
    return _Turns(
        read_array(answer, "SPEAKER_EMBEDDING"),
        np.diff(window.turns.astype(np.float64), axis=1)[:, 0] - shared,
        window.turns[:, 0] + window.span.start_s,
    )


def _joined(parts: Sequence[_Turns]) -> _Turns:
    none = np.zeros((0, SPEAKER_EMBEDDING_SIZE), np.float32)
    return _Turns(
        np.concatenate([none, *(part.embeddings for part in parts)]),
        np.concatenate([np.zeros(0), *(part.seconds for part in parts)]),
        np.concatenate([np.zeros(0), *(part.starts for part in parts)]),
    )


def _check_one_voice(paths: Sequence[Path], heard: Sequence[_Turns]) -> None:
    """Refuse recordings whose long turns fall into two groups that are not alike.

    The two least similar turns stand for the groups, every other turn joins the more similar.
    """
    whole = _joined(heard)
    long = (whole.seconds >= MIN_ANCHOR_S) & np.isfinite(whole.embeddings).all(axis=1)
    vectors = whole.embeddings[long]
    if len(vectors) < 2:
        return
    alike = vectors @ vectors.T
    one, other = np.unravel_index(np.argmin(alike), alike.shape)
    ours = alike[one] >= alike[other]
    similarity = float(alike[np.ix_(ours, ~ours)].mean())
    if similarity < SAME_SPEAKER_SIMILARITY:
        fewer = ~ours if ours.sum() >= (~ours).sum() else ours
        row = int(np.flatnonzero(long)[np.argmax(fewer)])
        owners = np.repeat(np.arange(len(heard)), [len(turns.starts) for turns in heard])
        raise SeveralSpeakersError(
            f"{paths[owners[row]]}: another voice at {whole.starts[row]:.1f} s (similarity "
            f"{similarity:.2f}, one person's is {SAME_SPEAKER_SIMILARITY} or more); cut it out"
        )
