"""Faults at random moments, on the real server: nothing lost, nothing twice, the same bytes.

    python -m perf.faults [--share 1.0] [--rounds 15] [--seed 183]

One `voiceman-server --profile reproducible`, which heals itself, and one `submit` after the other
into new folders, over the same recordings cut from the catalogue's real speech. The first folder is
left in peace; the runs into all others lose processes to SIGKILL at random moments, meet SIGSTOP,
a server that is restarted and a connection that is cut. Whoever drives them does what anybody
would: a client that was killed is started again with the same arguments.

Each folder must then hold the same results to the byte, and the same answer about every window;
`voiceman-client verify` must find it intact, and no process or shared memory may be left over.
Last, a folder of broken files with good ones among them: the good ones finish, each broken one
gets an error that names it, and the exit code is 1.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from perf.faults.broken import submit_broken
from perf.faults.campaign import Campaign, Findings, deal
from perf.faults.processes import running_server
from perf.record import ROOT, table, write_result
from perf.thirty_recordings import cut_recordings

COMMAND = "python -m perf.faults"
RECORDINGS = 60
LENGTHS_S = (2.0, 12.0)
LONG = 4
LONG_S = (40.0, 45.0)  # two windows each
FAULTS = {
    "client killed": 90,
    "decoder killed": 60,
    "model process killed": 40,
    "tritonserver killed": 12,
    "server stopped and started": 6,
    "connection cut": 12,
    "model process stopped for 20 s": 6,
    "tritonserver stopped for 20 s": 6,
}


def cut(folder: Path) -> None:
    """Write short recordings, and a few that have more than one window."""
    for name, count, lengths_s in (("short", RECORDINGS, LENGTHS_S), ("long", LONG, LONG_S)):
        (folder / name).mkdir(parents=True)
        cut_recordings(folder / name, count, lengths_s)


def disturb(campaign: Campaign, share: float, rounds: int, seed: int) -> None:
    """Run in peace once, then disturbed until all faults have happened."""
    campaign.run("undisturbed", [])
    counts = {kind: round(count * share) for kind, count in FAULTS.items()}
    left: list[str] = []
    for number, faults in enumerate(deal(counts, rounds, seed)):
        left = campaign.run(f"round-{number:02}", left + faults)
        _report(campaign.findings, number)
    for number in range(rounds, rounds + 3):
        if left:
            left = campaign.run(f"round-{number:02}", left)
            _report(campaign.findings, number)


def _report(findings: Findings, number: int) -> None:
    print(
        f"round {number}: {findings.folder_s[-1]:.0f} s, longest pause "
        f"{findings.pauses_s[-1]:.0f} s, {findings.kills} kills so far, "
        f"{len(findings.wrong)} wrong",
        *findings.wrong,
        sep="\n  ",
        flush=True,
    )


def figures(findings: Findings) -> dict[str, object]:
    """The findings as JSON values."""
    return {
        "kills": findings.kills,
        "faults": dict(findings.done),
        "folders": len(findings.folder_s),
        "recordings": findings.recordings,
        "results_written": findings.written,
        "windows": findings.windows,
        "windows_answered_at_least": findings.answers,
        "clients": findings.runs,
        "clients_that_found_no_server": findings.unreachable,
        "folder_s": [round(seconds, 1) for seconds in findings.folder_s],
        "longest_pause_s": [round(seconds, 1) for seconds in findings.pauses_s],
        "until_next_window_s": {
            kind: {"median": round(statistics.median(s), 1), "most": round(max(s), 1)}
            for kind, s in sorted(findings.standing_s.items())
        },
        "wrong": findings.wrong,
    }


def _text(findings: Findings, broken: dict[str, int]) -> str:
    rows = [
        [
            kind,
            count,
            round(statistics.median(findings.standing_s[kind] or [0.0]), 1),
            round(max(findings.standing_s[kind] or [0.0]), 1),
        ]
        for kind, count in findings.done.most_common()
    ]
    return (
        f"{findings.kills} SIGKILLs in {len(findings.folder_s) - 1} disturbed folders and "
        f"{findings.folder_s[0]:.0f} s for the undisturbed one. Wrong in all: "
        f"{len(findings.wrong)}.\n\n"
        + table(["fault", "times", "median s to the next window", "most s"], rows)
        + "\n"
        + table(
            ["figure", "value"],
            [
                [name.replace("_", " "), value]
                for name, value in (figures(findings) | broken).items()
                if isinstance(value, int)
            ],
        )
        + "".join(f"\n- {what}" for what in findings.wrong)
    )


def main() -> None:
    """Disturb, check and write the result; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="Faults at random moments on the real server.")
    parser.add_argument("--share", type=float, default=1.0, help="of the faults")
    parser.add_argument("--rounds", type=int, default=15, help="disturbed folders")
    parser.add_argument("--seed", type=int, default=183)
    parser.add_argument("--folder", type=Path, help="to work in and to keep")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    cut(folder / "in")
    began_s = time.monotonic()
    with running_server(folder) as server:
        campaign = Campaign(server, folder / "in", folder, given.seed)
        disturb(campaign, given.share, given.rounds, given.seed)
        broken, wrong = submit_broken(server, folder, folder / "in" / "short")
    findings = campaign.findings
    findings.wrong += [*wrong, *(f"left over: {what}" for what in campaign.left_over())]
    text = _text(findings, broken)
    path = write_result(
        "faults",
        COMMAND,
        {**figures(findings), **broken, "wall_s": round(time.monotonic() - began_s)},
        text,
        "Faults at random moments",
    )
    print(text)
    print(path.relative_to(ROOT), folder)
    sys.exit(1 if findings.wrong else 0)


if __name__ == "__main__":
    main()
