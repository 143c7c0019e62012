"""The example that calls `forensic` without our client works as printed."""

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "forensic_call.py"
MAX_LINES = 30


def test_example_prints_the_transcript_of_a_telephone_call(server, speech):
    (sound, *_) = speech("telephone-call")

    run = subprocess.run(
        [sys.executable, EXAMPLE, sound, server.grpc_url],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )

    assert "hello" in run.stdout.lower()
    assert len(run.stdout.splitlines()) > 1
    assert run.stderr == ""


def test_example_is_short_and_needs_tritonclient_only():
    lines = EXAMPLE.read_text().splitlines()

    assert len(lines) <= MAX_LINES
    assert not any("voiceman" in line for line in lines if "import" in line)
