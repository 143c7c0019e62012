"""Whether a results folder is what its log says: every byte, every file, every line.

What can be known is that nothing changed since the lines were written. Somebody who can write
into the folder could write all of it anew, log included: against that stands the seal, if it was
kept elsewhere or signed.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceman.manifest import sha256_of
from voiceman_client.chain import Chain, Line, read_chain
from voiceman_client.run_log import LOG_NAME, SEALS, outputs_of
from voiceman_client.writers import TEMPORARY_PREFIX


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was.

    Attributes:
        name: the file, relative to the folder; of a recording, its path.
        what: is wrong with it.
    """

    name: str
    what: str


@dataclass(frozen=True)
class Report:
    """What was found in a folder.

    Attributes:
        findings: empty: the folder is what its log says.
        unsealed: why the last run is not sealed; empty: it is.
        seal: hash of the last `run_finished`; empty: there is none.
        public_key: of whoever signed the seal, as the log has it; empty: nobody did.
        files: how many files the log knows.
        lines: of the log.
        unreachable: recordings that were to be compared and are not there.
    """

    findings: tuple[Finding, ...]
    unsealed: str
    seal: str
    public_key: str
    files: int
    lines: int
    unreachable: tuple[str, ...]


def verify(
    folder: Path, *, seal: str = "", public_key: Path | None = None, inputs: bool = False
) -> Report:
    """Compare a results folder with its log.

    Args:
        folder: that `voiceman-client submit` wrote.
        seal: one that the log must hold, as `submit` printed it; empty: none.
        public_key: PEM file of whoever must have signed the last run; None: nobody must.
        inputs: whether the recordings are compared as well, where they can be reached.

    Raises:
        ConfigurationError: the public key cannot be used.
    """
    path = folder / LOG_NAME
    try:
        chain, log = read_chain(path.read_bytes()), list[Finding]()
    except OSError as err:
        chain, log = Chain((), (), b""), [Finding(LOG_NAME, f"cannot be read ({err.strerror})")]
    outputs = outputs_of(chain.lines)
    finished = [line for line in chain.lines if line.event == "run_finished"]
    unsealed = _why_unsealed(path, chain)
    unreachable: list[str] = []
    findings = [
        *log,
        *(Finding(LOG_NAME, what) for what in _chain(chain, finished)),
        *_files(folder, outputs, going=bool(unsealed)),
        *_provenance(folder, chain.lines, outputs),
        *(_inputs(chain.lines, unreachable) if inputs else ()),
    ]
    if seal and seal not in {line.sha256 for line in finished}:
        findings.append(Finding(LOG_NAME, f"no run in it has the seal {seal}"))
    if public_key and (what := _signature(chain.lines, public_key)):
        findings.append(Finding(LOG_NAME, what))
    last = chain.lines[-1] if chain.lines else None
    return Report(
        findings=tuple(findings),
        unsealed=unsealed,
        seal=finished[-1].sha256 if finished else "",
        public_key=str(last.facts.get("public_key", "")) if last else "",
        files=len(outputs),
        lines=len(chain.lines),
        unreachable=tuple(unreachable),
    )


def _why_unsealed(path: Path, chain: Chain) -> str:
    if chain.lines and chain.lines[-1].event in SEALS:
        return ""
    try:
        with path.open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "not sealed yet: a run is writing into this folder"
    except OSError:  # no log, or a file system without locks
        pass
    return "not sealed: the last run was interrupted or killed; submit again to finish it"


def _chain(chain: Chain, finished: Sequence[Line]) -> Iterator[str]:
    """What is wrong with the log by itself."""
    yield from chain.breaks
    if chain.torn:
        yield f"its last line is torn: {len(chain.torn)} bytes without an end of line"
    if finished and not chain.breaks:
        before = outputs_of(chain.lines[: finished[-1].sequence])
        if finished[-1].facts.get("outputs") != before:
            yield "its last seal lists other files than its lines before"


def _files(folder: Path, outputs: Mapping[str, Any], *, going: bool) -> Iterator[Finding]:
    """Files that changed, are missing, or are not in the log."""
    for name, logged in sorted(outputs.items()):
        try:
            found = _measure(folder / name)
        except FileNotFoundError:
            yield Finding(name, f"missing; the log says {_words(logged)}")
        except OSError as err:
            yield Finding(name, f"cannot be read ({err.strerror})")
        else:
            if found != logged:
                yield Finding(name, f"changed: {_words(found)}; the log says {_words(logged)}")
    for name in sorted(_names(folder) - {LOG_NAME, *outputs}):
        if not (going and name.startswith(TEMPORARY_PREFIX)):
            yield Finding(name, "added: the log does not know it")


def _names(folder: Path) -> set[str]:
    """All files below a folder, links included, relative to it."""
    return {
        os.path.relpath(Path(root, name), folder)
        for root, folders, files in os.walk(folder)
        for name in (*files, *(name for name in folders if Path(root, name).is_symlink()))
    }


def _measure(path: Path) -> dict[str, Any]:
    if not stat.S_ISREG(path.lstat().st_mode):
        return {"size_bytes": None, "sha256": "none, it is no ordinary file"}
    content = path.read_bytes()
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _words(measured: Mapping[str, Any]) -> str:
    return f"{measured.get('size_bytes')} bytes, SHA-256 {measured.get('sha256')}"


def _provenance(
    folder: Path, lines: Sequence[Line], outputs: Mapping[str, Any]
) -> Iterator[Finding]:
    """Results that say another origin than the log; changed files are named elsewhere."""
    decoded: dict[Any, Mapping[str, Any]] = {}
    for line in lines:
        facts = line.facts
        if line.event == "decoded":
            decoded[facts.get("file")] = facts
        if line.event != "result_written":
            continue
        provenance: dict[str, Any] = facts.get("provenance", {})
        source: dict[str, Any] = provenance.get("source", {})
        step = decoded.get(source.get("file"), {})
        for name, logged in dict(facts.get("outputs", {})).items():
            if (source.get("sha256"), provenance.get("pcm_sha256")) != (
                step.get("sha256"),
                step.get("pcm_sha256"),
            ):
                yield Finding(name, "its provenance is not that of the recording decoded for it")
            if not name.endswith(".json") or outputs.get(name) != logged:
                continue  # no provenance inside, or written again since
            stated = _provenance_in(folder / name, logged)
            if stated is not None and stated != provenance:
                differ = [key for key in provenance if stated.get(key) != provenance[key]]
                yield Finding(name, f"its provenance is not the log's: {', '.join(differ)}")


def _provenance_in(path: Path, logged: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a result says of its origin; None: the file is not the one that was written."""
    try:
        if _measure(path) != logged:
            return None
        return dict(json.loads(path.read_bytes())["provenance"])
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return {}


def _inputs(lines: Sequence[Line], unreachable: list[str]) -> Iterator[Finding]:
    """Recordings that changed since they were decoded last."""
    hashes = {
        str(line.facts.get("file")): line.facts.get("sha256")
        for line in lines
        if line.event == "decoded"
    }
    for name, logged in sorted(hashes.items()):
        try:
            found = sha256_of(Path(name))
        except OSError:
            unreachable.append(name)
        else:
            if found != logged:
                yield Finding(name, f"changed: SHA-256 {found}; the log says {logged}")


def _signature(lines: Sequence[Line], public_key: Path) -> str:
    """What is wrong with the signature of the last run; empty: nothing."""
    from voiceman_client.signing import Signature, check  # noqa: PLC0415  # needs cryptography

    if not lines or lines[-1].event != "run_signed":
        return "the last run is not signed"
    facts = lines[-1].facts
    signed = Signature(*(str(facts.get(name, "")) for name in ("seal", "public_key", "signature")))
    before = lines[-2] if len(lines) > 1 else lines[-1]
    if before.event != "run_finished" or before.sha256 != signed.seal:
        return "the signature is not of the seal before it"
    return check(signed, public_key)
