"""Enrolment with a stand-in server that hears a voice in the level of the sound."""

import asyncio

import numpy as np
import pytest
from media import write_sound
from test_result import WEIGHTS
from test_submit_flow import Answer, text

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.errors import RecordingTooShortError, SeveralSpeakersError
from voiceman.manifest import sha256_of
from voiceman.status import Status
from voiceman_client.enrolment import embedding_model, enrol

VOICES = np.linalg.qr(np.random.default_rng(7).standard_normal((192, 2)))[0].T.astype(np.float32)
QUIET, LOUD = 1_000, 20_000


class FakeServer:
    """Turns of 3 s; who speaks is a matter of level, and every turn varies a little."""

    async def infer(self, model, inputs, timeout_s):
        await asyncio.sleep(0)
        return getattr(self, model)(inputs["WAVEFORM"], **inputs)

    def voice_activity(self, waveform, **_):
        starts = np.arange(0, len(waveform) / SAMPLE_RATE_HZ - 1, 3, np.float32)
        turns = np.stack([starts, starts + 3, np.zeros_like(starts)], axis=1)
        return Answer(
            SPEECH=turns[np.newaxis, :, :2],
            SPEAKER_TURNS=turns[np.newaxis],
            VOICE_ACTIVITY_WEIGHTS=text(WEIGHTS),
        )

    def speaker_embedding(self, waveform, UTTERANCES, **_):  # noqa: N803  # the tensor's name
        rows = [self._embed(waveform, span) for span in UTTERANCES]
        status = np.array([[Status("ecapa 1", sha256="0" * 64).to_json().encode()]], np.object_)
        return Answer(SPEAKER_EMBEDDING=np.stack(rows)[np.newaxis], SPEAKER_EMBEDDING_STATUS=status)

    def _embed(self, waveform, span):
        first, last = (span * SAMPLE_RATE_HZ).round().astype(int)
        sound = waveform[first:last].astype(np.float32)
        if not len(sound):
            return np.full(192, np.nan, np.float32)
        vector = VOICES[int(np.abs(sound).mean() > QUIET)] + 0.03 * np.sin(np.arange(192) + first)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def record(path, *levels):
    """3 s of noise for each level, after a click that gives all files one peak."""
    noise = np.random.default_rng(1).uniform(-1, 1, 3 * SAMPLE_RATE_HZ)
    sound = np.concatenate([(level * noise).astype(np.int16) for level in levels])
    sound[0] = LOUD
    return write_sound(path, sound)


def enrolled(*paths):
    return asyncio.run(enrol(FakeServer(), paths, 10.0))


def test_a_voice_rests_on_all_files(tmp_path):
    paths = [record(tmp_path / name, LOUD, LOUD, LOUD) for name in ("a.wav", "b.wav")]
    voice = enrolled(*paths)
    assert voice.speech == pytest.approx(18.0, abs=0.1)
    assert voice.files == {str(path): sha256_of(path) for path in paths}
    assert np.linalg.norm(voice.embedding) == pytest.approx(1.0, abs=1e-4)
    assert VOICES[1] @ np.array(voice.embedding) > 0.9


def test_too_little_speech_is_refused_with_numbers(tmp_path):
    path = record(tmp_path / "short.wav", LOUD, LOUD, LOUD)
    with pytest.raises(RecordingTooShortError, match=r"short\.wav: 9\.0 s.*10 s are needed"):
        enrolled(path)


def test_a_second_voice_is_refused_with_its_place(tmp_path):
    path = record(tmp_path / "two.wav", LOUD, LOUD, LOUD, QUIET, LOUD)
    with pytest.raises(SeveralSpeakersError, match=r"two\.wav: another voice at 9\.0 s"):
        enrolled(path)


def test_the_recording_with_the_second_voice_is_named(tmp_path):
    paths = [record(tmp_path / "a.wav", *[LOUD] * 4), record(tmp_path / "b.wav", QUIET)]
    with pytest.raises(SeveralSpeakersError, match=r"b\.wav"):
        enrolled(*paths)


def test_the_server_says_which_weights_it_has():
    model = asyncio.run(embedding_model(FakeServer(), 10.0))
    assert (model.name, model.sha256) == ("ecapa 1", "0" * 64)
