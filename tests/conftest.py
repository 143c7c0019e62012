"""What tests share: a real server, real speech, and model repositories of a few lines."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from voiceman.errors import EnvironmentCheckError
from voiceman.server.process import RunningServer, start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_export.assets import fetch
from voiceman_export.registries import ProgramMissingError

ROOT = Path(__file__).parents[1]
REPOSITORY = ROOT / "model_repository"
SOUND_SUFFIXES = {".wav", ".flac"}
READY_TIMEOUT_S = 120


# Every run of a test does its own work; who tests the cache of answers asks for it.
os.environ["VOICEMAN_CACHE_SIZE"] = "0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/server starts a tritonserver."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "server"):
            item.add_marker("server")


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A server on the whole repository; a canary has gone through every model."""
    settings = ServerSettings(REPOSITORY, ports=Ports.automatic())
    try:
        with start(settings) as running:
            yield running
    except EnvironmentCheckError as err:
        pytest.fail(f"no server for the tests:\n{err}\nrun `make export` first", pytrace=False)


@pytest.fixture(scope="session")
def speech() -> Callable[[str], list[Path]]:
    """Paths of the recordings of a catalogue asset, "telephone-call" for example."""

    def recordings(name: str) -> list[Path]:
        try:
            folder = fetch(name)
        except ProgramMissingError as err:
            pytest.skip(f"{name}: {err}")
        return sorted(path for path in folder.iterdir() if path.suffix in SOUND_SUFFIXES)

    return recordings


@pytest.fixture(scope="session")
def korean_font():
    """Path of the catalogue's font."""
    try:
        return fetch("korean-font") / "NanumGothic_400Regular.ttf"
    except ProgramMissingError as err:
        pytest.skip(f"no font with Hangul: {err}")


class ModelRepository:
    """A model repository made by a test, of Python models of a few lines."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, name: str, config: str, code: str = "") -> None:
        """Add a model: its config without the name, and its model.py (none: an ensemble)."""
        version = self.path / name / "1"
        version.mkdir(parents=True)
        (self.path / name / "config.pbtxt").write_text(f'name: "{name}"\n{config}')
        if code:
            (version / "model.py").write_text(code)

    def start(self, **settings) -> AbstractContextManager[RunningServer]:
        """A server on this repository, on ports of its own."""
        defaults = {"ports": Ports.automatic(), "ready_timeout_s": READY_TIMEOUT_S}
        return start(ServerSettings(self.path, **(defaults | settings)))


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    """An empty model repository."""
    path = tmp_path / "models"
    path.mkdir()
    return ModelRepository(path)


class Command:
    """A running `voiceman-server`."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        self.log.extend(self.process.stderr)

    def first_line(self) -> str:
        """The first line on standard output; empty if it ended without one."""
        return self.process.stdout.readline()

    def wait(self, timeout_s: float = 60) -> int:
        """Its exit code, after all of its log was read."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code


@pytest.fixture
def voiceman_server() -> Callable[..., AbstractContextManager[Command]]:
    """Run the command `voiceman-server` with some options; it is killed at the end."""

    @contextmanager
    def run(*options: str | Path, **variables: str) -> Generator[Command]:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("voiceman-server"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )
        command = Command(process)
        try:
            yield command
        finally:
            process.kill()
            command.wait()
            process.stdout.close()
            process.stderr.close()

    return run
