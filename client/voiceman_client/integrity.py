"""Whether a results folder is what its log says: every byte, every file, every line.

What can be known is that nothing changed since the lines were written. Somebody who can write
into the folder could write all of it anew, log included: against that stands the seal, if it was
kept elsewhere or signed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceman_client.chain import Chain, Line, read_chain
from voiceman_client.inventory import (
    Finding,
    compare_files,
    compare_inputs,
    find_added,
)
from voiceman_client.layout import INCOMING, JOB, PROCESSING
from voiceman_client.log_lines import measure, outputs_of
from voiceman_client.run_log import LOG_NAME, SEALS, is_in_use
from voiceman_client.writers import TEMPORARY_PREFIX


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
    going = is_in_use(folder)
    try:
        chain = read_chain(path.read_bytes())
    except OSError as err:
        chain = Chain((), (f"cannot be read ({err.strerror})",), b"")
    lines = [line for line in chain.lines if _is_known(line)]
    outputs = outputs_of(lines)
    finished = [line for line in lines if line.event == "run_finished"]
    unsealed = _why_unsealed(chain, going=going)
    unreachable: list[str] = []
    findings = [
        *(Finding(LOG_NAME, what) for what in _log(chain, lines)),
        *compare_files(folder, outputs),
        *(() if going and unsealed else _unfinished(folder, chain, outputs, unsealed)),
        *_provenance(folder, lines, outputs),
        *(compare_inputs(lines, unreachable) if inputs else ()),
    ]
    if seal and seal not in {line.sha256 for line in finished}:
        findings.append(Finding(LOG_NAME, f"no run in it has the seal {seal}"))
    if public_key and (what := _signature(lines, public_key)):
        findings.append(Finding(LOG_NAME, what))
    last = lines[-1] if lines else None
    return Report(
        findings=tuple(findings),
        unsealed=unsealed,
        seal=finished[-1].sha256 if finished else "",
        public_key=str(last.facts.get("public_key", "")) if last else "",
        files=len(outputs),
        lines=len(chain.lines),
        unreachable=tuple(unreachable),
    )


def _why_unsealed(chain: Chain, *, going: bool) -> str:
    if chain.breaks or (chain.lines and chain.lines[-1].event in SEALS):
        return ""  # what a changed log said last, nobody knows
    if going:
        return "not sealed yet: a run is writing into this folder"
    return "not sealed: the last run was interrupted or killed; submit again to finish it"


def _unfinished(
    folder: Path, chain: Chain, outputs: Mapping[str, Any], unsealed: str
) -> Iterator[Finding]:
    """What a run that is writing has always: a file or half a line that the log does not know."""
    if chain.torn:
        what = f"its last line is torn: {len(chain.torn)} bytes without an end of line"
        yield Finding(LOG_NAME, what)
    for finding in find_added(folder, outputs, _passed_through(chain)):
        if not (unsealed and finding.name.startswith(TEMPORARY_PREFIX)):
            yield finding


def _passed_through(chain: Chain) -> Sequence[str]:
    """Folders that hold recordings, and no results, in the folder of a job."""
    runs = [line for line in chain.lines if line.event == "run_started"]
    return (INCOMING, PROCESSING) if any(run.facts.get("layout") == JOB for run in runs) else ()


def _is_known(line: Line) -> bool:
    """Whether the facts are of the form that `RunLog` writes, as far as they are read here."""
    match line.event, line.facts:
        case (
            ("decoded", {"file": str()})
            | ("result_written", {"provenance": {"source": {"file": str()}}, "outputs": {}})
            | ("performance_written" | "summary_written", {"outputs": {}})
            | ("file_removed", {"name": str()})
        ):
            return True
        case (
            "decoded"
            | "result_written"
            | "performance_written"
            | "summary_written"
            | "file_removed",
            _,
        ):
            return False
        case _, {"outputs": outputs}:
            return isinstance(outputs, dict)
        case _:
            return True


def _log(chain: Chain, known: Sequence[Line]) -> Iterator[str]:
    """What is wrong with the log by itself."""
    yield from chain.breaks
    if chain.breaks:
        return
    for line in chain.lines:
        if not _is_known(line):
            yield f"line {line.sequence + 1}: these are no facts of {line.event}"
    yield from _two_answers(known)
    for line in known:
        if line.event == "run_finished":
            before = outputs_of(other for other in known if other.sequence < line.sequence)
            if line.facts.get("outputs") != before:
                yield f"line {line.sequence + 1}: the seal lists other files than were written"


def _two_answers(lines: Sequence[Line]) -> Iterator[str]:
    """Windows of which one and the same run says two answers; another run may get another."""
    said: dict[str, object] = {}
    for line in lines:
        if line.event in ("run_started", "run_finished"):
            said.clear()
        if line.event == "window_answered":
            window = repr([line.facts.get(name) for name in ("file", "channel", "start", "end")])
            evidence = line.facts.get("evidence_sha256")
            if said.setdefault(window, evidence) != evidence:
                yield f"line {line.sequence + 1}: two answers of one run about the window {window}"


def _provenance(
    folder: Path, lines: Sequence[Line], outputs: Mapping[str, Any]
) -> Iterator[Finding]:
    """Results that say another origin than the log; changed files are named elsewhere."""
    decoded: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        if line.event == "decoded":
            decoded[line.facts["file"]] = line.facts
        if line.event != "result_written":
            continue
        provenance = line.facts["provenance"]
        source = provenance["source"]
        step = decoded.get(source["file"], {})
        for name, logged in line.facts["outputs"].items():
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
        if measure(path) != logged:
            return None
        return dict(json.loads(path.read_bytes())["provenance"])
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return {}


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
