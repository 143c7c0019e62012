"""The PDF of every result of a job, where the extra `report` is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voiceman.errors import ConfigurationError, ResultNotWrittenError, ResultUnreadableError
from voiceman.manifest import sha256_of
from voiceman_client.writers import Written

if TYPE_CHECKING:
    from voiceman_client.report.making import Maker


class JobReports:
    """Writes PDFs as long as that works, and says once why it does not."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Prepare; `say` is called with a line for the reader."""
        self._say = say
        self._maker = self._load()

    def write(self, result: Path, pdf: Path) -> Written | None:
        """Write the report of a result; None: there is none, which harms nothing else.

        Args:
            result: the JSON file.
            pdf: where to write.

        Raises:
            ResultNotWrittenError: disk full, or no permission.
        """
        if self._maker is None:
            return None
        try:
            self._maker.write(result, pdf)
            return Written(pdf, pdf.stat().st_size, sha256_of(pdf))
        except ConfigurationError as err:  # no font
            self._maker = None
            self._say(f"no PDF of any result: {err}")
        except ResultUnreadableError as err:
            self._say(f"no PDF: {err}")
        except OSError as err:
            raise ResultNotWrittenError(f"{pdf}: {err.strerror}") from err
        return None

    def _load(self) -> Maker | None:
        try:
            from voiceman_client.report.making import Maker  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as err:
            self._say(
                f"no PDF of any result: that needs {err.name}: pip install 'voiceman[report]'"
            )
            return None
        return Maker(("pdf",))
