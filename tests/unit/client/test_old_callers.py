"""What callers of the old code call: one file, many, models, emotions; with and without await."""

import asyncio
import threading

import pytest
from media import tone, write_sound
from test_submit_flow import FakeServer

from voiceman.errors import (
    DeadlineExceededError,
    RecordingNotFoundError,
    RequestCancelledError,
    ServerNotReadyError,
    ServerUnreachableError,
)
from voiceman_client import Client, status
from voiceman_client.answer_cache import AnswerCache, entries_in
from voiceman_client.cache_size import LEAST, answers_folder
from voiceman_client.emotion import emotions_of

EMOTIONS = {"arousal": 0.8, "dominance": 0.5, "valence": 0.2}


def spoken(start, end, emotions, reason=""):
    return {
        "start": start,
        "end": end,
        "speaker": "SPEAKER_00",
        "text": "a",
        "emotion_dimensional": emotions,
        "emotion_categorical": None,
        "unavailable": {"emotion_dimensional": reason, "voice_features": "short"} if reason else {},
    }


def test_a_file_at_a_time_and_many_of_them(server, recordings):
    with Client() as client:
        assert client.process(recordings[0])["language"] == "en"
        assert {outcome.path for outcome in client.process_batch(recordings)} == set(recordings)


def test_the_same_from_an_event_loop_that_is_never_held_up(server, recordings):
    async def work():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        counting = asyncio.create_task(count())
        with Client() as client:
            result = await client.aprocess(recordings[0])
            paths = {outcome.path async for outcome in client.aprocess_batch(recordings)}
            with pytest.raises(RecordingNotFoundError):
                await client.aprocess("no.wav")
            assert client._batches == []
        counting.cancel()
        return result, paths, turns

    result, paths, turns = asyncio.run(work())
    assert result["language"] == "en"
    assert paths == set(recordings)
    assert turns > 20


def test_a_task_that_is_cancelled_ends_its_batch(server, recordings):
    server.hold_until = 1000

    async def work():
        with Client() as client:
            task = asyncio.create_task(client.aprocess(recordings[0]))
            while not client._batches or not server.most_in_flight:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return client._batches

    # The weights are asked for by the first window, which must be answered.
    answer = server.forensic
    server.forensic = lambda inputs: (
        answer(inputs) if inputs["WAVEFORM"].any() else FakeServer().forensic(inputs)
    )
    assert asyncio.run(work()) == []
    assert server.in_flight == 0


def test_a_client_that_is_stopped_brings_nothing_more(server, recordings):
    with Client() as client:
        outcomes = client.process_batch(recordings)
        next(outcomes)
        threading.Thread(target=client.stop).start()
        assert len(list(outcomes)) <= 2
        with pytest.raises(RequestCancelledError):
            client.process(recordings[0])
    client.stop()  # closed already


def test_a_server_that_loads_its_models_is_waited_for(monkeypatch, caplog):
    errors = [
        DeadlineExceededError("whisper hangs"),
        ServerNotReadyError("whisper"),
        ServerUnreachableError("restarts"),
        None,
    ]

    def require_ready(_):
        if error := errors.pop(0):
            raise error

    monkeypatch.setattr(status, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(status, "require_ready", require_ready)
    status.wait_until_loaded(None, 60.0, lambda: False)
    assert errors == []
    assert "whisper hangs; waiting for up to 60 s" in caplog.text


@pytest.mark.parametrize(("timeout_s", "stopped"), [(0.0, False), (60.0, True)])
def test_waiting_for_models_ends_with_the_time_and_with_the_run(monkeypatch, timeout_s, stopped):
    def require_ready(_):
        raise ServerNotReadyError("whisper")

    monkeypatch.setattr(status, "require_ready", require_ready)
    with pytest.raises(ServerNotReadyError, match="whisper"):
        status.wait_until_loaded(None, timeout_s, lambda: stopped)


def test_a_server_that_is_away_when_a_run_begins_is_not_waited_for(monkeypatch):
    def require_ready(_):
        raise ServerUnreachableError("nobody answers")

    monkeypatch.setattr(status, "require_ready", require_ready)
    with pytest.raises(ServerUnreachableError, match="nobody answers"):
        status.wait_until_loaded(None, 60.0, lambda: False)


def test_preloading_waits_until_every_model_answers(server, monkeypatch):
    tries, broken = [], {}

    def require_ready(_):
        tries.append(1)
        if len(tries) < 3:
            raise ServerUnreachableError("nobody yet")

    monkeypatch.setattr(status, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(status, "require_ready", require_ready)
    monkeypatch.setattr(status, "find_broken_models", lambda server, timeout_s: broken)
    server.address = "here:8001"
    with Client() as client:
        client.preload_models()
        assert len(tries) == 3
        broken["whisper"] = "no answer in 60 s"
        with pytest.raises(ServerNotReadyError, match="whisper: no answer"):
            client.preload_models()
        del tries[:]
        with pytest.raises(ServerUnreachableError, match="nobody yet"):
            client.preload_models(timeout_s=0.005)


def test_clearing_empties_the_cache_and_asks_nothing_of_the_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv("VOICEMAN_CACHE_DIR", str(tmp_path))
    answers = answers_folder()
    AnswerCache(answers, LEAST).put("ab" * 32, b"answer")
    assert list(entries_in(answers))
    with Client() as client:
        client.clear_model_cache()
    assert list(entries_in(answers)) == []
    assert server.windows == []


def test_emotions_are_means_weighted_by_length():
    louder = {"arousal": 0.2, "dominance": 0.5, "valence": 0.6}
    result = {
        "utterances": [
            spoken(0.0, 1.0, EMOTIONS),
            spoken(2.0, 5.0, louder),
            spoken(6, 7, None, "x"),
        ],
        "windows": [{"unavailable": {"emotion_categorical": "no weights", "whisper": "y"}}],
        "unavailable": {"speaker_embedding": "z"},
    }
    found = emotions_of(result)
    overall = found["overall"]
    assert overall["emotion_dimensional"] == pytest.approx(
        {"arousal": 0.35, "dominance": 0.5, "valence": 0.5}
    )
    assert overall["emotion_categorical"] is None
    assert found["unavailable"] == {"emotion_dimensional": "x", "emotion_categorical": "no weights"}
    first, _, last = found["utterances"]
    assert first["emotion_dimensional"] == EMOTIONS
    assert (last["emotion_dimensional"], last["unavailable"]) == (
        None,
        {"emotion_dimensional": "x"},
    )


def test_emotion_of_a_file_says_what_is_missing(server, tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(5))
    with Client() as client:
        found = client.emotion(path)
        with pytest.raises(RecordingNotFoundError):
            client.emotion(tmp_path / "no.wav")
    assert set(found) == {"overall", "utterances", "unavailable"}
    (utterance,) = found["utterances"]
    assert (utterance["start"], utterance["speaker"]) == (0.0, "A")
