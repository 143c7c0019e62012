"""A client that is closed takes everything it started with it."""

import gc
import warnings

import pytest
from media import tone, write_sound
from test_result import MADE
from test_submit_flow import FakeServer

from voiceman.manifest import sha256_of
from voiceman_client import client as client_module
from voiceman_client.client import Client
from voiceman_client.decoding import DecoderPool
from voiceman_client.options import SubmitOptions
from voiceman_client.status import ModelStatus


@pytest.fixture
def swept():
    """What tests before this one left open is closed now, not while it looks for such."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.mark.usefixtures("swept")
@pytest.mark.filterwarnings("error")
def test_a_batch_that_outlives_its_client_ends_quietly(tmp_path, monkeypatch):
    pools = []
    start = DecoderPool.__init__

    def remember(pool, *args, **options):
        start(pool, *args, **options)
        pools.append(pool)

    server = FakeServer()
    server.close = lambda: None
    monkeypatch.setattr(DecoderPool, "__init__", remember)
    monkeypatch.setattr(client_module, "Server", lambda address, away_s: server)
    monkeypatch.setattr(client_module, "wait_until_loaded", lambda *_: None)
    monkeypatch.setattr(Client, "_made", lambda *_: MADE)
    paths = [write_sound(tmp_path / f"{n}.wav", tone(1.0)) for n in range(3)]
    with Client() as client:
        outcomes = client.process_batch(paths)
        assert next(outcomes).error is None
    assert [pool._all for pool in pools] == [set()]
    assert list(outcomes) == []
    gc.collect()


def test_what_a_run_is_made_with_has_its_hashes(tmp_path, monkeypatch):
    known = [
        ModelStatus("whisper", "1", "READY", (), (), 0, 0, "a" * 64),
        ModelStatus("scoring", "2", "READY", (), (), 0, 0, ""),
    ]
    monkeypatch.setattr(client_module, "describe_models", lambda server: known)
    monkeypatch.setattr(client_module, "describe_server", lambda server: {"name": "triton"})
    voices = tmp_path / "voices.json"
    voices.write_text("{}")
    with Client() as client:
        made = client._made(SubmitOptions(voices=str(voices)), None)
    assert made.options["voices_sha256"] == sha256_of(voices)
    assert made.models == {"whisper": "1", "scoring": "2"}
    assert made.configurations == {"whisper": "a" * 64}
