"""`voiceman-client report`: files on standard output, failures by name, exit codes."""

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from report_results import conversation, with_nulls, without_speech

from voiceman_client.cli import main

SOUND = b"RIFF0000WAVE"


def run(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def told(*lines):
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two results, an error, a document of another kind and half a file."""
    sound = tmp_path / "통화 1.wav"
    sound.write_bytes(SOUND)
    result = conversation(file=str(sound))
    result["provenance"]["source"]["sha256"] = hashlib.sha256(SOUND).hexdigest()
    (tmp_path / "call.json").write_text(json.dumps(result), encoding="utf-8")
    (tmp_path / "quiet.json").write_text(json.dumps(without_speech()), encoding="utf-8")
    (tmp_path / "gone_error.json").write_text('{"file": "gone.m4a", "error": "no sound track"}')
    (tmp_path / "settings.json").write_text('{"done": 2}')
    (tmp_path / "job_summary.json").write_text('{"counts": {}}')
    (tmp_path / "half.json").write_text('{"schema": "voiceman.res')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_html_and_pdf_lie_in_a_folder_of_their_own(folder, korean_font):
    done = run(folder / "call.json", "--font", korean_font)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["reports/call.html", "reports/call.pdf"]
    assert (folder / "reports/call.pdf").read_bytes().startswith(b"%PDF")
    page = (folder / "reports/call.html").read_text(encoding="utf-8")
    assert '<html lang="ko">' in page
    assert 'src="../%ED%86%B5%ED%99%94%201.wav"' in page
    assert "일치: 지금의 파일이 분석한 파일과 같습니다" in page


def test_the_sound_is_found_from_another_folder_and_a_changed_one_is_told(folder, tmp_path):
    (folder / "통화 1.wav").write_bytes(b"something else")
    done = run(
        folder / "call.json", "-o", folder / "out" / "new", "--format", "html", "--lang", "en"
    )
    assert done.exit_code == 0
    page = (folder / "out/new/call.html").read_text(encoding="utf-8")
    assert 'src="../../%ED%86%B5' in page
    assert "DIFFERS" in page


def test_another_folder_and_embedding(folder):
    copies = folder / "copies"
    copies.mkdir()
    (folder / "통화 1.wav").rename(copies / "통화 1.wav")
    arguments = (folder / "call.json", "--format", "html", "--audio", copies)
    assert run(*arguments).exit_code == 0
    page = (folder / "reports/call.html").read_text(encoding="utf-8")
    assert 'src="../copies/%ED%86' in page
    assert run(*arguments, "--embed-audio").exit_code == 0
    page = (folder / "reports/call.html").read_text(encoding="utf-8")
    assert 'src="data:audio/wav;base64,UklGR' in page


def test_what_cannot_be_embedded_is_a_failure_by_name(folder):
    done = run(folder / "quiet.json", "--format", "html", "--embed-audio")
    assert done.exit_code == 1
    assert "the recording cannot be read" in done.stderr
    assert not (folder / "reports/quiet.html").exists()


def test_one_bad_result_harms_no_other(folder):
    twisted = conversation()
    twisted["utterances"][0]["score"] = 7
    (folder / "twisted.json").write_text(json.dumps(twisted))
    names = ["half.json", "twisted.json", "missing.json", "call.json"]
    done = run(*(folder / name for name in names), "--format", "html")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["reports/call.html"]
    for name in names[:3]:
        assert f"failed: {folder / name}: " in done.stderr


def test_a_case_ranks_sums_up_links_and_names_failures(folder, korean_font):
    second = with_nulls(conversation())
    (folder / "nulls & more.json").write_text(json.dumps(second))
    done = run("--case", folder, "--font", korean_font, "--lang", "en")
    assert done.exit_code == 1  # half a file
    assert "half.json: cannot be read as a result" in done.stderr
    assert done.stdout.splitlines()[-2:] == [
        "reports/case-report.html",
        "reports/case-report.pdf",
    ]
    page = (folder / "reports/case-report.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^#"]+)"', page)
    assert links[:2] == ["call.html", "call.pdf"]
    assert "nulls%20%26%20more.html" in links
    for text in (
        "no sound track",
        "half.json",
        "settings.json",
        "Threat",
        "unknown 2, Korean 1",
    ):
        assert text in page
    assert "job_summary.json" not in page  # of the run, and no other kind of document


def test_the_log_of_runs_tells_what_failed_and_was_not_done_later(folder):
    lines = (
        {"event": "recording_failed", "file": "/x/bad.amr", "why": "/x/bad.amr: empty, 0 bytes"},
        {"event": "recording_failed", "file": "/x/once.amr", "why": "/x/once.amr: no answer"},
        {"event": "recording_failed", "why": "nothing/: no recordings there"},
        {"event": "result_written", "provenance": {"source": {"file": "/x/once.amr"}}},
        {"event": "run_finished"},
    )
    (folder / "run_log.jsonl").write_text(told(*lines) + '{"event": "recor', encoding="utf-8")
    (folder / "half.json").unlink()
    assert run("--case", folder, "--format", "html").exit_code == 0
    page = (folder / "reports/case-report.html").read_text(encoding="utf-8")
    for text in ("/x/bad.amr: 비어 있음, 0바이트", "nothing/: 녹음이 없음", "6번째 줄: 손상됨"):
        assert text in page
    assert "once.amr" not in page


def test_a_case_report_never_takes_a_results_place(folder):
    (folder / "call.json").rename(folder / "Case-Report.json")
    done = run("--case", folder, "--format", "html")
    assert done.stdout.splitlines()[-1].endswith("/case-report-.html")


def test_equal_names_get_digits(folder):
    other = folder / "other"
    other.mkdir()
    (other / "call.json").write_text((folder / "call.json").read_text(encoding="utf-8"))
    done = run(folder / "call.json", other / "call.json", "-o", folder, "--format", "html")
    written = {Path(line).name for line in done.stdout.splitlines()}
    assert len(written) == 2
    assert all(re.fullmatch(r"call-[0-9a-f]{8}\.html", name) for name in written)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give result files, or --case"),
        (("--format", "docx", "x.json"), "'docx' is not one of html, pdf"),
        (("a.json", "b.json", "--audio", __file__), "give its folder"),
    ],
)
def test_wrong_usage_is_told(arguments, why):
    done = run(*arguments)
    assert done.exit_code == 2
    assert why in done.stderr


def test_without_the_extra_the_message_says_what_to_install(folder, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("voiceman_client.report.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "reportlab", None)
    done = run(folder / "call.json")
    assert done.exit_code == 1
    assert "pip install 'voiceman[report]'" in done.stderr
