"""Many results of one folder: who ranks first, what they sum up to, what failed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import ResultUnreadableError
from voiceman.evidence import RESULT_SCHEMA
from voiceman_client.documents import Document, read_json, result_in, shown
from voiceman_client.layout import COMPLETED, FAILED, RESULT_SUFFIX, SUMMARY_NAME
from voiceman_client.naming import PERFORMANCE_NAME
from voiceman_client.report.failures import ERROR_SUFFIX, Failure, told_by_error_file
from voiceman_client.report.view import CategoryCount, View, reason_of_score
from voiceman_client.vitals_file import VITALS_NAME

_OF_THE_RUN = {f"{PERFORMANCE_NAME}.json", SUMMARY_NAME, VITALS_NAME}


@dataclass(frozen=True)
class Entry:
    """What a case report shows of one result; the result itself may be large and is let go.

    Attributes:
        name: of the recording.
        reason: why there is no score.
        flags: how many passages are to be distrusted.
        links: the result's own reports, format by relative URL.
    """

    name: str
    score: float | None
    reason: str
    coverage: float
    duration: float
    speech: float | None
    language: str | None
    speakers: int
    utterances: int
    categories: Sequence[CategoryCount]
    flags: int
    links: Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """What a case report shows.

    Attributes:
        entries: highest score first; those without a score last.
        others: names of the JSON files in the folder that are no results.
    """

    folder: Path
    entries: Sequence[Entry]
    failures: Sequence[Failure]
    others: Sequence[str]

    @property
    def place(self) -> str:
        """The folder as a page can show it."""
        return shown(str(self.folder))

    @property
    def name(self) -> str:
        """The folder's own name, likewise."""
        return shown(self.folder.name)

    @property
    def categories(self) -> list[CategoryCount]:
        """Findings and mentions of all results, most findings first."""
        findings, mentions = Counter[str](), Counter[str]()
        for item in (item for entry in self.entries for item in entry.categories):
            findings[item.category] += item.findings
            mentions[item.category] += item.mentions
        counts = [CategoryCount(name, findings[name], mentions[name]) for name in findings]
        return sorted(counts, key=lambda item: (-item.findings, -item.mentions, item.category))


def json_files(folder: Path) -> list[Path]:
    """Every `*.json` of a folder that may be a result or tell a failure, by name.

    Folders inside it are left out, but for those that a job has.

    What a run says of itself is left out.

    Raises:
        ResultUnreadableError: the folder cannot be listed.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".json"]
        for part, suffix in ((COMPLETED, RESULT_SUFFIX), (FAILED, ERROR_SUFFIX)):
            found += (folder / part).glob(f"*{suffix}")
        return sorted(path for path in found if path.name not in _OF_THE_RUN)
    except OSError as err:
        raise ResultUnreadableError(f"{folder}: cannot be listed ({err.strerror})") from err


def examine(path: Path) -> Document | Failure | None:
    """A result, a failure that is told there, or None: a document of another kind.

    Raises:
        ResultUnreadableError: not JSON, or a result that is not of this version; names it.
    """
    content, parsed = read_json(path)
    if path.name.endswith(ERROR_SUFFIX):
        return told_by_error_file(path, parsed)
    if isinstance(parsed, dict) and _is_result(parsed.get("schema")):
        return result_in(path, content, parsed)
    return None


def entry(view: View, links: Mapping[str, str]) -> Entry:
    """What a case report shows of a result."""
    result = view.result
    return Entry(
        name=view.name,
        score=result["score"]["value"],
        reason=reason_of_score(result),
        coverage=result["score"]["coverage"],
        duration=result["provenance"]["duration"],
        speech=result["speech"],
        language=result["language"],
        speakers=len(result["speakers"]),
        utterances=len(view.lines),
        categories=view.categories,
        flags=len(result["flags"]),
        links=links,
    )


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Highest score first; those without a score last."""
    return sorted(entries, key=lambda one: (1.0 if one.score is None else -one.score, one.name))


def _is_result(schema: object) -> bool:
    """Whether a document says that it is a result, of whatever version."""
    return isinstance(schema, str) and schema.startswith(RESULT_SCHEMA.rpartition("/")[0] + "/")
