"""A client that is closed takes everything it started with it."""

import gc

import pytest
from media import tone, write_sound
from test_result import MADE
from test_submit_flow import FakeServer

from voiceman_client import client as client_module
from voiceman_client.client import Client
from voiceman_client.decoding import DecoderPool


@pytest.mark.filterwarnings("error")
def test_a_batch_that_outlives_its_client_ends_quietly(tmp_path, monkeypatch):
    pools = []
    start = DecoderPool.__init__

    def remember(pool, *args):
        start(pool, *args)
        pools.append(pool)

    server = FakeServer()
    server.close = lambda: None
    monkeypatch.setattr(DecoderPool, "__init__", remember)
    monkeypatch.setattr(client_module, "Server", lambda address: server)
    monkeypatch.setattr(client_module, "require_ready", lambda server: None)
    monkeypatch.setattr(Client, "_made", lambda *_: MADE)
    paths = [write_sound(tmp_path / f"{n}.wav", tone(1.0)) for n in range(3)]
    with Client() as client:
        outcomes = client.process_batch(paths)
        assert next(outcomes).error is None
    assert [pool._all for pool in pools] == [set()]
    assert list(outcomes) == []
    gc.collect()
