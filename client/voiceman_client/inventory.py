"""What lies in a results folder, beside what its log says must lie there."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceman.manifest import sha256_of
from voiceman_client.chain import Line
from voiceman_client.ledger import LEDGER_FILES
from voiceman_client.log_lines import measure
from voiceman_client.run_log import LOG_NAME
from voiceman_client.temperature_log import LOG_NAME as TEMPERATURE_LOG
from voiceman_client.vitals_file import VITALS_NAME

# What is rewritten as runs go on, and no result.
WORKING_FILES = {LOG_NAME, TEMPERATURE_LOG, VITALS_NAME, *LEDGER_FILES}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was.

    Attributes:
        name: the file, relative to the folder; of a recording, its path.
        what: is wrong with it.
    """

    name: str
    what: str


def compare_files(folder: Path, outputs: Mapping[str, Any]) -> Iterator[Finding]:
    """Files that changed or are missing.

    Args:
        folder: of the results.
        outputs: size and SHA-256 of the files, as the log has them.
    """
    for name, logged in sorted(outputs.items()):
        try:
            found = measure(folder / name)
        except FileNotFoundError:
            yield Finding(name, f"missing; the log says {_words(logged)}")
        except (OSError, ValueError) as err:  # ValueError: a forged name
            yield Finding(name, f"cannot be read ({err})")
        else:
            if found != logged:
                yield Finding(name, f"changed: {_words(found)}; the log says {_words(logged)}")


def find_added(
    folder: Path, outputs: Collection[str], without: Collection[str] = ()
) -> Iterator[Finding]:
    """Files that the log does not know, and folders that cannot be listed.

    Args:
        folder: of the results.
        outputs: names of the files that the log knows.
        without: folders in it that hold no results.
    """
    refused: list[OSError] = []
    for name in sorted(_names(folder, refused) - {*WORKING_FILES, *outputs}):
        if Path(name).parts[0] not in without:
            yield Finding(name, "added: the log does not know it")
    for err in refused:
        yield Finding(os.path.relpath(err.filename, folder), f"cannot be listed ({err.strerror})")


def _names(folder: Path, refused: list[OSError]) -> set[str]:
    """All files below a folder, links included, relative to it; `refused` gets what failed."""
    return {
        os.path.relpath(Path(root, name), folder)
        for root, folders, files in os.walk(folder, onerror=refused.append)
        for name in (*files, *(name for name in folders if Path(root, name).is_symlink()))
    }


def _words(measured: object) -> str:
    match measured:
        case {"size_bytes": size_bytes, "sha256": digest}:
            return f"{size_bytes} bytes, SHA-256 {digest}"
        case _:
            return repr(measured)


def compare_inputs(lines: Sequence[Line], unreachable: list[str]) -> Iterator[Finding]:
    """Recordings that changed since they were decoded last.

    Args:
        lines: of the log.
        unreachable: is filled with those that cannot be read.
    """
    hashes = {
        line.facts["file"]: line.facts.get("sha256") for line in lines if line.event == "decoded"
    }
    for name, logged in sorted(hashes.items()):
        try:
            found = sha256_of(Path(name))
        except OSError:
            unreachable.append(name)
        else:
            if found != logged:
                yield Finding(name, f"changed: SHA-256 {found}; the log says {logged}")
