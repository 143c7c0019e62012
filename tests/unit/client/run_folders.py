"""The folder of a run: commands on it, and ways to forge it."""

import subprocess
import sys

from click.testing import CliRunner

from voiceman.errors import DeadlineExceededError
from voiceman.manifest import sha256_of
from voiceman_client.chain import FIRST, read_chain, write_line
from voiceman_client.cli import main
from voiceman_client.integrity import verify
from voiceman_client.run_log import LOG_NAME

LONG_S, SHORT_S = 29.0, 4.0  # of the windows of one recording, one is longer, one is shorter


def command(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def findings(folder, **options):
    return {finding.name: finding.what for finding in verify(folder, **options).findings}


def rewrite(folder, change):
    """Change the list of the log's lines."""
    log = folder / LOG_NAME
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(change(lines)))


def forge(folder, changed):
    """Write the log again so that it vouches for the changed files."""
    lines = read_chain((folder / LOG_NAME).read_bytes()).lines
    for line in lines:
        outputs = line.facts.get("outputs", {})
        outputs |= {name: measured(path) for name, path in changed.items() if name in outputs}
    (folder / LOG_NAME).write_bytes(chained(lines))


def chained(lines):
    """The lines as bytes, each with the hash of the one before it."""
    content, previous = b"", FIRST
    for line in lines:
        raw, written = write_line(line.sequence, line.time, line.event, line.facts, previous)
        content, previous = content + raw, written.sha256
    return content


def measured(path):
    return {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}


def fail_long_windows(server):
    server.fail_for = lambda inputs: (
        DeadlineExceededError("too late") if len(inputs["WAVEFORM"]) > LONG_S * 16_000 else None
    )


def elsewhere(*arguments):
    """A command in a process of its own."""
    code = "from voiceman_client.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )
