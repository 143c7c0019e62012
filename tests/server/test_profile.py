"""The profile `reproducible` on a real server: the same recordings give the same bytes.

In fp32, where by default what a window becomes depends on how many are decoded beside it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2] / "model_repository"
CLIENT = Path(sys.executable).with_name("voiceman-client")


@pytest.fixture
def address(voiceman_server):
    """The gRPC address of a server under the profile."""
    options = ("--model-repository", REPOSITORY, "--ports", "auto", "--profile", "reproducible")
    with voiceman_server(*options, VOICEMAN_WHISPER_PRECISION="fp32") as command:
        line = command.first_line()
        assert line, "\n".join(command.log)
        yield json.loads(line)["grpc"]


@pytest.mark.timeout(300)
def test_recordings_side_by_side_are_those_one_after_the_other(address, speech, tmp_path):
    english = speech("telephone-call")[0]
    korean = next(path for path in speech("korean-calls") if path.name.startswith("ko-KR"))
    for in_flight in ("16", "1"):
        subprocess.run(
            [CLIENT, "submit", english, korean, "-o", in_flight, "--in-flight", in_flight],
            cwd=tmp_path,
            env=os.environ | {"VOICEMAN_SERVER": address},
            check=True,
            timeout=200,
        )
    for recording in (english, korean):
        name = f"{recording.stem}.json"
        together, alone = ((tmp_path / folder / name).read_bytes() for folder in ("16", "1"))
        result = json.loads(together)
        assert result["segments"]
        weights = [m["weights"] for m in result["provenance"]["models"].values() if "weights" in m]
        assert {each["profile"] for each in weights} == {"reproducible"}
        assert together == alone
