"""What the tests about the folder of a run share: a stand-in for the server, and such a folder."""

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
    monkeypatch.setattr(client_module, "require_ready", lambda server: None)
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
