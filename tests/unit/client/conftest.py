"""What the tests about the folder of a run share: a stand-in for the server, and such a folder."""

import threading
import time

import pytest
from media import tone, write_sound
from run_folders import command
from test_result import MADE
from test_submit_flow import FakeServer

from voiceman_client import client as client_module
from voiceman_client.client import Client


@pytest.fixture
def server(monkeypatch):
    """A stand-in for the server of every client of the test."""
    fake = FakeServer()
    fake.close = lambda: None
    monkeypatch.setattr(client_module, "Server", lambda address, away_s: fake)
    monkeypatch.setattr(client_module, "wait_until_loaded", lambda *_: None)
    monkeypatch.setattr(Client, "_made", lambda *_: MADE)
    return fake


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    return [write_sound(folder / f"{n}.wav", tone(seconds)) for n, seconds in enumerate((5, 35, 5))]


@pytest.fixture
def results(server, recordings, tmp_path):
    """The folder of a finished run over three recordings."""
    folder = tmp_path / "results"
    done = command("submit", *recordings, "-o", folder, "--format", "json,srt,vtt,txt")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def while_running(server):
    """Calls something once a run has got two answers and waits for the others."""
    answer = server.forensic
    answered = []
    enough = threading.Event()

    async def two_only(inputs):
        if len(answered) < 2:
            answered.append(inputs)
            return await answer(inputs)
        enough.set()
        server.hold_until = 1000
        return await answer(inputs)

    server.forensic = two_only

    def run(call, *arguments):
        results = []
        ended = threading.Event()

        def wait():
            assert enough.wait(30)
            time.sleep(0.3)  # until the second answer is filed
            results.append(call())
            ended.set()

        calling = threading.Thread(target=wait)
        calling.start()
        done = command(*arguments)
        calling.join(30)
        server.forensic = answer
        server.hold_until = 0
        return done, results[0]

    return run
