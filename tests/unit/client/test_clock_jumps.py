"""A clock that is set while a run goes on, or that differs from the server's, costs no window."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from run_folders import command, findings
from test_submit_flow import FakeServer, run

from voiceman.errors import DeadlineExceededError, PastDeadlineError
from voiceman.options import parse_window_options
from voiceman.serving.whisper.job import Job
from voiceman.serving.whisper.window import Window
from voiceman_client import asking
from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.writers import to_json

HOUR_S, DAY_S = 3_600, 86_400
JUMPS_S = [-DAY_S, -HOUR_S, -300, 300, HOUR_S, DAY_S]


class StrictServer(FakeServer):
    """Looks at deadlines when a request arrives, as the engine does."""

    def __init__(self):
        super().__init__()
        self.late = 0

    async def forensic(self, inputs):
        options = parse_window_options(inputs["OPTIONS"])
        if why := Job(Window(np.zeros(16_000, np.float32), "en", options), "en", []).why_unwanted():
            self.late += 1
            raise PastDeadlineError(str(why))
        return await super().forensic(inputs)


def results(outcomes):
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(outcomes)
    return {path: to_json(outcome.result) for path, outcome in outcomes.items()}


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_server_with_another_clock_answers_every_window(recordings, monkeypatch, jump_s):
    undisturbed = results(run(StrictServer(), recordings, timeout_s=60.0))
    clock = SimpleNamespace(time=lambda: time.time() - jump_s, monotonic=time.monotonic)
    monkeypatch.setattr(asking, "time", clock)
    server = StrictServer()
    assert results(run(server, recordings, timeout_s=60.0)) == undisturbed
    assert server.late == (len(server.windows) if jump_s > 0 else 0)


def test_what_the_server_calls_late_twice_is_late(recordings):
    server, asked = FakeServer(), []

    def refuse(inputs):
        asked.append(json.loads(inputs["OPTIONS"])["deadline_unix_s"] > 0)
        return PastDeadlineError("the deadline passed 0.1 s ago")

    server.fail_for = refuse
    outcome = run(server, recordings[:1])[recordings[0]]
    assert isinstance(outcome.error, DeadlineExceededError)
    assert asked == [True, False]


def test_what_is_late_by_both_clocks_is_not_asked_for_again(recordings, monkeypatch):
    times_s = iter([0.0, 59.5])
    clock = SimpleNamespace(time=lambda: 1.0, monotonic=lambda: next(times_s))
    monkeypatch.setattr(asking, "time", clock)
    server = StrictServer()
    outcome = run(server, recordings[:1], timeout_s=60.0)[recordings[0]]
    assert isinstance(outcome.error, DeadlineExceededError)
    assert server.late == 1


def test_a_run_whose_clock_jumps_all_the_time_is_like_any_other(
    server, recordings, results, tmp_path, monkeypatch
):
    real, draw = time.time, np.random.default_rng(7)
    monkeypatch.setattr(time, "time", lambda: real() + float(draw.choice([0, *JUMPS_S])))
    monkeypatch.setenv("VOICEMAN_CACHE_SIZE", "1")
    monkeypatch.setenv("VOICEMAN_CACHE_DIR", str(tmp_path / "cache"))
    for folder in ("first", "first", "recalled"):  # the second is taken up from the ledger
        done = command(
            "submit", *recordings, "-o", tmp_path / folder, "--format", "json,srt,vtt,txt"
        )
        assert done.exit_code == 0, done.output
        assert not findings(tmp_path / folder)
        summary = json.loads((tmp_path / folder / SUMMARY_NAME).read_text())
        assert 0 < summary["last_run"]["seconds"] < min(map(abs, JUMPS_S))
        for path in recordings:
            for kind in ("json", "srt", "vtt", "txt"):
                name = f"{path.stem}.{kind}"
                assert (tmp_path / folder / name).read_bytes() == (results / name).read_bytes()
