"""A finished run tells every byte that changes, and every file and line that goes or comes."""

import errno
import fcntl
import json
import os
import random
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from media import tone, write_sound
from run_folders import chained, command, findings, forge, rewrite

from voiceman.errors import DeadlineExceededError, ResultNotWrittenError, ServerUnreachableError
from voiceman_client import client as client_module
from voiceman_client.chain import FIRST, read_chain, write_line
from voiceman_client.integrity import verify
from voiceman_client.ledger import LEDGER_FILES
from voiceman_client.run_log import LOG_NAME, RunLog, is_in_use

SINGLE_BYTE_CHANGES = 100


def events(folder):
    return [line.event for line in read_chain((folder / LOG_NAME).read_bytes()).lines]


def test_an_untouched_run_is_intact(results):
    report = verify(results)
    assert (report.findings, report.unsealed, report.files) == ((), "", 15)
    done = command("verify", results)
    assert done.exit_code == 0
    assert done.output.startswith(f"{results}: intact, 15 files, ")


def test_every_step_of_the_run_is_in_the_log(results, recordings):
    found = events(results)
    assert found[0] == "run_started"
    assert found[-1] == "run_finished"
    for event in ("decoded", "speech_found", "summed_up", "result_written"):
        assert found.count(event) == len(recordings)
    assert found.count("window_answered") == 4


def test_a_hundred_random_single_byte_changes_are_all_found(results):
    paths = sorted(path for path in results.iterdir() if path.name not in LEDGER_FILES)
    assert len(paths) == 16
    draw = random.Random(20261121)
    for _ in range(SINGLE_BYTE_CHANGES):
        path = draw.choice(paths)
        content = path.read_bytes()
        at = draw.randrange(len(content))
        other = draw.choice([byte for byte in range(256) if byte != content[at]])
        path.write_bytes(content[:at] + bytes([other]) + content[at + 1 :])
        assert path.name in findings(results), f"{path.name}: byte {at} of {content[at]} to {other}"
        path.write_bytes(content)
    assert findings(results) == {}


def test_every_byte_of_the_log_counts(results):
    log = results / LOG_NAME
    content = log.read_bytes()
    seal = content.rstrip(b"\n").rfind(b"\n") + 1  # of all lines, nothing follows the last one
    for at in range(seal, len(content)):
        log.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert LOG_NAME in findings(results), at
    log.write_bytes(content)


def test_lines_that_nobody_wants_are_checked_as_well(results):
    content = (results / LOG_NAME).read_bytes()
    whole, skimmed = read_chain(content), read_chain(content, lambda line: b'"outputs":' in line)
    assert (skimmed.breaks, skimmed.count, skimmed.last) == ((), len(whole.lines), whole.last)
    assert {line.event for line in skimmed.lines} == {
        *("result_written", "summary_written", "performance_written", "run_finished")
    }
    for at in range(0, len(content) - 1, 7):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        assert read_chain(changed, lambda _: False).breaks == read_chain(changed).breaks, at


def test_a_changed_file_is_named_with_both_hashes(results):
    path = results / "1.srt"
    path.write_bytes(path.read_bytes() + b" ")
    done = command("verify", results)
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    size_bytes = path.stat().st_size
    assert line.startswith(f"1.srt: changed: {size_bytes} bytes, SHA-256 ")
    assert f"the log says {size_bytes - 1} bytes, SHA-256 " in line


def test_files_that_go_and_come_are_named(results, tmp_path):
    (results / "0.json").rename(tmp_path / "0.json")
    (results / "deeper").mkdir()
    (results / "deeper" / "note.txt").touch()
    (results / "2.txt").unlink()
    (results / "2.txt").symlink_to(results / "1.txt")
    found = findings(results)
    assert found.keys() == {"0.json", "deeper/note.txt", "2.txt"}
    assert found["0.json"].startswith("missing; the log says ")
    assert found["deeper/note.txt"] == "added: the log does not know it"
    assert "no ordinary file" in found["2.txt"]


def test_a_folder_that_cannot_be_listed_is_named(results, monkeypatch):
    (results / "deeper").mkdir()
    scan = os.scandir

    def refuse(folder):
        if Path(folder) == results / "deeper":
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert findings(results) == {"deeper": "cannot be listed (Permission denied)"}


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:4], *lines[5:]],
        lambda lines: [*lines[:4], lines[3], *lines[4:]],
        lambda lines: lines[1:],
        lambda lines: [*lines[:-2], lines[-1]],
    ],
    ids=["swapped", "removed", "repeated", "first removed", "last but one removed"],
)
def test_lines_cannot_move(results, change):
    rewrite(results, change)
    assert "does not follow from the line before" in findings(results)[LOG_NAME]


def test_a_log_without_its_end_is_not_sealed(results):
    rewrite(results, lambda lines: lines[:-1])
    assert "interrupted or killed" in verify(results).unsealed
    done = command("verify", results)
    assert done.exit_code == 4
    assert "not sealed" in done.stderr


def test_a_log_without_its_end_does_not_hold_the_seal(results):
    seal = verify(results).seal
    assert findings(results, seal=seal) == {}
    rewrite(results, lambda lines: lines[:-1])
    assert findings(results, seal=seal) == {LOG_NAME: f"no run in it has the seal {seal}"}


def test_a_log_that_is_gone_leaves_nothing_vouched_for(results):
    (results / LOG_NAME).unlink()
    found = findings(results)
    assert "No such file" in found[LOG_NAME]
    assert len(found) == 16


def test_a_torn_line_is_found_and_the_next_run_goes_on(results, recordings):
    log = results / LOG_NAME
    log.write_bytes(log.read_bytes()[:-40])
    assert "torn" in findings(results)[LOG_NAME]
    assert verify(results).unsealed
    assert command("submit", recordings[0], "-o", results).exit_code == 0
    assert "torn_line_removed" in events(results)
    assert findings(results) == {}
    assert not verify(results).unsealed


def test_a_half_file_is_removed_by_the_next_run(results, recordings):
    (results / ".voiceman-abc").write_text("half")
    assert ".voiceman-abc" in findings(results)
    assert command("submit", recordings[0], "-o", results).exit_code == 0
    assert "half_file_removed" in events(results)
    assert findings(results) == {}


def test_a_second_run_continues_the_chain(server, results, recordings, tmp_path):
    first = verify(results)
    new = write_sound(tmp_path / "new.wav", tone(3))
    done = command("submit", recordings[1], new, "-o", results)
    assert done.exit_code == 0
    second = verify(results)
    assert (second.findings, second.files) == ((), 16)
    assert f"seal: {second.seal}" in done.stderr
    assert findings(results, seal=first.seal) == {}
    assert events(results).count("run_finished") == 2


def test_a_broken_chain_is_not_continued(results, recordings):
    rewrite(results, lambda lines: lines[1:])
    before = (results / LOG_NAME).read_bytes()
    done = command("submit", recordings[0], "-o", results)
    assert done.exit_code == 1
    assert "keep this folder as it is" in done.stderr
    assert (results / LOG_NAME).read_bytes() == before


def test_two_runs_at_a_time_cannot_share_a_folder(results, recordings):
    with RunLog(results) as log:
        log.append("run_started", {})
        (results / ".voiceman-abc").write_text("half")
        (results / "new.json").write_text("whole, and not in the log yet")
        report = verify(results)
        assert "a run is writing" in report.unsealed
        assert report.findings == ()
        done = command("submit", recordings[0], "-o", results)
    assert done.exit_code == 1
    assert "another run writes into this folder" in done.stderr


def test_a_run_begins_although_another_process_looks_whether_one_goes_on(tmp_path):
    with RunLog(tmp_path) as log:
        log.append("run_started", {})
    looking = (tmp_path / LOG_NAME).open("rb")
    fcntl.flock(looking, fcntl.LOCK_SH)  # as `status`, `watch` and `cancel` do for a moment
    threading.Timer(0.05, looking.close).start()
    with RunLog(tmp_path):
        assert is_in_use(tmp_path)


def test_a_full_disk_leaves_whole_lines_only(tmp_path, monkeypatch):
    write = os.write

    def half(file, content):
        if len(content) < 300:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content[: len(content) // 2])

    with RunLog(tmp_path) as log:
        log.append("run_started", {})
        before = (tmp_path / LOG_NAME).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(ResultNotWrittenError, match="No space left on device"):
                log.append("decoded", {"file": "x" * 600})
        assert (tmp_path / LOG_NAME).read_bytes() == before
        log.seal({})
    assert verify(tmp_path).findings == ()


def test_failures_are_in_the_log(server, recordings, tmp_path):
    recordings[0].write_text("no sound")
    server.fail_for = lambda inputs: (
        DeadlineExceededError("too late") if inputs["WAVEFORM"].any() else None
    )
    folder = tmp_path / "results"
    done = command("submit", *recordings[:2], tmp_path / "*.ogg", "-o", folder)
    assert done.exit_code == 1
    lines = read_chain((folder / LOG_NAME).read_bytes()).lines
    failed = {line.facts.get("file"): line.facts for line in lines if line.event.endswith("failed")}
    assert failed[str(recordings[0])]["error"] == "RecordingUnreadableError"
    assert len(failed[str(recordings[0])]["sha256"]) == 64
    assert "too late" in failed[str(recordings[1])]["why"]
    assert "*.ogg" in failed[None]["why"]
    assert lines[-1].facts["failed"] == 3
    assert findings(folder) == {}


def test_nobody_there_is_no_run(monkeypatch, recordings, tmp_path):
    def nobody(*_):
        raise ServerUnreachableError("nobody answers")

    monkeypatch.setattr(client_module, "wait_until_loaded", nobody)
    assert command("submit", *recordings, "-o", tmp_path / "results").exit_code == 3
    assert list((tmp_path / "results").iterdir()) == []


def test_a_consistent_forgery_of_a_result_still_needs_its_provenance(results):
    """Somebody rewrites a result and the whole log after it, but forgets what the log says."""
    path = results / "0.json"
    document = json.loads(path.read_text())
    document["provenance"]["source"]["sha256"] = "f" * 64
    path.write_text(json.dumps(document))
    forge(results, {"0.json": path})
    assert findings(results) == {"0.json": "its provenance is not the log's: source"}


def test_a_forged_log_of_another_form_is_a_finding_and_no_failure(results):
    """Every fact in turn becomes something else, and all hashes after it are made again."""
    original = (results / LOG_NAME).read_bytes()
    lines = read_chain(original).lines
    for number, line in enumerate(lines):
        for name in line.facts:
            for value in (None, 7, "x", [[]], {"x": None}):
                chain = [*lines]
                chain[number] = replace(line, facts={**line.facts, name: value})
                (results / LOG_NAME).write_bytes(chained(chain))
                found = verify(results, inputs=True).findings
                assert found or line.event not in {"decoded", "result_written"}, (line, name)
                assert all(finding.name and finding.what for finding in found)


def test_a_perfect_forgery_is_found_by_the_seal_alone(results):
    seal = verify(results).seal
    path = results / "0.txt"
    path.write_text("another text")
    forge(results, {"0.txt": path})
    assert findings(results) == {}
    assert LOG_NAME in findings(results, seal=seal)


def test_recordings_are_compared_where_they_are(results, recordings):
    assert findings(results, inputs=True) == {}
    write_sound(recordings[0], tone(6))
    recordings[1].unlink()
    report = verify(results, inputs=True)
    assert [finding.name for finding in report.findings] == [str(recordings[0])]
    assert report.unreachable == (str(recordings[1]),)


def test_the_folder_may_move(results, tmp_path):
    moved = shutil.copytree(results, tmp_path / "archive")
    assert findings(moved) == {}


def test_names_that_are_not_utf_8_are_in_the_chain():
    name = b"\xc5\xeb.json".decode(errors="surrogateescape")
    content, line = write_line(0, "now", "result_written", {"outputs": {name: {}}}, FIRST)
    chain = read_chain(content)
    assert chain.breaks == ()
    assert chain.lines == (line,)
    assert content.isascii()
