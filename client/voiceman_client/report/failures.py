"""What a folder of results records of recordings that have none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from voiceman_client.documents import shown
from voiceman_client.run_log import LOG_NAME

ERROR_SUFFIX = "_error.json"  # `<name>_error.json`: why a recording has no result


@dataclass(frozen=True)
class Failure:
    """A recording without a result, or a file that should be one and cannot be read."""

    name: str
    reason: str


def failure(name: str, reason: str) -> Failure:
    """A failure whose texts a page can show."""
    return Failure(shown(name), shown(reason))


def told_by_error_file(path: Path, parsed: object) -> Failure:
    """What an error file says; its fields are the writer's."""
    fields = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {"error": parsed}
    name = fields.get("file") or fields.get("path") or path.name.removesuffix(ERROR_SUFFIX)
    reason = fields.get("error") or fields.get("message") or fields.get("reason") or fields
    return failure(str(name), str(reason))


def told_by_log(folder: Path) -> list[Failure]:
    """What failed in the runs into a folder, unless a later run wrote a result of it.

    The log is read, not verified.
    """
    try:
        lines = (folder / LOG_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as err:
        return [failure(LOG_NAME, f"{LOG_NAME}: cannot be read ({err})")]
    failed: dict[str, Failure] = {}
    for number, line in enumerate(lines, start=1):
        try:
            _follow(json.loads(line), failed)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
            what = f"{LOG_NAME}: line {number}: damaged ({err!r})"
            failed[f"{LOG_NAME}:{number}"] = failure(LOG_NAME, what)
    return list(failed.values())


def _follow(event: Mapping[str, Any], failed: dict[str, Failure]) -> None:
    """Take one event into account."""
    if event["event"] == "recording_failed":
        why = str(event["why"])
        name = str(event.get("file", ""))  # none: an argument that named no recording
        failed[name or why] = failure(name or why.partition(":")[0], why)
    elif event["event"] == "result_written":
        failed.pop(event["provenance"]["source"]["file"], None)
