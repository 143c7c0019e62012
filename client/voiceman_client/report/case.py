"""Many results of one folder: who ranks first, what they sum up to, what failed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import ResultUnreadableError
from voiceman.evidence import RESULT_SCHEMA
from voiceman_client.report.documents import read_json, shown
from voiceman_client.report.failures import (
    ERROR_SUFFIX,
    Failure,
    failure,
    told_by_error_file,
    told_by_log,
)
from voiceman_client.report.view import CategoryCount, View, count_categories


@dataclass(frozen=True)
class Entry:
    """One result of the case.

    Attributes:
        view: what its report shows.
        links: its own reports, format by relative URL.
    """

    view: View
    links: Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """What a case report shows.

    Attributes:
        entries: highest score first; those without a score last.
        others: names of the JSON files in the folder that are no results.
        speech: seconds, of the recordings for which it is known.
    """

    folder: Path
    entries: Sequence[Entry]
    failures: Sequence[Failure]
    others: Sequence[str]
    duration: float
    speech: float
    speakers: int
    utterances: int
    languages: Mapping[str, int]
    categories: Sequence[CategoryCount]

    @property
    def place(self) -> str:
        """The folder as a page can show it."""
        return shown(str(self.folder))

    @property
    def name(self) -> str:
        """The folder's own name, likewise."""
        return shown(self.folder.name)


@dataclass(frozen=True)
class Found:
    """What a folder holds."""

    views: Sequence[View]
    failures: Sequence[Failure]
    others: Sequence[str]


def look_through(folder: Path, read: Callable[[Path], View]) -> Found:
    """Read every `*.json` of a folder, not of those inside it, and what it says of failures.

    Args:
        folder: where the results are.
        read: makes a view of a result file, or raises ResultUnreadableError.

    Raises:
        ResultUnreadableError: the folder cannot be listed.
    """
    views: list[View] = []
    failures = told_by_log(folder)
    others: list[str] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as err:
        raise ResultUnreadableError(f"{folder}: cannot be listed ({err.strerror})") from err
    for path in paths:
        try:
            parsed = read_json(path)[1]
            if path.name.endswith(ERROR_SUFFIX):
                failures.append(told_by_error_file(path, parsed))
            elif isinstance(parsed, dict) and "schema" in parsed and _is_result(parsed["schema"]):
                views.append(read(path))
            else:
                others.append(shown(path.name))
        except ResultUnreadableError as err:
            failures.append(failure(path.name, str(err)))
    return Found(views, failures, others)


def sum_up(folder: Path, found: Found, links: Mapping[Path, Mapping[str, str]]) -> Case:
    """The case of a folder.

    Args:
        folder: where the results are.
        found: what was read there.
        links: reports of each result file, format by relative URL.
    """
    entries = [Entry(item, links.get(item.document.path, {})) for item in found.views]
    results = [item.result for item in found.views]
    lines = [line for item in found.views for line in item.lines]
    return Case(
        folder=folder,
        entries=sorted(entries, key=_rank),
        failures=found.failures,
        others=found.others,
        duration=sum(result["provenance"]["duration"] for result in results),
        speech=sum(result["speech"] or 0.0 for result in results),
        speakers=sum(len(result["speakers"]) for result in results),
        utterances=len(lines),
        languages=Counter(result["language"] or "" for result in results),
        categories=count_categories([f for line in lines for f in line.utterance["findings"]]),
    )


def _is_result(schema: object) -> bool:
    """Whether a document says that it is a result, of whatever version."""
    return isinstance(schema, str) and schema.startswith(RESULT_SCHEMA.rpartition("/")[0] + "/")


def _rank(entry: Entry) -> tuple[float, str]:
    value = entry.view.result["score"]["value"]
    return (1.0 if value is None else -value), entry.view.document.path.name
