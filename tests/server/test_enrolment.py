"""Known voices on a real server: a reader of LibriVox, and a call of two others."""

import json
from pathlib import Path

import pytest
from media import write_sound
from test_submit import run_client

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_client.decode import decode


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    """Run `voiceman-client` in one folder; returns the finished process."""
    folder = tmp_path_factory.mktemp("enrolment")

    def run(*arguments):
        return run_client(server, folder, *arguments)

    run.folder = folder
    return run


@pytest.fixture(scope="module")
def reader(client, speech):
    """Enrols the reader of LibriVox with all clips but the last; the last clip's path."""
    *known, new = speech("librivox")
    done = client("enroll", "the reader", *known)
    assert done.returncode == 0, done.stderr
    return new


def test_a_voice_is_stored_with_its_origin(client, reader, speech):
    document = json.loads((client.folder / "voices.json").read_text())
    voice = document["voices"]["the reader"]
    assert voice["speech"] >= 10
    assert set(voice["files"]) == {str(path) for path in speech("librivox")[:-1]}
    assert len(document["model"]["sha256"]) == 64


def test_a_known_voice_is_named_beside_the_speakers_label_and_a_strangers_is_not(
    client, reader, speech
):
    (call,) = speech("telephone-call")
    spoken = decode(call).waveforms[0][21 * SAMPLE_RATE_HZ : 28 * SAMPLE_RATE_HZ]
    stranger = write_sound(client.folder / "stranger.wav", spoken)
    done = client("submit", "--language", "en", "--voices", "voices.json", reader, stranger)
    assert done.returncode == 0, done.stderr
    results = {
        Path(p).stem: json.loads((client.folder / p).read_text()) for p in done.stdout.split()
    }
    (known,) = results[reader.stem]["speakers"]
    assert (known["id"], known["voice"]["name"]) == ("SPEAKER_00", "the reader")
    assert known["voice"]["similarity"] >= known["voice"]["threshold"]
    assert {speaker["voice"]["name"] for speaker in results["stranger"]["speakers"]} == {None}
    assert "calibrated" in results[reader.stem]["notes"]["voices"]


def test_a_call_of_two_is_no_voice(client, reader, speech):
    before = (client.folder / "voices.json").read_text()
    done = client("enroll", "somebody", *speech("telephone-call"))
    assert done.returncode == 1
    assert "another voice at" in done.stderr
    assert (client.folder / "voices.json").read_text() == before


def test_voices_of_other_weights_are_refused_before_anything_is_submitted(client, reader):
    document = json.loads((client.folder / "voices.json").read_text())
    document["model"]["sha256"] = "f" * 64
    (client.folder / "others.json").write_text(json.dumps(document))
    done = client("submit", "--voices", "others.json", reader)
    assert done.returncode == 2
    assert "enrol them again" in done.stderr
    done = client("enroll", "me", reader, "--voices", "others.json")
    assert done.returncode == 1
    assert "enrol them again" in done.stderr
