"""What must hold of a results folder, however its runs were disturbed."""

import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from voiceman_client.chain import read_chain
from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.ledger import LEDGER_NAME
from voiceman_client.naming import PERFORMANCE_NAME
from voiceman_client.run_log import LOG_NAME

OF_THE_RUN = (f"{PERFORMANCE_NAME}.json", SUMMARY_NAME)  # tell of times, not of recordings
_VERIFY_S = 120.0


@dataclass(frozen=True)
class Folder:
    """What lies in a results folder.

    Attributes:
        results: bytes of the result files, by name.
        windows: evidence and embeddings, by work, channel, first and last sample.
        states: of the recordings.
    """

    results: dict[str, bytes]
    windows: dict[tuple[str, int, int, int], tuple[str, bytes]]
    states: dict[str, str]


def read_folder(folder: Path) -> Folder:
    """Read a results folder whose run has ended."""
    with closing(sqlite3.connect(folder / LEDGER_NAME)) as ledger:
        rows = ledger.execute(
            "SELECT work, channel, first, last, evidence, embeddings FROM windows"
        )
        windows = {tuple(row[:4]): tuple(row[4:]) for row in rows}
        states = dict(ledger.execute("SELECT path, state FROM recordings"))
    results = {
        path.name: path.read_bytes()
        for path in folder.glob("*.json")
        if path.name not in OF_THE_RUN
    }
    return Folder(results, windows, states)


def count_windows(folder: Path) -> int:
    """How many windows are in the ledger at this moment, while a client writes to it."""
    try:
        with closing(sqlite3.connect(f"file:{folder / LEDGER_NAME}?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT count(*) FROM windows").fetchone()[0])
    except sqlite3.OperationalError:  # not there yet, or not made yet
        return 0


def compare(found: Folder, undisturbed: Folder) -> list[str]:
    """All that is not as in the folder of an undisturbed run."""
    wrong: list[str] = []
    wrong += [f"{path}: {state}" for path, state in found.states.items() if state != "COMPLETED"]
    for what, have, want in (
        ("recording", found.states, undisturbed.states),
        ("result", found.results, undisturbed.results),
        ("window", found.windows, undisturbed.windows),
    ):
        wrong += [f"{what} lost: {name}" for name in want.keys() - have.keys()]
        wrong += [f"{what} that nobody asked for: {name}" for name in have.keys() - want.keys()]
        wrong += [
            f"{what} differs: {name}"
            for name in want.keys() & have.keys()
            if have[name] != want[name]
        ]
    return wrong


def verify(folder: Path) -> list[str]:
    """What `voiceman-client verify` finds."""
    client = Path(sys.executable).with_name("voiceman-client")
    done = subprocess.run(
        [client, "verify", folder, "--inputs"],
        capture_output=True,
        text=True,
        timeout=_VERIFY_S,
        check=False,
    )
    return [] if done.returncode == 0 else [f"verify: {done.stdout}{done.stderr}"]


def count_events(folder: Path) -> Counter[str]:
    """How often each event is in the log of a folder."""
    lines = read_chain((folder / LOG_NAME).read_bytes()).lines
    return Counter(line.event for line in lines)
