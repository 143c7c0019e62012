"""One client that works through many batches, in a process of its own.

    python -m perf.lasting_client HOST:PORT

Reads the path of a folder per line from standard input, processes all recordings in it, and
answers with one line of JSON: how many results came, and the errors.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from perf.record import ROOT
from voiceman_client import Client
from voiceman_client.heat import HeatSettings
from voiceman_client.submit import Watched

_END_S = 60.0


class Answer(TypedDict):
    """What came of a folder."""

    results: int
    errors: list[str]


class LastingClient:
    """The process, as those who ask it see it."""

    def __init__(self, server: str) -> None:
        """Start it.

        Args:
            server: host:port of gRPC.
        """
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perf.lasting_client", server],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, folder: Path) -> None:
        """Have it process a folder."""
        if self.process.stdin:
            print(folder, file=self.process.stdin, flush=True)

    def answer(self) -> Answer:
        """What came of it; waits."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        return json.loads(line) if line else Answer(results=0, errors=["it has ended"])

    def close(self) -> int:
        """End it as its user would; its exit code."""
        if self.process.stdin:
            self.process.stdin.close()
        return self.process.wait(_END_S)


@contextmanager
def lasting_client(server: str) -> Iterator[LastingClient]:
    """A client that lasts; it is killed where it does not end by itself."""
    client = LastingClient(server)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()


def _process(client: Client, folder: Path) -> Answer:
    """Process a folder; nothing of it is held afterwards."""
    results, errors = 0, list[str]()
    watched = Watched(heat=HeatSettings(policy="ignore"))
    for outcome in client.process_batch(sorted(folder.iterdir()), watched=watched):
        results += outcome.result is not None
        errors += [str(outcome.error)] if outcome.error else []
    return Answer(results=results, errors=errors)


def main() -> None:
    """Answer until standard input ends."""
    with Client(sys.argv[1]) as client:
        for line in sys.stdin:
            print(json.dumps(_process(client, Path(line.rstrip("\n")))), flush=True)


if __name__ == "__main__":
    main()
