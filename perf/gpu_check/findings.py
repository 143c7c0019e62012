"""What a part finds, on disk at every moment, so that nothing is lost when the part is."""

import json
import traceback
from collections.abc import Callable
from pathlib import Path

LAST_LINES = 30  # of a traceback


class Findings:
    """Named values in a JSON file that is renewed with every one of them."""

    def __init__(self, path: Path) -> None:
        """Begin with nothing."""
        self.values: dict[str, object] = {}
        self._path = path
        self._write()

    def note(self, name: str, value: object) -> None:
        """Keep a value."""
        self.values[name] = value
        self._write()

    def attempt(self, name: str, work: Callable[[], object]) -> bool:
        """Keep what work gives; what it raises becomes the finding, and all goes on."""
        try:
            value = work()
        except Exception:  # noqa: BLE001  # nobody is there to look: write it down
            self.note(name, {"error": last_lines(traceback.format_exc())})
            return False
        self.note(name, value)
        return True

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self.values), encoding="utf-8")
        fresh.replace(self._path)


def last_lines(text: str) -> list[str]:
    """The end of a text."""
    return text.strip().splitlines()[-LAST_LINES:]
