"""Which recordings are meant, and where their results go."""

import json
import os
from pathlib import Path

import pytest

from voiceman.errors import ResultNotWrittenError
from voiceman.manifest import sha256_of
from voiceman_client.inputs import find_recordings, printable
from voiceman_client.layout import Layout
from voiceman_client.naming import result_names
from voiceman_client.writers import write_result


@pytest.fixture
def calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("calls/b.WAV", "calls/deep/a.m4a", "calls/notes.txt", "other.mp3"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(*arguments, listed=()):
    seen = find_recordings(arguments, listed)
    return [path.as_posix() for path in seen.recordings], [str(err) for err in seen.errors]


def test_folders_are_searched_for_known_suffixes(calls):
    assert found("calls") == (["calls/b.WAV", "calls/deep/a.m4a"], [])


def test_files_in_folders_that_are_no_recordings_are_counted_and_named(calls):
    assert found("calls")[0] == ["calls/b.WAV", "calls/deep/a.m4a"]
    few = find_recordings(["calls", "*.mp3"]).left_out()
    assert few == "1 files are left out, no recordings by their names: calls/notes.txt"
    for name in "abcd":
        (calls / f"calls/{name}.pdf").touch()
    many = find_recordings(["calls"]).left_out()
    assert many.endswith(": calls/a.pdf, calls/b.pdf, calls/c.pdf and 2 more")
    assert find_recordings(["other.mp3"]).left_out() == ""
    assert find_recordings(["calls", "calls/notes.txt", "calls"]).left_out().startswith("4 files")


def test_globs_files_and_lists_name_each_recording_once(calls):
    everything = found("calls/**/*.m4a", "other.mp3", "-", listed=["other.mp3\n", "\n", "calls\n"])
    assert everything == (["calls/deep/a.m4a", "other.mp3", "calls/b.WAV"], [])


def test_a_recording_has_the_same_path_however_it_is_reached(calls):
    plain = [Path(path).absolute() for path in found("calls/b.WAV")[0]]
    for argument in ("calls/../calls/b.WAV", "calls/deep/../b.WAV", f"../{calls.name}/c*/b.WAV"):
        assert [Path(path).absolute() for path in found(argument)[0]] == plain
    Path("linked").symlink_to("calls/deep")  # behind it, .. is another folder than here
    assert [Path(path).absolute() for path in found("linked/../b.WAV")[0]] == plain


def test_absolute_globs_work(calls):
    assert found(f"{calls}/*.mp3")[0] == [f"{calls}/other.mp3"]


def test_nothing_found_is_an_error_beside_what_is_found(calls):
    recordings, errors = found("*.ogg", "other.mp3")
    assert recordings == ["other.mp3"]
    assert errors[0].startswith("*.ogg: no recordings there")


def test_a_missing_file_is_left_to_the_decoder(calls):
    assert found("no.wav") == (["no.wav"], [])


def test_brackets_in_a_file_name_are_not_a_pattern(calls):
    (calls / "a[1].wav").touch()
    assert found("a[1].wav") == (["a[1].wav"], [])


def test_equal_stems_get_names_of_their_own(calls):
    paths = [calls / "x/call.wav", calls / "y/Call.m4a", calls / "other.wav"]
    names = result_names(paths, Layout.flat(calls))
    assert len(set(names.values())) == 3
    assert names[paths[2]] == "other"
    assert names[paths[0]].startswith("call-")
    assert result_names(paths[:2], Layout.flat(calls)) == {path: names[path] for path in paths[:2]}


def test_a_result_of_another_recording_is_not_overwritten(calls):
    made_of = {"provenance": {"source": {"file": str(calls / "x/call.wav")}}}
    (calls / "call.json").write_text(json.dumps(made_of))
    assert name_of(calls / "x/call.wav", calls) == "call"
    assert name_of(calls / "y/call.wav", calls) != "call"


def name_of(path, folder, *formats):
    return result_names([path], Layout.flat(folder, formats or ("json",)))[path]


def test_equal_relative_paths_from_two_folders_are_two_recordings(calls, monkeypatch):
    made_of = {"provenance": {"source": {"file": str(calls / "call.wav")}}}
    (calls / "call.json").write_text(json.dumps(made_of))
    assert name_of(Path("call.wav"), calls) == "call"
    monkeypatch.chdir(calls / "calls")
    assert name_of(Path("call.wav"), calls) != "call"


def test_without_json_names_are_stable_and_never_shared(calls):
    first, other = calls / "x/call.wav", calls / "y/call.wav"
    name = name_of(first, calls, "srt")
    (calls / f"{name}.srt").touch()
    assert name_of(first, calls, "srt") == name != name_of(other, calls, "srt")


def test_a_file_that_nobody_vouches_for_is_not_overwritten(calls):
    (calls / "call.srt").touch()
    assert name_of(calls / "call.wav", calls, "json", "srt") != "call"


def test_long_stems_are_cut_to_what_a_file_system_takes(calls):
    paths = [calls / f"{'가' * 83}{end}.wav" for end in "ab"]
    names = result_names(paths, Layout.flat(calls))
    assert len(set(names.values())) == 2
    for name in names.values():
        write_result({"segments": []}, calls / f"{name}.json", "json")
    long = "가" * 82  # a name that fits, with a temporary file beside it
    write_result({"segments": []}, calls / f"{long}.json", "json")
    assert (calls / f"{long}.json").exists()


def test_names_that_no_file_can_have_fail_alone(calls):
    (calls / "loop.wav").symlink_to("loop.wav")
    strange = ["loop.wav", "nul\0.wav", f"{'x' * 300}/*.wav", "x" * 300, "calls/a**.wav"]
    recordings, errors = found(*strange, "other.mp3")
    assert recordings[-1] == "other.mp3"
    assert len(recordings) - 1 + len(errors) == len(strange)
    assert any("nul" in err for err in errors)


def test_names_need_not_be_utf_8(calls):
    name = os.fsdecode("통화.wav".encode("cp949"))
    assert printable(Path(name)).startswith(r"\xc5\xeb")
    assert name_of(calls / name, calls) == Path(name).stem
    with pytest.raises(ResultNotWrittenError, match=r"a\.json: the result cannot be json"):
        write_result({"segments": [], "file": name}, calls / "a.json", "json")


def test_files_appear_whole_or_not_at_all(tmp_path):
    result = {"segments": []}
    for kind in ("json", "srt"):
        file = write_result(result, tmp_path / f"new/a.{kind}", kind)
        assert file.path == tmp_path / f"new/a.{kind}"
        size_bytes, digest = file.path.stat().st_size, sha256_of(file.path)
        assert (file.size_bytes, file.sha256) == (size_bytes, digest)
    (tmp_path / "b.json").mkdir()  # the rename fails
    with pytest.raises(ResultNotWrittenError, match=r"b\.json: \d+ bytes could not be written"):
        write_result(result, tmp_path / "b.json", "json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "new"]


def test_a_file_that_is_written_outlives_a_power_cut(tmp_path, monkeypatch):
    """Its content is synced before it gets its name, and the folder that has the name after."""
    synced = []

    def fsync(opened):
        synced.append((Path(f"/dev/fd/{opened}").resolve(), (tmp_path / "a.json").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_result({"segments": []}, tmp_path / "a.json", "json")
    assert [there for _, there in synced] == [False, True]
    assert synced[1][0] == tmp_path


def test_results_have_ordinary_permissions(tmp_path):
    written = write_result({"segments": []}, tmp_path / "a.json", "json")
    (tmp_path / "ordinary").touch()
    assert written.path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_folder_that_may_not_be_listed_is_named_and_the_rest_is_found(calls, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if str(folder) == "calls/deep":
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    recordings, (error,) = found("calls")
    assert recordings == ["calls/b.WAV"]
    assert error.startswith("'calls/deep': cannot be looked up (Permission denied)")
