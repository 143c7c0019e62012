"""Numbers and times as people read them."""

from collections.abc import Mapping
from typing import Any, cast

ABSENT = "–"


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths, with hours where there are any: 1:02:03.4."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    whole = f"{rest // 10:02d}.{rest % 10}"
    return f"{minutes // 60}:{minutes % 60:02d}:{whole}" if minutes >= 60 else f"{minutes}:{whole}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with this many digits at most, without zeros at its end; a dash for None."""
    if value is None:
        return ABSENT
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(share: float | None) -> str:
    """A share of 0 to 1 in percent; a dash for None."""
    return ABSENT if share is None else f"{100 * share:.0f} %"


def plain(value: object) -> str:
    """Any value of a document in one line."""
    if value is None:
        return ABSENT
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return ", ".join(f"{key}={plain(item)}" for key, item in items) or ABSENT
    return str(value) or ABSENT
