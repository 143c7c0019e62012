"""What was stored comes back as it was or not at all, and no fault of a cache fails a run."""

import errno
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman_client.answer_cache import AnswerCache, clear, entries_in, key_of

MB = 10**6
ONE, OTHER = key_of("test", {"n": 1}), key_of("test", {"n": 2})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "answers"


def cache(folder: Path, limit_bytes: int = 100 * MB) -> AnswerCache:
    return AnswerCache(folder, limit_bytes)


def path_of(folder: Path, key: str) -> Path:
    return folder / key[:2] / key[2:]


def size_of(folder: Path) -> int:
    return sum(entry.size_bytes for entry in entries_in(folder))


@pytest.mark.parametrize("value", [b"", b"\n", b"x" * 3 * MB, bytes(range(256))])
def test_a_value_comes_back_in_this_process_and_in_the_next(folder: Path, value: bytes):
    first = cache(folder)
    assert first.get(ONE) is None
    first.put(ONE, value)
    assert first.get(ONE) == cache(folder).get(ONE) == value
    assert (first.counts.hits, first.counts.misses, first.counts.stored) == (1, 1, 1)


def test_a_value_that_is_stored_again_replaces_the_first(folder: Path):
    both = cache(folder)
    both.put(ONE, b"stale")
    both.put(ONE, b"fresh")
    assert both.get(ONE) == cache(folder).get(ONE) == b"fresh"


def test_what_people_said_is_for_the_owner_only(folder: Path):
    cache(folder).put(ONE, b"secret")
    assert folder.stat().st_mode & 0o077 == 0


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none())))
def test_the_key_depends_on_all_parts_and_not_on_their_order(parts):
    key = key_of("test", parts)
    assert key == key_of("test", dict(reversed(parts.items())))
    assert key not in {key_of("other", parts), key_of("test", {**parts, "one more": 1})}
    assert len(key) == 64


@given(st.data())
def test_a_damaged_entry_is_a_miss_and_goes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("answers")
    cache(folder).put(ONE, b"what was said")
    path = path_of(folder, ONE)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    reader = cache(folder)
    assert reader.get(ONE) is None
    assert not path.exists()
    assert (reader.counts.damaged, reader.counts.misses) == (1, 1)


def test_a_damaged_entry_is_named_in_the_log(folder: Path, caplog: pytest.LogCaptureFixture):
    cache(folder).put(ONE, b"what was said")
    path_of(folder, ONE).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        cache(folder).get(ONE)
    assert str(path_of(folder, ONE)) in caplog.text
    assert "damaged" in caplog.text


def test_an_entry_under_anothers_name_is_not_given_out(folder: Path):
    cache(folder).put(ONE, b"what was said")
    path_of(folder, OTHER).parent.mkdir(exist_ok=True)
    path_of(folder, ONE).rename(path_of(folder, OTHER))
    assert cache(folder).get(OTHER) is None


def test_the_least_recently_used_make_room(folder: Path):
    keys = [key_of("test", {"n": n}) for n in range(12)]
    filling = cache(folder, 10 * MB)
    for age, key in enumerate(keys[:9]):
        filling.put(key, bytes(MB))
        os.utime(path_of(folder, key), (0, 1000 + age))
    assert cache(folder).get(keys[0])  # used just now
    for key in keys[9:]:
        filling.put(key, bytes(MB))
    kept = [key for key in keys if path_of(folder, key).exists()]
    assert kept[0] == keys[0]
    assert keys[1] not in kept
    assert kept[1:] == keys[-len(kept) + 1 :]
    assert size_of(folder) <= 10 * MB
    assert filling.counts.removed == 12 - len(kept)


def test_a_hit_in_memory_counts_as_used_on_the_disk_too(folder: Path):
    both = cache(folder)
    both.put(ONE, b"x")
    os.utime(path_of(folder, ONE), (0, 1000))
    assert both.get(ONE)
    assert path_of(folder, ONE).stat().st_mtime > 1000


def test_what_other_processes_stored_counts(folder: Path):
    writers = [cache(folder, 10 * MB) for _ in range(3)]
    for n in range(60):
        writers[n % 3].put(key_of("test", {"n": n}), bytes(MB // 3))
        assert size_of(folder) <= 10 * MB * 1.15


def test_an_entry_larger_than_the_cache_is_not_stored(folder: Path):
    small = cache(folder, MB)
    small.put(ONE, bytes(MB))
    assert small.get(ONE) is None
    assert list(entries_in(folder)) == []


def test_memory_holds_a_hundredth_of_the_limit(folder: Path):
    both = cache(folder, 100 * MB)
    keys = [key_of("test", {"n": n}) for n in range(5)]
    for key in keys:
        both.put(key, bytes(300_000))
    for key in keys:
        path_of(folder, key).unlink()
    assert [both.get(key) is not None for key in keys] == [False, False, True, True, True]


def test_a_full_disk_is_said_once_and_leaves_no_half_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    both = cache(folder)
    both.put(ONE, b"before")
    tried = []

    def no_room(file: int) -> None:
        tried.append(file)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_room)
    with caplog.at_level(logging.WARNING):
        for n in range(5):
            both.put(key_of("full", {"n": n}), b"after")
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}: nothing more is cached in this run (No space left on device)"
    ]
    assert len(tried) == 1
    assert both.get(ONE) == cache(folder).get(ONE) == b"before"
    assert both.get(key_of("full", {"n": 4})) == b"after", "memory is not full"
    assert [path for path in folder.rglob("*") if path.is_file()] == [path_of(folder, ONE)]


def test_a_folder_that_cannot_be_made_or_read_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("no folder")
    barred = cache(tmp_path / "file" / "answers")
    with caplog.at_level(logging.WARNING):
        assert barred.get(ONE) is None
        barred.put(ONE, b"x")
        barred.put(OTHER, b"x")
        assert barred.get(OTHER) == b"x"
    assert len(caplog.records) == 1


def test_what_a_crash_left_half_written_goes_after_an_hour(folder: Path):
    cache(folder).put(ONE, b"x")
    fresh, old = (path_of(folder, ONE).with_name(f".voiceman-{name}") for name in "ab")
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    assert [entry.path for entry in entries_in(folder)] == [path_of(folder, ONE)]
    assert fresh.exists()
    assert not old.exists()


def test_clear_removes_all_and_says_how_much(folder: Path):
    assert clear(folder) == (0, 0)
    filling = cache(folder)
    filling.put(ONE, b"x")
    filling.put(OTHER, b"y")
    assert clear(folder) == (2, 2 * len(b"voiceman-cache/1 \n" + b"0" * 64 + b"x"))
    assert cache(folder).get(ONE) is None


def test_threads_may_share_it(folder: Path):
    shared = cache(folder, 2 * MB)

    def work(n: int) -> None:
        key = key_of("test", {"n": n % 40})
        value = shared.get(key)
        assert value in {None, key.encode() * 1000}
        shared.put(key, key.encode() * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    assert size_of(folder) <= 2 * MB
    assert shared.counts.hits + shared.counts.misses == 400


WORKER = """
import sys
from pathlib import Path
from voiceman_client.answer_cache import AnswerCache, key_of
cache = AnswerCache(Path(sys.argv[1]), 2_000_000)
for n in range(300):
    key = key_of("test", {"n": n % 60})
    assert cache.get(key) in (None, key.encode() * 1000), n
    cache.put(key, key.encode() * 1000)
assert not cache.counts.damaged
print(cache.counts.stored)
"""


def test_processes_may_share_a_folder_that_is_too_small_for_all(folder: Path):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        assert err == ""
        assert int(out) == 300
    assert size_of(folder) <= 2 * MB * 1.1
