"""The client installs by itself, without torch, and works from there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from media import write_sound

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_client.decode import decode

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
HEAVY = ("torch", "scipy", "transformers", "pytriton", "speechbrain")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The scripts of a fresh environment with the client and what it depends on."""
    environment = tmp_path_factory.mktemp("client") / "venv"
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    run(UV, "pip", "install", "--quiet", "--python", environment / "bin/python", ROOT)
    return environment / "bin"


def run(*command, cwd=None):
    return subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=True, timeout=300
    ).stdout


def test_nothing_heavy_is_installed(installed):
    code = f"import importlib.util as u; print([n for n in {HEAVY} if u.find_spec(n)])"
    assert run(installed / "python", "-c", code) == "[]\n"


def test_help_works_for_every_command(installed):
    for command in ([], ["submit"], ["enroll"], ["report"], ["models"], ["health"]):
        assert "Usage: voiceman-client" in run(installed / "voiceman-client", *command, "--help")


def test_reports_say_which_extra_they_need(installed, tmp_path):
    command = [installed / "voiceman-client", "report", "x.json"]
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'voiceman[report]'" in done.stderr


def test_it_submits_to_a_server(installed, server, speech, tmp_path):
    (path,) = speech("telephone-call")
    samples = decode(path).waveforms[0][12 * SAMPLE_RATE_HZ : 15 * SAMPLE_RATE_HZ]
    write_sound(tmp_path / "short.m4a", samples, "aac")
    arguments = ("submit", "short.m4a", "--server", server.grpc_url)
    assert run(installed / "voiceman-client", *arguments, cwd=tmp_path) == "results/short.json\n"
    assert json.loads((tmp_path / "results/short.json").read_text())["segments"]
