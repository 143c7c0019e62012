"""Whoever skips, replaces or reads a finished result hears when somebody changed it."""

import json

from run_folders import command, findings


def change(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"language": "en"', b'"language": "ko"', 1))
    assert path.read_bytes() != content
    return path


def test_a_run_that_skips_a_changed_result_says_so(results, recordings):
    path = change(results / "1.json")
    again = command("submit", *recordings, "-o", results, "--format", "json,srt,vtt,txt")
    assert again.exit_code == 0
    assert (
        f"{path}: changed since a run wrote it; see `voiceman-client verify {results}`\n"
        in again.stderr
    )
    assert again.stderr.count("changed since") == 1
    assert findings(results).keys() == {"1.json"}


def test_a_run_that_writes_over_a_changed_result_says_so(results, recordings):
    path = results / "1.srt"
    path.write_bytes(path.read_bytes() + b" ")
    again = command("submit", *recordings, "-o", results, "--format", "json,srt,vtt,txt")
    assert f"{path}: changed since a run wrote it; it is written again\n" in again.stderr
    assert findings(results) == {}


def test_results_as_they_were_are_taken_without_a_word(results, recordings):
    again = command("submit", *recordings, "-o", results)
    assert again.exit_code == 0
    assert "changed since" not in again.stderr


def test_a_result_that_was_removed_comes_back_under_its_name(server, results, recordings):
    (results / "1.json").unlink()
    before = {path.name for path in results.iterdir()}
    server.windows.clear()
    again = command("submit", *recordings, "-o", results, "--format", "json,srt,vtt,txt")
    assert again.exit_code == 0, again.output
    assert str(results / "1.json") in again.stdout.splitlines()
    assert {path.name for path in results.iterdir()} == before | {"1.json"}
    made_of = json.loads((results / "1.json").read_text())["provenance"]["source"]["file"]
    assert made_of == str(recordings[1])
    assert findings(results) == {}


def test_explain_and_report_warn_of_a_changed_result(results, tmp_path, caplog):
    path = change(results / "0.json")
    for arguments in (
        ("explain", path),
        ("report", path, "--format", "html", "-o", tmp_path / "a"),
        ("report", "--case", results, "--format", "html", "-o", tmp_path / "b"),
    ):
        caplog.clear()
        assert command(*arguments).exit_code == 0
        said = [record.getMessage() for record in caplog.records]
        assert said == [
            f"{path}: changed since a run wrote it; see `voiceman-client verify {results}`"
        ]


def test_a_result_of_no_run_is_read_without_a_word(results, tmp_path, caplog):
    path = tmp_path / "copy.json"
    path.write_bytes(change(results / "0.json").read_bytes())
    caplog.clear()
    assert command("explain", path).exit_code == 0
    assert not caplog.records
