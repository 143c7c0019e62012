r"""The lines of a run log: JSON objects, each bound to the one before it by SHA-256.

A line ends in two members that every line has:

    "previous"      the `line_sha256` of the line before; 64 zeros in the first line
    "line_sha256"   SHA-256 of the bytes of this line before `,"line_sha256":`

So a byte that changes, a line that goes, comes or moves, breaks the chain at a place that can be
named. A line's hash without this module:

    sed 's/,"line_sha256":.*//' | tr -d '\n' | sha256sum
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST = "0" * 64  # what the first line names as the one before it
_SEAM = b',"line_sha256":"'
_END = re.compile(rb',"line_sha256":"([0-9a-f]{64})"\}')
_OWN = ("sequence", "time", "event", "previous", "line_sha256")  # members that are no facts


@dataclass(frozen=True)
class Line:
    """A line of the log.

    Attributes:
        sequence: number of the line, from 0.
        time: UTC, ISO 8601.
        event: what happened.
        facts: all other members but the two hashes.
        sha256: of the line; 64 hexadecimal digits.
    """

    sequence: int
    time: str
    event: str
    facts: Mapping[str, Any]
    sha256: str


@dataclass(frozen=True)
class Chain:
    """What stands in a log.

    Attributes:
        lines: those that can be read, broken ones included.
        breaks: where the chain does not hold, and how; empty: it does.
        torn: bytes after the last end of line, as a crash leaves them.
        count: of all lines.
        last: the hash that the next line must name.
    """

    lines: tuple[Line, ...]
    breaks: tuple[str, ...]
    torn: bytes
    count: int = 0
    last: str = FIRST


def write_line(
    sequence: int, time: str, event: str, facts: Mapping[str, Any], previous: str
) -> tuple[bytes, Line]:
    """A line as bytes, its end included, and as it will be read.

    Raises:
        ValueError: a fact is nothing that JSON can hold, or has the name of another member.
    """
    if taken := set(facts) & set(_OWN):
        raise ValueError(f"{event}: no names for facts: {', '.join(sorted(taken))}")
    document = {"sequence": sequence, "time": time, "event": event, **facts, "previous": previous}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half a surrogate pair, from a name that is not UTF-8, becomes its escape in JSON.
    content = text[:-1].encode(errors="backslashreplace")
    digest = hashlib.sha256(content).hexdigest()
    line = Line(sequence, time, event, facts, digest)
    return content + _SEAM + digest.encode() + b'"}\n', line


def read_chain(content: bytes, wanted: Callable[[bytes], bool] = lambda _: True) -> Chain:
    """Read the lines of a log and check that each follows from the one before it.

    Args:
        content: of the log.
        wanted: whether a line, as bytes, is to be among the `lines`; the others are checked as
            well, but only by their hashes, which takes a third of the time.
    """
    *whole, torn = content.split(b"\n")
    lines: list[Line] = []
    breaks: list[str] = []
    expected = FIRST
    for number, raw in enumerate(whole):
        body, seam, _ = raw.rpartition(_SEAM)
        end = _END.fullmatch(raw[len(body) :]) if seam else None
        digest = hashlib.sha256(body).hexdigest()
        stated = end[1].decode() if end else digest
        if (
            not wanted(body)
            and end
            and stated == digest
            and body.startswith(b'{"sequence":%d,' % number)
            and body.endswith(b',"previous":"%s"' % expected.encode())
        ):
            expected = stated
            continue
        try:
            document = json.loads(raw)
            line = _line(document, stated)
        except (ValueError, KeyError, TypeError, RecursionError):
            breaks.append(f"line {number + 1}: changed, it is no line of a log any more")
            expected = ""  # nobody knows what the next line should name
            continue
        if end is None or stated != digest:
            breaks.append(f"line {number + 1}: changed, its SHA-256 is {digest}, not {stated}")
        if expected and (document.get("previous"), line.sequence) != (expected, number):
            breaks.append(
                f"line {number + 1}: does not follow from the line before; lines were removed, "
                f"added, moved or changed there (it is number {line.sequence} and names "
                f"{document.get('previous')}, expected {number} and {expected})"
            )
        lines.append(line)
        expected = stated
    return Chain(tuple(lines), tuple(breaks), torn, len(whole), expected)


def _line(document: dict[str, Any], sha256: str) -> Line:
    facts = {name: value for name, value in document.items() if name not in _OWN}
    return Line(int(document["sequence"]), document["time"], document["event"], facts, sha256)
