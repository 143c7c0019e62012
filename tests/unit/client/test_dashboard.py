"""The dashboard on terminals of any width, and the lines where there is no terminal."""

import io
import json
import logging
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from run_folders import command, findings

from voiceman.errors import RecordingUnreadableError
from voiceman_client import watch_command
from voiceman_client.dashboard import Dashboard, dashboard
from voiceman_client.inventory import WORKING_FILES
from voiceman_client.ledger import LEDGER_NAME, Ledger
from voiceman_client.peek import peek
from voiceman_client.vitals import Active, Readings, Vitals
from voiceman_client.vitals_file import STALE_S, VITALS_NAME, VitalsFile, read_vitals

LONG = "/증거/통화녹음_피의자_김철수_2026년_11월_21일_오후_세시_아주_긴_이름.m4a"
VITALS = Vitals(
    unix_s=1.8e9,
    elapsed_s=3723.0,
    recordings=40,
    finished=12,
    failed=1,
    audio_done_s=40_000.0,
    audio_expected_s=120_000.0,
    windows=1333,
    retries=2,
    recent_rtfx=9.7,
    states={"STT": 3, "COMPLETED": 12, "FAILED": 0},
    active=(Active(LONG, 600.0, 210.0), Active("/x/[red]b\x1b[2J.wav", 0.0, 0.0)),
    errors=("/x/bad.m4a:\nno sound track; give a file with sound",),
    readings=Readings(12, 16, 3, 4, 71.0, 0.83, 0.61, 512_000_000, "cooling"),
)


def painted(vitals, width=200):
    console = Console(file=io.StringIO(), width=width, height=30, force_terminal=True)
    console.print(dashboard(vitals))
    return console.file.getvalue()


def plain(vitals, width=200):
    console = Console(file=io.StringIO(), width=width, height=30)
    console.print(dashboard(vitals))
    return console.file.getvalue()


def test_everything_is_on_it():
    text = plain(VITALS)
    for part in (
        *("12 of 40 recordings", "33 %", "RTFx 10.7", "9.7 lately", "2:17:27 left, until "),
        *("1333 windows answered", "12 in flight of 16 allowed", "4 in the server's queue"),
        *("GPU 71 °C", "GPU 83 % busy", "memory 61 %", "client 0.51 GB", "cooling", "3 STT"),
        *("3:30 of 10:00", "decoding", "2 sent again", "1 failed", "bad.m4a: no sound track"),
    ):
        assert part in text, part
    assert "FAILED" not in text


def test_what_is_not_known_is_not_on_it():
    text = plain(Vitals(1.8e9, 0.0, 3))
    assert "GPU" not in text
    assert "left" not in text
    assert "None" not in text


@pytest.mark.parametrize("width", [20, 40, 80, 133])
def test_no_line_is_wider_than_the_terminal(width):
    assert all(cell_len(line) <= width for line in plain(VITALS, width).splitlines())


def test_names_cannot_command_the_terminal():
    assert "\x1b[2J" not in painted(VITALS)
    assert "[red]b" in painted(VITALS)


def test_many_recordings_leave_room():
    crowd = replace(VITALS, active=(Active("/a.wav", 60.0, 30.0),) * 50)
    text = plain(crowd)
    assert text.count("a.wav") == 12
    assert "and 38 more" in text


def test_a_terminal_is_painted_four_times_a_second_at_most():
    console = Console(file=io.StringIO(), width=80, height=30, force_terminal=True)
    now_s = 0.0
    painted_at = []
    with Dashboard(console, lambda: now_s) as screen:
        for tick in range(100):
            now_s = tick / 100
            before = console.file.tell()
            screen.show(VITALS)
            if console.file.tell() != before:
                painted_at.append(now_s)
    assert painted_at == [0.0, 0.25, 0.5, 0.75]


def test_logs_go_above_the_dashboard():
    console = Console(file=io.StringIO(), width=80, height=30, force_terminal=True)
    handler = logging.StreamHandler(console.file)
    logging.getLogger().addHandler(handler)
    try:
        with Dashboard(console) as screen:
            screen.show(VITALS)
            before = console.file.tell()
            logging.getLogger("x").warning("GPU at 81 °C")
            console.file.seek(before)
            written = console.file.read()
        assert written.index("GPU at 81 °C") < written.index("12 of 40 recordings")
        assert handler.stream is console.file
    finally:
        logging.getLogger().removeHandler(handler)


def test_elsewhere_there_is_a_line_every_ten_seconds_and_one_at_the_end():
    console = Console(file=io.StringIO(), width=40)
    now_s = 0.0
    with Dashboard(console, lambda: now_s) as screen:
        for second in range(26):
            now_s = float(second)
            screen.show(replace(VITALS, finished=second))
        screen.say("failed: [x]")
    lines = console.file.getvalue().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["10", "20", "failed:", "25"]
    assert lines[0].startswith("10 of 40 recordings, 11:06:40 of audio, 10.7 x real time, ")


def test_nothing_to_show_is_no_line():
    console = Console(file=io.StringIO())
    with Dashboard(console):
        pass
    assert console.file.getvalue() == ""


@pytest.fixture
def going(results):
    """A results folder into which a run writes just now."""
    VitalsFile(results).write(replace(VITALS, unix_s=time.time()))
    return results


def test_watch_shows_a_run_from_another_terminal(going):
    done = command("watch", going, "--once")
    assert done.exit_code == 0
    assert "12 of 40 recordings" in done.stdout
    told = json.loads(command("watch", going, "--once", "--format", "json").stdout)
    assert told["running"] is True
    assert (told["readings"]["in_flight"], told["active"][0]["file"]) == (12, LONG)
    assert told["left_s"] == pytest.approx(80_000 / 9.7)


def test_watch_goes_on_until_the_run_ends(going, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            (going / VITALS_NAME).unlink()

    monkeypatch.setattr(watch_command.time, "sleep", sleep)
    done = command("watch", going)
    assert len(looks) == 3
    assert done.stdout.splitlines()[-1].endswith("no run is going on; recordings: 3 COMPLETED")
    looks.clear()
    VitalsFile(going).write(replace(VITALS, unix_s=time.time()))
    lines = command("watch", going, "--format", "json").stdout.splitlines()
    assert [json.loads(line)["running"] for line in lines] == [True, True, True, False]


def test_watch_of_a_folder_at_rest_says_what_its_ledger_holds(results):
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    done = command("watch", results)
    assert (done.exit_code, done.stdout) == (
        0,
        f"{results}: no run is going on; recordings: 3 COMPLETED\n",
    )
    told = json.loads(command("watch", results, "--format", "json").stdout)
    assert told["running"] is False
    assert told["states"]["COMPLETED"] == 3
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def test_watch_names_what_failed(server, recordings, tmp_path):
    recordings[0].write_text("no sound")
    folder = tmp_path / "results"
    command("submit", *recordings, "-o", folder)
    lines = command("watch", folder, "--once").stdout.splitlines()
    assert lines[0].endswith("2 COMPLETED, 1 FAILED")
    assert lines[1].startswith(f"failed: {recordings[0]}: ")


def test_the_ledger_of_a_run_is_read_while_it_goes_on_and_after_it_was_killed(tmp_path):
    folder, copy = tmp_path / "results", tmp_path / "copy"
    with Ledger(folder / LEDGER_NAME) as ledger:
        ledger.expect([tmp_path / "a.wav", tmp_path / "b.wav"], "m")
        ledger.fail(tmp_path / "b.wav", RecordingUnreadableError("b.wav: damaged"))
        going = peek(folder)
        shutil.copytree(folder, copy)
    assert (going.states["PENDING"], going.errors) == (1, ("b.wav: damaged",))
    assert peek(copy) == peek(folder) == going


def test_watch_reads_no_ledger_of_another_version(tmp_path):
    with Ledger(tmp_path / LEDGER_NAME) as ledger:
        ledger.expect([tmp_path / "a.wav"], "m")
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as database:
        database.execute("PRAGMA user_version = 99")
    for name in ("watch", "status"):
        done = command(name, tmp_path)
        assert done.exit_code == 1
        assert "of version 99" in done.stderr


def test_watch_of_an_empty_or_damaged_folder(tmp_path):
    assert "holds no ledger" in command("watch", tmp_path).stdout
    (tmp_path / LEDGER_NAME).write_bytes(os.urandom(5000))
    done = command("watch", tmp_path)
    assert done.exit_code == 1
    assert "the ledger is damaged" in done.stderr
    assert command("watch", tmp_path / "none").exit_code == 2


def test_the_file_for_watchers_is_none_of_the_results(going):
    assert VITALS_NAME in WORKING_FILES
    assert findings(going) == {}


def test_a_run_that_was_killed_is_not_shown_as_going_on(results):
    VitalsFile(results).write(VITALS)
    assert read_vitals(results, lambda: VITALS.unix_s + STALE_S + 1) is None
    assert read_vitals(results, lambda: VITALS.unix_s + 1) == VITALS


def test_a_disk_that_is_gone_costs_the_watchers_alone(tmp_path, caplog):
    file = VitalsFile(tmp_path / "none")
    file.write(VITALS)
    file.write(VITALS)
    file.remove()
    assert caplog.text.count("cannot be written") == 1
