"""A server's folder and regions live exactly as long as its processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voiceman.errors import EnvironmentCheckError
from voiceman.server import run_folder as module
from voiceman.server.run_folder import remove_leftovers, run_folder

KILLED_SERVER = """
import subprocess, time
from voiceman.server.run_folder import run_folder
with run_folder() as folder:
    subprocess.Popen(["cat"], pass_fds=(folder.lock,))
    print(folder.path, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch) -> Path:
    """Our own temporary folder, and a folder that stands for /dev/shm."""
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    shared_memory = tmp_path / "shm"
    shared_memory.mkdir()
    monkeypatch.setattr(module, "SHARED_MEMORY", shared_memory)
    return shared_memory


def test_folder_and_regions_are_gone_afterwards(places):
    with run_folder() as folder:
        (places / f"{folder.prefix}region").touch()
        (places / "somebody-else").touch()
        (folder.path / "backends").mkdir()

    assert not folder.path.exists()
    assert [path.name for path in places.iterdir()] == ["somebody-else"]


def test_prefixes_are_unique_and_none_begins_another(places):
    with (
        run_folder() as first,
        run_folder() as second,
        run_folder("a") as a,
        run_folder("ab") as ab,
    ):
        prefixes = [first.prefix, second.prefix, a.prefix, ab.prefix]

        assert len(set(prefixes)) == 4
        assert not ab.prefix.startswith(a.prefix)


def test_running_server_is_left_alone(places):
    with run_folder() as folder:
        region = places / f"{folder.prefix}region"
        region.touch()

        assert remove_leftovers() == []
        assert folder.path.exists()
        assert region.exists()


def test_lock_lasts_until_the_last_process_of_a_killed_server_is_gone(places, tmp_path):
    """A model process may outlive tritonserver by a moment and still use its regions."""
    # `cat` stands for a model process; it ends when our end of its standard input is closed.
    server = subprocess.Popen(
        [sys.executable, "-c", KILLED_SERVER],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = Path(server.stdout.readline().strip())
    region = places / f"{folder.name}.region"
    region.touch()
    server.kill()
    server.wait()

    assert remove_leftovers() == []
    server.stdin.close()
    server.stdout.read()  # returns when `cat` has ended
    deadline = time.monotonic() + 10
    while not (removed := remove_leftovers()):
        assert time.monotonic() < deadline
    assert removed == [folder.name]
    assert not region.exists()
    assert not folder.exists()


def test_prefix_in_use_is_refused(places):
    with (
        run_folder("mine"),
        pytest.raises(EnvironmentCheckError, match="mine: a running server has this prefix"),
        run_folder("mine"),
    ):
        pass


def test_prefix_must_be_a_name(places):
    with pytest.raises(EnvironmentCheckError, match="no name"), run_folder("../escape"):
        pass


def test_folder_of_somebody_else_is_not_used(places, tmp_path):
    """In a shared temporary folder, another user could put programs in our place."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"voiceman-{module.os.getuid()}").symlink_to(elsewhere)

    with pytest.raises(EnvironmentCheckError, match="belongs to somebody else"), run_folder():
        pass
