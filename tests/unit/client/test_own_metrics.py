"""The client's page of metrics: what Prometheus reads while a run goes on."""

import socket
import urllib.request
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families
from run_folders import command
from test_dashboard import VITALS

from voiceman.errors import ConfigurationError
from voiceman_client.own_metrics import PageAddress, served
from voiceman_client.vitals import Readings


@pytest.fixture
def port():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def page(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }


def test_the_page_says_what_the_dashboard_says(port):
    with served(PageAddress(port), lambda: VITALS):
        found = page(port)
    assert all(name.startswith("voiceman_client_") for name, *_ in found)
    assert found["voiceman_client_windows_answered_total",] == 1333
    assert found["voiceman_client_audio_seconds_total",] == 40_000
    assert found["voiceman_client_retries_total",] == 2
    assert found["voiceman_client_recordings", "completed"] == 12
    assert found["voiceman_client_windows_in_flight",] == 12
    assert found["voiceman_client_gpu_temperature_celsius",] == 71
    assert found["voiceman_client_memory_used_ratio",] == 0.61
    readings = Readings(1, 1, 1, 1, 1.0, 1.0, 1.0, 1).numbers()
    assert len(found) == 7 + len(VITALS.states) + len(readings)


def test_the_page_is_gone_with_the_run(port):
    with served(PageAddress(port), lambda: VITALS):
        pass
    with pytest.raises(OSError):
        page(port)
    with served(PageAddress(port), lambda: VITALS):
        assert page(port)


def test_a_taken_port_is_named_before_anything_is_done(port, server, recordings, tmp_path):
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with (
            pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} .*--metrics-port"),
            served(PageAddress(port), lambda: VITALS),
        ):
            pass
        folder = tmp_path / "results"
        done = command("submit", *recordings, "-o", folder, "--metrics-port", port)
    assert done.exit_code == 2
    assert "--metrics-port" in done.stderr
    assert list(folder.iterdir()) == []
    assert server.windows == []


def test_a_run_serves_its_page(port, server, recordings, tmp_path, monkeypatch):
    seen = []
    answer = server.forensic

    async def look(inputs):
        seen.append(page(port))
        return await answer(inputs)

    monkeypatch.setattr(server, "forensic", look)
    folder = tmp_path / "results"
    done = command("submit", *recordings, "-o", folder, "--metrics-port", port)
    assert done.exit_code == 0
    assert seen[0]["voiceman_client_recordings_given",] == 3
    assert seen[-1]["voiceman_client_windows_answered_total",] >= 1
