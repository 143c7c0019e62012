"""The real weights on a real call of two people, against its reference annotation."""

import wave
from pathlib import Path

import numpy as np
import pytest

from voiceman.analysis.embedding import embed_utterances
from voiceman.analysis.segmentation import find_activity
from voiceman.analysis.speakers import Speech, label_speakers
from voiceman.serving.ecapa import load_ecapa
from voiceman.serving.segmentation import load_segmentation

pytestmark = pytest.mark.weights

MODELS = Path(__file__).parents[3] / "model_repository"
FRAME_S = 0.01


@pytest.fixture(scope="module")
def call(speech) -> np.ndarray:
    with wave.open(str(speech("telephone-call")[0])) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


@pytest.fixture(scope="module")
def reference(speech) -> list[tuple[float, float, str]]:
    """Start, end and speaker of every turn, from RTTM."""
    lines = speech("telephone-call")[0].with_suffix(".rttm").read_text().splitlines()
    rows = [line.split() for line in lines]
    return [(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]


@pytest.fixture(scope="module")
def segmentation():
    return load_segmentation(MODELS / "voice_activity" / "1" / "weights")


@pytest.fixture(scope="module")
def ecapa():
    return load_ecapa(MODELS / "speaker_embedding" / "1" / "weights")


def frames(spans, duration_s: float) -> np.ndarray:
    """Truth value of every 10 ms frame: does its centre lie in one of the spans?"""
    centres = (np.arange(int(duration_s / FRAME_S)) + 0.5) * FRAME_S
    inside = np.zeros(len(centres), bool)
    for start, end, *_ in spans:
        inside |= (centres >= start) & (centres < end)
    return inside


def test_speech_agrees_with_the_reference_in_95_of_100_frames(call, reference, segmentation):
    found = find_activity([call], segmentation)[0]
    agreement = (frames(found.speech, 30) == frames(reference, 30)).mean()
    assert agreement >= 0.95


def test_local_turns_follow_the_two_speakers(call, reference, segmentation):
    turns = find_activity([call], segmentation)[0].turns
    local = {int(n): frames(turns[turns[:, 2] == n], 30) for n in np.unique(turns[:, 2])}
    assert len(local) == 2
    for name in {speaker for _, _, speaker in reference}:
        truth = frames([row for row in reference if row[2] == name], 30)
        assert max((found == truth).mean() for found in local.values()) >= 0.95


def test_a_batch_of_pieces_finds_the_same(call, segmentation):
    alone = find_activity([call], segmentation)[0]
    together = find_activity([call[:70_000], call, call[:200_000]], segmentation)[1]
    np.testing.assert_allclose(together.turns, alone.turns, atol=1e-4)


def test_an_embedding_does_not_depend_on_its_batch(call, ecapa):
    rows = np.array([(10.6, 13.6), (22.0, 25.0), (14.5, 15.4), (18.5, 21.5)], np.float32)
    together = embed_utterances([call, call], [rows, rows[::-1]], [None, None], ecapa)[0].vectors
    for row, vector in zip(rows, together, strict=True):
        alone = embed_utterances([call], [row[np.newaxis]], [None], ecapa)[0].vectors[0]
        np.testing.assert_allclose(vector, alone, atol=1e-4)


def test_two_speakers_are_found_and_every_turn_is_given_to_the_right_one(call, reference, ecapa):
    alone = [
        (start, end, speaker)
        for start, end, speaker in reference
        # Inside another turn both voices sound: nobody's embedding.
        if not any(s < start and end < e for s, e, _ in reference)
    ]
    spans = np.array([row[:2] for row in alone], np.float32)
    embeddings = embed_utterances([call], [spans], [None], ecapa)[0].vectors
    labels = label_speakers(Speech(embeddings, spans, [None] * len(spans)))
    assert len(set(labels)) == 2
    assert len(set(zip(labels, (speaker for *_, speaker in alone), strict=True))) == 2
