"""`voiceman-client` on a real server and a real telephone call."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path
from urllib.request import urlopen

import jsonschema
import numpy as np
import pytest
import tritonclient.grpc as triton
from media import write_sound

import voiceman_client
from voiceman.analysis.coverage import total_s, union
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.contracts import MODELS
from voiceman.manifest import sha256_of
from voiceman_client.decode import decode
from voiceman_client.transport import to_tensors

CLIENT = Path(sys.executable).with_name("voiceman-client")
SCHEMA = json.loads(files("voiceman_client").joinpath("result.schema.json").read_text())


def run_client(server, folder, *arguments, **options):
    """Run `voiceman-client` in a folder; returns the finished process."""
    return subprocess.run(
        [CLIENT, *map(str, arguments)],
        env=os.environ | {"VOICEMAN_SERVER": server.grpc_url},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


@pytest.fixture
def client(server, tmp_path):
    """Run `voiceman-client` in a folder of its own; returns the finished process."""
    return partial(run_client, server, tmp_path)


@pytest.fixture(scope="module")
def call(speech):
    """The two-speaker telephone call: its path and its samples."""
    (path,) = speech("telephone-call")
    return path, decode(path).waveforms[0]


def read_result(path):
    result = json.loads(Path(path).read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    return result


def excerpt(path, samples, start_s, end_s, codec="pcm_s16le"):
    span = slice(round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ))
    return write_sound(path, samples[span], codec)


@pytest.fixture(scope="module")
def submitted(server, call, tmp_path_factory):
    """The folder with all files of the telephone call, submitted once."""
    path, _ = call
    folder = tmp_path_factory.mktemp("submitted")
    run_client(server, folder, "submit", path, "--format", "json,srt,vtt,txt", "--speakers", 2)
    return folder / "results"


def test_a_call_becomes_text_with_two_speakers(submitted):
    result = read_result(submitted / "sample.json")
    text = " ".join(segment["text"] for segment in result["segments"])
    assert "New Jersey" in text
    assert "Chicago" in text
    assert result["language"] == "en"
    assert len(result["speakers"]) == 2
    assert {word["speaker"] for word in result["word_segments"]} == {
        speaker["id"] for speaker in result["speakers"]
    }


def test_every_format_holds_the_text(submitted):
    paths = list(submitted.glob("sample.*"))
    assert sorted(path.suffix for path in paths) == [".json", ".srt", ".txt", ".vtt"]
    for path in paths:
        assert "Chicago" in path.read_text()


def test_one_changed_byte_of_a_run_is_found(submitted, client, tmp_path):
    folder = shutil.copytree(submitted, tmp_path / "results")
    intact = client("verify", folder, "--inputs")
    assert intact.returncode == 0, intact.stdout
    assert ": intact, 7 files, " in intact.stdout
    subtitles = folder / "sample.srt"
    subtitles.write_text(subtitles.read_text().replace("Chicago", "Chicagо"))  # a Cyrillic o
    changed = client("verify", folder)
    assert changed.returncode == 1
    assert changed.stdout.startswith("sample.srt: changed: ")


def test_word_times_lie_within_the_speech(submitted, call):
    path, _ = call
    words = read_result(submitted / "sample.json")["word_segments"]
    turns = [line.split() for line in path.with_suffix(".rttm").read_text().splitlines()]
    spans = [(float(turn[3]), float(turn[3]) + float(turn[4])) for turn in turns]
    middles = np.array([(word["start"] + word["end"]) / 2 for word in words])
    inside = np.mean([any(s - 0.2 <= m <= e + 0.2 for s, e in spans) for m in middles])
    assert len(words) > 40
    assert inside > 0.9


def test_nearly_all_of_the_speech_has_text(submitted, call):
    path, _ = call
    result = read_result(submitted / "sample.json")
    turns = [line.split() for line in path.with_suffix(".rttm").read_text().splitlines()]
    spans = ((float(turn[3]), float(turn[3]) + float(turn[4])) for turn in turns)
    assert result["speech"] == pytest.approx(total_s(union(spans, 0.0, 30.0)), rel=0.15)
    assert result["speech_with_text"] > 0.9
    assert "speech_with_text" not in result["unavailable"]


@pytest.mark.parametrize("spans", [None, [[0.0, 3.0]]])
def test_turns_reach_the_evidence_and_may_be_left_out(server, call, spans):
    _, samples = call
    inputs = {"WAVEFORM": samples[12 * SAMPLE_RATE_HZ : 15 * SAMPLE_RATE_HZ], "LANGUAGE": "en"}
    if spans:
        inputs["TURNS"] = np.array(spans, np.float32)
    with triton.InferenceServerClient(server.grpc_url) as client:
        answer = client.infer("forensic", to_tensors("forensic", inputs), client_timeout=120)
    evidence = json.loads(answer.as_numpy("EVIDENCE").item())
    if spans:
        assert evidence["speech"] == 3.0
        assert 0.5 < evidence["speech_with_text"] <= 1.0
    else:
        assert evidence["speech"] is evidence["speech_with_text"] is None
        assert "no TURNS were sent" in evidence["unavailable"]["speech_with_text"]


def test_provenance_names_what_the_result_rests_on(submitted, call):
    path, _ = call
    provenance = read_result(submitted / "sample.json")["provenance"]
    assert provenance["options"]["speakers"] == 2
    assert provenance["models"].keys() >= MODELS.keys()
    for name in ("whisper", "voice_activity", "scoring", "recording_summary"):
        assert len(provenance["models"][name]["weights"]["sha256"]) == 64
    assert {len(provenance["models"][name]["config_sha256"]) for name in MODELS} == {64}
    assert provenance["source"]["sha256"] == sha256_of(path)
    assert provenance["server"]["name"] == "triton"


def test_windows_of_several_recordings_are_decoded_together(server, client, call, tmp_path):
    _, samples = call
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(5):
        start = 6.5 + number
        excerpt(folder / f"{number}.flac", samples, start, start + 2 + number, "flac")
    before, slots_before = statistics(client), slots(server)
    done = client("submit", folder, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [f"results/{n}.json" for n in range(5)]
    after, slots_after = statistics(client), slots(server)
    asked = after["forensic"]["inferences"] - before["forensic"]["inferences"]
    assert asked == 1 + 5  # the first asks for the weights
    steps, rows = (slots_after[name] - slots_before[name] for name in ("steps", "rows"))
    assert rows > 1.2 * steps
    for number in range(5):
        read_result(tmp_path / f"results/{number}.json")


def slots(server):
    """Steps of the Whisper engine so far, and the rows in all of them."""
    with urlopen(f"http://{server.metrics_url}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return {
        name: float(line.split()[-1])
        for name in ("steps", "rows")
        for line in lines
        if line.startswith(f"voiceman_whisper_{name}_total")
    }


def statistics(client):
    listed = client("models", "--format", "json")
    return {model["name"]: model for model in map(json.loads, listed.stdout.splitlines())}


def test_a_speaker_per_channel_gives_a_speaker_per_channel(client, call, tmp_path):
    path, samples = call
    sides = [np.zeros_like(samples), np.zeros_like(samples)]
    speakers = []
    for line in path.with_suffix(".rttm").read_text().splitlines():
        _, _, _, start, length, _, _, name, *_ = line.split()
        speakers += [name] if name not in speakers else []
        span = slice(
            round(float(start) * SAMPLE_RATE_HZ),
            round((float(start) + float(length)) * SAMPLE_RATE_HZ),
        )
        sides[speakers.index(name)][span] = samples[span]
    write_sound(tmp_path / "two.wav", sides)
    assert client("submit", "two.wav", "--language", "en").returncode == 0
    result = read_result(tmp_path / "results/two.json")
    assert result["provenance"]["channels"] == [0, 1]
    assert sorted(speaker["channel"] for speaker in result["speakers"]) == [0, 1]
    said = {
        channel: " ".join(s["text"] for s in result["segments"] if s["channel"] == channel)
        for channel in (0, 1)
    }
    assert "Texas" in said[speakers.index("speaker91")]


def test_equal_names_from_two_folders_both_stay(client, call, tmp_path):
    _, samples = call
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        excerpt(tmp_path / name / "call.wav", samples, 12, 15)
    done = client("submit", "-", input="a/call.wav\nb/call.wav\n")
    assert done.returncode == 0, done.stderr
    first, second = (read_result(tmp_path / path) for path in done.stdout.split())
    assert {first["provenance"]["source"]["file"], second["provenance"]["source"]["file"]} == {
        str(tmp_path / "a/call.wav"),
        str(tmp_path / "b/call.wav"),
    }


def test_programs_get_results_without_files(server, call, tmp_path):
    _, samples = call
    short = excerpt(tmp_path / "short.wav", samples, 12, 15)
    result = voiceman_client.process(short, server=server.grpc_url, language="en")
    assert "New Jersey" in result["segments"][0]["text"]
    with voiceman_client.Client(server.grpc_url) as client:
        assert client.health() == {}
        outcomes = {o.path: o for o in client.process_batch([short, tmp_path / "no.wav"])}
        assert outcomes[short].result["segments"] == result["segments"]
        assert "no such file" in str(outcomes[tmp_path / "no.wav"].error)


def test_models_and_health_show_a_working_server(client):
    table = client("models")
    assert table.returncode == 0
    assert all(name in table.stdout for name in MODELS)
    health = client("health")
    assert (health.returncode, health.stdout) == (0, "ready\n")
