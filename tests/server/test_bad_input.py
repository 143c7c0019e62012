"""Bad input gets an error that names it, and the good recording beside it is finished."""

import ctypes
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from media import truncate, write_sound, write_video

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.server.process import start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_client.decode import decode
from voiceman_client.ledger import LEDGER_FILES, LEDGER_NAME
from voiceman_client.run_log import LOG_NAME

CLIENT = Path(sys.executable).with_name("voiceman-client")
REPOSITORY = Path(__file__).parents[2] / "model_repository"
PERFORMANCE = ("performance.json", "performance.html")
FILES_OF_A_RUN = {LOG_NAME, LEDGER_NAME, "job_summary.json", *PERFORMANCE}
# <linux/prctl.h> and <linux/capability.h>
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture(scope="module")
def utterance(speech):
    """3 s of a real telephone call, INT16 [n]."""
    (path,) = speech("telephone-call")
    return decode(path).waveforms[0][12 * SAMPLE_RATE_HZ : 15 * SAMPLE_RATE_HZ]


@pytest.fixture
def good(utterance, tmp_path):
    return write_sound(tmp_path / "good.wav", utterance)


@pytest.fixture
def submit(server, tmp_path):
    """Run `voiceman-client submit` in a folder of its own; returns the finished process."""

    def run(*arguments, address=server.grpc_url, **options):
        return subprocess.run(
            [CLIENT, "submit", *map(str, arguments), "--server", address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )

    return run


def empty(path, utterance):
    path.touch()


def text(path, utterance):
    path.write_text("This is a letter, not a sound.\n" * 50)


def cut_off_index(path, utterance):
    truncate(write_sound(path, utterance, "aac"), 0.6)


def pictures_only(path, utterance):
    write_video(path)


def a_millisecond(path, utterance):
    write_sound(path, utterance[:16])


def not_numbers(path, utterance):
    sound = utterance.astype(np.float32) / 32768
    sound[100:200] = np.nan
    write_sound(path, sound, "pcm_f32le")


def missing(path, utterance):
    pass


@pytest.mark.parametrize(
    "bad",
    [
        ("empty.wav", empty, "empty, 0 bytes"),
        ("letter.wav", text, "not a sound file"),
        ("cut.m4a", cut_off_index, "damaged beyond reading"),
        ("film.mp4", pictures_only, "without a sound track"),
        ("click.wav", a_millisecond, "1.0 ms of sound, at least 25 ms are needed"),
        ("nan.wav", not_numbers, "100 samples near 0.000 s are not finite"),
        ("gone.wav", missing, "no such file"),
    ],
    ids=lambda bad: bad[0],
)
def test_unusable_files_are_named_and_harm_nothing(submit, good, utterance, tmp_path, bad):
    name, make, reason = bad
    make(tmp_path / name, utterance)
    done = submit(name, good)
    assert done.returncode == 1
    assert f"failed: {name}: " in done.stderr
    assert reason in done.stderr
    assert done.stdout == "results/good.json\n"
    assert json.loads((tmp_path / "results/good.json").read_text())["segments"]
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"good.json", *FILES_OF_A_RUN}


def test_truncated_m4a_is_transcribed_as_far_as_it_goes_and_flagged(submit, utterance, tmp_path):
    path = write_sound(tmp_path / "cut.m4a", np.tile(utterance, 2), "aac", movflags="faststart")
    done = submit(truncate(path, 0.7))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results/cut.json").read_text())
    assert result["segments"]
    assert "truncated" in {flag["kind"] for flag in result["flags"]}


def test_silence_is_a_result_without_segments(submit, good, tmp_path):
    write_sound(tmp_path / "silence.wav", np.zeros(5 * SAMPLE_RATE_HZ, np.int16))
    done = submit("silence.wav", good)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results/silence.json").read_text())
    assert result["segments"] == []
    assert [flag["kind"] for flag in result["flags"]] == ["no_speech"]
    assert "weights" in result["provenance"]["models"]["voice_activity"]


def test_unknown_language_is_refused_by_name(submit, good, tmp_path):
    done = submit(good, "--language", "tlh")
    assert done.returncode == 2
    assert "tlh" in done.stderr
    assert not (tmp_path / "results/good.json").exists()


def obey_file_modes():
    """In the child: give up what lets root read every file. The kernel does the refusing."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None, use_errno=True).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def test_no_permission_is_said_and_harms_nothing(submit, good, utterance, tmp_path):
    write_sound(tmp_path / "secret.wav", utterance).chmod(0)
    done = submit("secret.wav", good, preexec_fn=obey_file_modes)
    assert done.returncode == 1, done.stderr
    assert "failed: secret.wav: no permission to read" in done.stderr
    assert done.stdout == "results/good.json\n"


def test_full_disk_is_said_and_leaves_no_half_file(submit, good, tmp_path):
    """A limit on the size of files fails a write as a full disk does: in the middle."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))  # the log's lines fit

    done = submit(good, preexec_fn=limit, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 1, done.stderr
    assert "failed: results/ledger.sqlite3: " in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written <= {"run_log.jsonl", *LEDGER_FILES}


def test_read_only_output_folder_is_said(submit, good, tmp_path):
    (tmp_path / "results").touch()
    done = submit(good, "--output", "results/deeper")
    assert done.returncode == 1
    assert "results/deeper/run_log.jsonl: " in done.stderr


def test_unreachable_server_ends_the_run(submit, good, tmp_path):
    closed = f"127.0.0.1:{Ports.automatic().resolve('127.0.0.1').grpc}"
    done = submit(good, address=closed)
    assert done.returncode == 3
    assert f"{closed}: nobody answers" in done.stderr
    assert done.stdout == ""
    for command in ("health", "models"):
        asked = subprocess.run(
            [CLIENT, command, "--server", closed], capture_output=True, timeout=60, check=False
        )
        assert (asked.returncode, asked.stdout) == (3, b"")


@pytest.fixture(scope="module")
def half_ready():
    """A server of which only one model is loaded."""
    settings = ServerSettings(REPOSITORY, models=("utterances",), ports=Ports.automatic())
    with start(settings) as running:
        yield running


def test_half_ready_server_is_told_from_a_ready_one(submit, good, half_ready):
    done = submit(good, "--server-away", "2", address=half_ready.grpc_url)
    assert done.returncode == 1
    assert f"{half_ready.grpc_url}: not ready: " in done.stderr
    assert "whisper" in done.stderr


def test_health_names_the_models_that_do_not_answer(half_ready):
    done = subprocess.run(
        [CLIENT, "health", "--server", half_ready.grpc_url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "half-ready\n")
    assert "whisper: " in done.stderr
    assert "utterances: " not in done.stderr


def test_models_of_a_guarded_half_ready_server_are_listed(half_ready):
    done = subprocess.run(
        [CLIENT, "models", "--format", "json", "--server", half_ready.grpc_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    states = {model["name"]: model["state"] for model in map(json.loads, done.stdout.splitlines())}
    assert states["utterances"] == "READY"
    assert states["whisper"] == "not in the server"


def test_names_that_are_not_utf_8_are_finished_beside_names_that_cannot_be(submit, good):
    korean = good.rename(good.with_name(os.fsdecode("통화.wav".encode("cp949"))))
    listed = f"nul\0.wav\n{korean.name}\n{'x' * 300}.wav\n"
    done = submit("-", input=listed, errors="surrogateescape")
    assert done.returncode == 1
    assert done.stderr.count("failed: ") == 2
    (result,) = done.stdout.splitlines()
    assert result == f"results/{korean.stem}.json"
    source = json.loads((good.parent / result).read_bytes())["provenance"]["source"]
    assert source["file"].startswith(f"{good.parent}/\\xc5\\xeb")
