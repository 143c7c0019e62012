"""How large the cache may be, and the commands that show and empty it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from voiceman.errors import ConfigurationError
from voiceman_client import cache_size
from voiceman_client.answer_cache import AnswerCache, key_of
from voiceman_client.cache_commands import cache
from voiceman_client.cache_size import GB, open_cache, size_limit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEMAN_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("VOICEMAN_CACHE_SIZE", raising=False)
    return tmp_path / "answers"


@pytest.mark.parametrize(
    ("size_gb", "memory", "room", "limit"),
    [
        (None, 128, 1000, 30),
        (None, 64, 1000, 30),
        (None, 63, 1000, 10),
        (None, 128, 40, 20),
        (None, 128, 1.5, 1),
        (None, 128, 0.5, 0.5),
        (2, 128, 1000, 2),
        (200, 16, 1000, 200),
        (200, 16, 50, 50),
    ],
)
def test_the_limit_goes_by_memory_and_room(
    size_gb: float | None, memory: float, room: float, limit: float
):
    assert size_limit(size_gb, int(memory * GB), int(room * GB)) == limit * GB


@given(st.integers(0, 10**12), st.integers(0, 10**13))
def test_never_under_1_gb_unless_the_disk_is_smaller(memory: int, room: int):
    limit = size_limit(None, memory, room)
    assert limit >= min(GB, room)
    assert limit <= min(room, 30 * GB)


def test_less_than_1_gb_is_refused_and_0_is_none(folder: Path):
    with pytest.raises(ConfigurationError, match=r"0\.5 GB, at least 1 GB"):
        open_cache(0.5)
    assert open_cache(0) is None


def test_a_machine_without_proc_is_a_small_one(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def unreadable() -> None:
        raise FileNotFoundError

    monkeypatch.setattr(cache_size, "host_memory", unreadable)
    opened = open_cache(None)
    assert opened
    assert opened.folder == folder
    assert GB <= opened.limit_bytes <= 10 * GB


def fill(folder: Path) -> None:
    for n in range(3):
        AnswerCache(folder, GB).put(key_of("test", {"n": n}), bytes(1000))


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(cache, [*arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_stats_of_a_cache_that_is_not_there(folder: Path):
    shown = run("stats")
    assert (shown["entries"], shown["size_bytes"], shown["least_recently_used"]) == (0, 0, None)
    assert not folder.exists()


def test_stats_then_clear(folder: Path):
    fill(folder)
    shown = run("stats", "--cache-size", "2")
    assert shown["folder"] == str(folder)
    assert (shown["entries"], shown["limit_bytes"]) == (3, 2 * GB)
    assert shown["size_bytes"] > 3000
    assert shown["least_recently_used"] <= shown["most_recently_used"]
    assert run("clear") == {
        "folder": str(folder),
        "removed": 3,
        "size_bytes": shown["size_bytes"],
    }
    assert run("stats")["entries"] == 0


def test_lines_to_read_are_the_default(folder: Path):
    fill(folder)
    result = CliRunner().invoke(cache, ["stats", "--cache-size", "2"])
    assert "entries: 3\nsize: 3.2 kB\nlimit: 2.0 GB\n" in result.output


def test_an_empty_cache_was_never_used(folder: Path):
    result = CliRunner().invoke(cache, ["stats"])
    assert result.output.endswith("least recently used: never\nmost recently used: never\n")


def test_the_variable_sets_the_size_and_too_little_is_an_error_of_usage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VOICEMAN_CACHE_SIZE", "0.1")
    result = CliRunner().invoke(cache, ["stats"])
    assert result.exit_code == 2
    assert "at least 1 GB" in result.output
