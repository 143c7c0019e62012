"""What `voiceman-server` finds out before it starts anything."""

import shutil
import sys
from pathlib import Path

import pytest

from voiceman.errors import EnvironmentCheckError
from voiceman.manifest import Manifest, hash_files
from voiceman.server import checks, installation
from voiceman.server.checks import OPTIONAL_WEIGHTS, REQUIRED_WEIGHTS, check_environment
from voiceman.server.settings import Ports, ServerSettings

REPOSITORY = Path(__file__).parents[3] / "model_repository"


def write_weights(repository: Path, model: str, language: str = "") -> Path:
    folder = repository / model / "1" / "weights" / language
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(model.encode())
    Manifest(model, "name", "1", "MIT", "a test", "fp32", hash_files(folder)).write(folder)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The committed configs with weights of a few bytes where weights are required."""
    path = shutil.copytree(
        REPOSITORY, tmp_path / "models", ignore=shutil.ignore_patterns("weights", "__pycache__")
    )
    for model in REQUIRED_WEIGHTS:
        write_weights(path, model)
    return path


def settings(repository: Path, **changes) -> ServerSettings:
    return ServerSettings(repository, **({"ports": Ports.automatic()} | changes))


def problems(wanted: ServerSettings) -> list[str]:
    with pytest.raises(EnvironmentCheckError) as caught:
        check_environment(wanted)
    return str(caught.value).splitlines()


def test_complete_repository_passes_and_optional_weights_are_noted(repository):
    _, interpreter, notes = check_environment(settings(repository))

    assert interpreter.version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert [note.split(":")[0] for note in notes] == list(OPTIONAL_WEIGHTS)


def test_altered_weights_are_refused(repository):
    (repository / "whisper/1/weights/weights.bin").write_bytes(b"something else")

    (line,) = problems(settings(repository))
    assert "whisper/1/weights/weights.bin" in line
    assert "SHA-256" in line


def test_altered_optional_weights_are_refused_too(repository):
    folder = write_weights(repository, "emotion_dimensional")
    (folder / "weights.bin").unlink()

    (line,) = problems(settings(repository))
    assert "emotion_dimensional/1/weights/weights.bin: missing" in line


def test_altered_weights_of_one_language_are_refused(repository):
    korean, _ = (write_weights(repository, "word_alignment", code) for code in ("ko", "en"))
    (korean / "weights.bin").write_bytes(b"something else")

    (line,) = problems(settings(repository))
    assert "word_alignment/1/weights/ko/weights.bin" in line


def test_missing_repository_is_named(tmp_path):
    (line,) = problems(settings(tmp_path / "nowhere"))
    assert line.startswith(f"{tmp_path}/nowhere: no such folder")


def test_empty_repository_is_named(tmp_path):
    (line,) = problems(settings(tmp_path))
    assert "holds no models" in line


def test_folder_that_is_no_model_is_named(repository):
    (repository / "notes").mkdir()

    (line,) = problems(settings(repository))
    assert "notes: has no config.pbtxt" in line


def test_same_port_twice_is_named_for_both(repository):
    lines = problems(settings(repository, ports=Ports(grpc=45001, http=45001, metrics=0)))

    assert [line.split(":")[0] for line in lines] == ["gRPC port 45001", "HTTP port 45001"]
    assert all("wanted twice" in line for line in lines)


@pytest.mark.parametrize("ports", [Ports(45001, 45002, 45003), Ports.automatic()])
@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no.such.host.invalid", "a..b", ""])
def test_host_that_is_not_this_machine_is_named_once(repository, host, ports):
    (line,) = problems(settings(repository, host=host, ports=ports))
    assert host in line
    assert "Unknown error" not in line
    assert line.endswith("; set --host to an address of this machine")


def test_small_shared_memory_is_named_with_what_to_do(repository, monkeypatch):
    monkeypatch.setattr(checks, "SHARED_MEMORY_BYTES", 1 << 60)

    (line,) = problems(settings(repository))
    assert str(checks.SHARED_MEMORY) in line
    assert "--shm-size" in line


def test_interpreter_without_packages_is_named_with_them(repository, monkeypatch):
    monkeypatch.setattr(checks, "MODEL_PACKAGES", ("voiceman", "no_such_package"))

    (line,) = problems(settings(repository))
    assert "has no no_such_package; install" in line


def test_python_that_does_not_run_is_named(repository, tmp_path):
    (line,) = problems(settings(repository, python=tmp_path / "python3"))
    assert f"{tmp_path}/python3: does not run" in line


def test_missing_library_is_named_with_what_to_do(repository, monkeypatch):
    """Without the folder of libpython the loader finds at best another build of it."""
    listing = "\tlibpython3.11.so.1.0 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n"
    ldd = checks.subprocess.CompletedProcess([], 0, stdout=listing)
    monkeypatch.setattr(checks.subprocess, "run", lambda *_, **__: ldd)
    triton = installation.Triton(Path("/bin/sh"), Path("/"), stubs=None)
    monkeypatch.setattr(installation.Triton, "stub", lambda *_: Path("/bin/sh"))
    python = installation.Interpreter(Path(sys.executable), "3.11", "", "1.26.4", ())

    lines = list(checks._triton_problems(triton, python))
    assert len(lines) == 2
    assert all(
        "libpython3.11.so.1.0, which is not found; install libpython3.11" in x for x in lines
    )


def test_given_tritonserver_that_is_not_there_is_named(repository, tmp_path):
    lines = problems(settings(repository, tritonserver=tmp_path / "bin" / "tritonserver"))

    assert f"{tmp_path}/bin/tritonserver: no such executable" in lines[0]
    assert f"{tmp_path}/backends/python/triton_python_backend_stub" in lines[1]
