"""Windows of several recordings share one bound; memory is bounded; failures stay apart.

The server of these tests is a stand-in: what counts here is what is sent, and when.
"""

import asyncio
import json
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from media import tone, write_sound
from test_result import MADE, SCORE, WEIGHTS, assessment, segment, utterance

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.errors import DeadlineExceededError, InvalidRequestError, RecordingNotFoundError
from voiceman_client.memory_watch import MemoryWatch
from voiceman_client.options import Limits, SubmitOptions
from voiceman_client.processing import Asked, Kept
from voiceman_client.reading import Reading
from voiceman_client.submit import Submission, Watched


class Answer(dict):
    def as_numpy(self, name):
        return self[name]


def text(document):
    return np.array([[json.dumps(document).encode()]], np.object_)


class FakeServer:
    """Answers like the models: everything is speech, in regions of 10 s with short pauses."""

    address = "127.0.0.1:8001"

    def __init__(self):
        self.in_flight = self.most_in_flight = 0
        self.windows = []
        self.summaries = []
        self.hold_until = 0  # so many windows must be in flight before the first answer
        self.fail_for = lambda inputs: None

    async def infer(self, model, inputs, timeout_s):
        await asyncio.sleep(0)
        return getattr(self, model)(inputs) if model != "forensic" else await self.forensic(inputs)

    def voice_activity(self, inputs):
        seconds = len(inputs["WAVEFORM"]) / SAMPLE_RATE_HZ
        starts = np.arange(0, seconds, 10, np.float32)
        ends = np.minimum(starts + 9.5, seconds).astype(np.float32)
        turns = np.stack([starts, ends, np.zeros_like(starts)], axis=1)
        return Answer(
            SPEECH=turns[np.newaxis, :, :2],
            SPEAKER_TURNS=turns[np.newaxis],
            VOICE_ACTIVITY_WEIGHTS=text(WEIGHTS),
        )

    async def forensic(self, inputs):
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            while self.most_in_flight < self.hold_until:
                await asyncio.sleep(0.001)
        finally:
            self.in_flight -= 1
        if error := self.fail_for(inputs):
            raise error
        self.windows.append(inputs)
        end = len(inputs["WAVEFORM"]) / SAMPLE_RATE_HZ
        evidence = {
            "language": "en",
            "language_probability": None,
            "no_speech_probability": 0.0,
            "compression_ratio": 1.0,
            "aligner": "",
            "segments": [segment(0.0, end, "a", [])],
            "utterances": [utterance(0.0, end, "a")],
            "speech": end,
            "speech_with_text": 1.0,
            "flags": [],
            "unavailable": {},
            "notes": {},
            "models": {},
            "score": SCORE,
        }
        return Answer(EVIDENCE=text(evidence), SPEAKER_EMBEDDING=np.zeros((1, 1, 192), np.float32))

    def recording_summary(self, inputs):
        self.summaries.append(inputs)
        assert len(inputs["SPEAKER_EMBEDDING"]) == len(inputs["WINDOW_EVIDENCE"])
        speakers = ["A"] * len(inputs["WINDOW_EVIDENCE"])
        return Answer(
            SUMMARY=text(
                {
                    "utterance_speakers": speakers,
                    "utterance_assessments": [assessment()] * len(speakers),
                    "speakers": [],
                    "speaker_turns": [],
                    "speech": 1.0,
                    "speech_with_text": 1.0,
                    "score": SCORE,
                    "unavailable": {},
                }
            )
        )


def run(server, paths, options=None, **limits):
    async def collect():
        asked = Asked(MADE, options or SubmitOptions())
        submission = Submission(server, asked, Limits(**limits), lambda step: None)
        return {outcome.path: outcome async for outcome in submission.run(paths)}

    return asyncio.run(collect())


@pytest.fixture
def recordings(tmp_path):
    lengths = (5, 25, 65, 5, 35, 5)
    return [write_sound(tmp_path / f"{n}.wav", tone(s)) for n, s in enumerate(lengths)]


def test_windows_of_several_recordings_are_in_flight_within_the_bound(recordings):
    server = FakeServer()
    server.hold_until = 4
    outcomes = run(server, recordings, in_flight=4, workers=2)
    assert [outcomes[path].error for path in recordings] == [None] * 6
    assert server.most_in_flight == 4
    assert len(server.windows) == 9
    assert len(server.summaries) == 6


def test_times_join_to_the_whole_recording(recordings):
    server = FakeServer()
    result = run(server, [recordings[2]])[recordings[2]].result
    starts = [window["start"] for window in result["windows"]]
    assert starts == sorted(starts)
    assert result["segments"][-1]["end"] == pytest.approx(65.0, abs=0.01)
    assert json.loads(server.summaries[0]["RECORDING_OPTIONS"])["window_starts"] == starts


def test_requests_carry_turns_language_and_deadline(recordings):
    server = FakeServer()
    run(server, recordings[:1], SubmitOptions(language="ko", initial_prompt="김"), timeout_s=60)
    (window,) = server.windows
    assert window["LANGUAGE"] == "ko"
    assert window["TURNS"].dtype == np.float32
    options = json.loads(window["OPTIONS"])
    assert options["initial_prompt"] == "김"
    assert options["deadline_unix_s"] > 1.7e9


def test_the_same_path_twice_is_two_recordings(recordings):
    server = FakeServer()
    path = recordings[0]

    async def collect():
        submission = Submission(server, Asked(MADE, SubmitOptions()), Limits(), lambda step: None)
        return [outcome.error async for outcome in submission.run([path, path])]

    assert asyncio.run(collect()) == [None, None]


@pytest.mark.parametrize(
    "options",
    [
        {"min_speakers": 3, "max_speakers": 2},
        {"speakers": 2, "min_speakers": 3},
        {"speakers": 3, "max_speakers": 2},
        {"channels": "left"},
    ],
)
def test_contradictions_are_refused_before_any_work(options):
    with pytest.raises(InvalidRequestError):
        SubmitOptions(**options)


def test_failures_stay_with_their_recording(recordings, tmp_path):
    server = FakeServer()
    long = 29 * SAMPLE_RATE_HZ
    server.fail_for = lambda inputs: (
        DeadlineExceededError("too late") if len(inputs["WAVEFORM"]) > long else None
    )
    missing = tmp_path / "no.wav"
    outcomes = run(server, [missing, *recordings], in_flight=2)
    assert isinstance(outcomes[missing].error, RecordingNotFoundError)
    failed = [path for path in recordings if outcomes[path].error]
    assert failed == [recordings[2], recordings[4]]
    error = outcomes[failed[0]].error
    assert isinstance(error, DeadlineExceededError)
    assert str(error).startswith(f"{failed[0]}: window 0.0 to ")
    assert server.in_flight == 0


def test_no_more_is_decoded_than_the_server_can_take(tmp_path):
    paths = [write_sound(tmp_path / f"{n}.wav", tone(65)) for n in range(8)]
    server = FakeServer()
    decoded, finished, most = set(), set(), 0

    async def collect():
        nonlocal most
        submission = Submission(
            server,
            Asked(MADE, SubmitOptions()),
            Limits(in_flight=3, workers=1),
            lambda step: decoded.add(step.path),
        )
        async for outcome in submission.run(paths):
            finished.add(outcome.path)
            most = max(most, len(decoded - finished))

    asyncio.run(collect())
    assert finished == set(paths)
    assert most <= 4  # one being heard, one waiting, one being prepared, one handed over


def test_an_unforeseen_failure_costs_one_recording(recordings, caplog):
    server = FakeServer()
    server.fail_for = lambda inputs: (
        ZeroDivisionError("bug") if len(inputs["WAVEFORM"]) > 29 * SAMPLE_RATE_HZ else None
    )
    outcomes = run(server, recordings)
    assert [bool(outcomes[path].error) for path in recordings] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    assert "bug" in str(outcomes[recordings[2]].error)


def test_closing_early_leaves_nothing_running(recordings):
    server = FakeServer()

    async def first():
        submission = Submission(
            server, Asked(MADE, SubmitOptions()), Limits(in_flight=2), lambda step: None
        )
        outcomes = submission.run(recordings)
        outcome = await anext(outcomes)
        await outcomes.aclose()
        return outcome, [task for task in asyncio.all_tasks() if not task.done()]

    outcome, left = asyncio.run(first())
    assert isinstance(outcome.path, Path)
    assert len(left) == 1  # this one


def test_a_log_that_waits_for_the_disk_holds_up_nothing_else(recordings):
    threads = set()

    def note(event, facts):
        threads.add(threading.current_thread())

    async def collect():
        threads_of_answers = threading.current_thread()
        kept = Kept(note=note)
        submission = Submission(
            FakeServer(), Asked(MADE, SubmitOptions()), Limits(), lambda step: None, kept=kept
        )
        async for outcome in submission.run(recordings[:2]):
            assert outcome.error is None
        return threads_of_answers

    assert asyncio.run(collect()) not in threads
    assert threads


def test_a_memory_that_cannot_be_looked_at_ends_no_recording(recordings):
    class Breaks(MemoryWatch):
        def recording_ended(self):
            raise RuntimeError("can't start new thread")

    async def collect():
        submission = Submission(
            FakeServer(),
            Asked(MADE, SubmitOptions()),
            Limits(),
            lambda step: None,
            watched=Watched(memory=Breaks),
        )
        return [outcome.error async for outcome in submission.run(recordings[:2])]

    assert asyncio.run(asyncio.wait_for(collect(), 60)) == [None, None]


@pytest.mark.parametrize(("celsius", "are_asked"), [(40.0, True), (86.0, False)])
def test_nothing_is_sent_to_a_server_that_is_too_hot(recordings, celsius, are_asked):
    asked = []

    class Listening(FakeServer):
        async def infer(self, model, inputs, timeout_s):
            asked.append(model)
            return await super().infer(model, inputs, timeout_s)

    class Sensor:
        name = "sensor"

        def read(self):
            return Reading(time.monotonic(), celsius)

    async def begin():
        submission = Submission(
            Listening(),
            Asked(MADE, SubmitOptions()),
            Limits(),
            lambda step: None,
            watched=Watched(sensor=Sensor()),
        )
        outcomes = submission.run(recordings[:1])
        with suppress(TimeoutError):
            await asyncio.wait_for(anext(outcomes), 3 if not are_asked else 60)
        await outcomes.aclose()

    asyncio.run(begin())
    assert bool(asked) == are_asked


def test_a_caller_that_cannot_show_progress_gets_an_outcome_for_each_recording(recordings):
    def show(step):
        raise BrokenPipeError("nobody looks")

    async def collect():
        submission = Submission(FakeServer(), Asked(MADE, SubmitOptions()), Limits(), show)
        return [outcome async for outcome in submission.run(recordings)]

    outcomes = asyncio.run(asyncio.wait_for(collect(), 20))
    assert len(outcomes) == len(recordings)
    assert "nobody looks" in str(outcomes[0].error)
