"""Read result files: whole, of this version, and with nothing in them that cannot be shown."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from voiceman.errors import ResultUnreadableError
from voiceman.evidence import RESULT_SCHEMA
from voiceman_client.result import Result

_REQUIRED = frozenset(Result.__required_keys__)
# Control characters, halves of surrogate pairs, and signs that turn the direction of a text
# around (Unicode UAX 9): a page must never show a text in another order than it has.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Document:
    """A result file.

    Attributes:
        path: of the file.
        sha256: of its bytes.
        result: what it holds; characters that cannot be shown are U+FFFD.
    """

    path: Path
    sha256: str
    result: Result


def read_result(path: Path) -> Document:
    """Read a result file.

    Raises:
        ResultUnreadableError: no such file, not JSON, or no result of this version; names it.
    """
    return result_in(path, *read_json(path))


def result_in(path: Path, content: bytes, parsed: object) -> Document:
    """The result that a file's JSON is.

    Args:
        path: of the file.
        content: its bytes.
        parsed: what they hold.

    Raises:
        ResultUnreadableError: no result of this version; names the file.
    """
    fields = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    if (schema := fields.get("schema")) != RESULT_SCHEMA:
        raise ResultUnreadableError(
            f"{path}: its schema is {schema!r}, expected is {RESULT_SCHEMA!r}; give a .json that "
            "submit wrote"
        )
    if missing := sorted(_REQUIRED - fields.keys()):
        raise ResultUnreadableError(
            f"{path}: not a complete result (it lacks {', '.join(missing)}); submit the recording "
            "again"
        )
    return Document(path, hashlib.sha256(content).hexdigest(), cast("Result", parsed))


def read_json(path: Path) -> tuple[bytes, Any]:
    """The bytes of a JSON file, and what it holds.

    Raises:
        ResultUnreadableError: no such file, or not JSON; names it.
    """
    try:
        content = path.read_bytes()
        return content, shown(json.loads(content, parse_constant=_refuse))
    except OSError as err:
        raise ResultUnreadableError(f"{path}: cannot be read as a result ({err.strerror})") from err
    except (ValueError, RecursionError) as err:
        raise ResultUnreadableError(
            f"{path}: cannot be read as a result: not JSON ({err})"
        ) from err


def shown(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same document with U+FFFD for every character that cannot be shown."""
    if isinstance(value, str):
        return _UNSHOWABLE.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [shown(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {shown(key): shown(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
