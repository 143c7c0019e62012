"""The profile on its way from the command line to the models and into what they say."""

from pathlib import Path

import pytest

from voiceman.errors import ConfigurationError
from voiceman.manifest import Manifest
from voiceman.profile import PROFILES, VARIABLE, profile_in_use
from voiceman.server.installation import Interpreter, Triton, server_environment

TRITON = Triton(Path("/t/tritonserver"), Path("/t/backends"))
PYTHON = Interpreter(Path("/p/python"), "3.11", "", "1.26.4", ())


@pytest.mark.parametrize("profile", PROFILES)
def test_models_read_what_the_server_was_started_with(profile):
    inherited = {VARIABLE: "reproducible", "PATH": "/bin"}
    environment = server_environment(TRITON, PYTHON, profile, inherited)
    assert profile_in_use(environment) == profile


def test_no_variable_means_the_default():
    assert profile_in_use({}) == profile_in_use({VARIABLE: ""}) == "default"


def test_an_unknown_profile_is_refused():
    with pytest.raises(ConfigurationError, match="'fast'; known are default, reproducible"):
        profile_in_use({VARIABLE: "fast"})


@pytest.mark.parametrize("profile", PROFILES)
def test_weights_name_the_profile_they_are_worked_with(profile, monkeypatch):
    monkeypatch.setenv(VARIABLE, profile)
    manifest = Manifest("whisper", "whisper-base", "1", "MIT", "", "fp32", {})
    assert manifest.weights.get("profile") == profile
