"""Which passages of a result are to be distrusted."""

from collections.abc import Sequence

from voiceman.evidence import Flag


def touching(flags: Sequence[Flag], start: float, end: float) -> list[Flag]:
    """The flags that share time with a stretch.

    Words without sound may have no length: a stretch, or a flag, that ends where it starts
    counts as this moment.

    Args:
        flags: of the result.
        start: of the stretch, seconds.
        end: likewise.
    """
    return [
        flag
        for flag in flags
        if flag["start"] == start
        or flag["start"] < start < flag["end"]
        or start < flag["start"] < end
    ]


def kinds(flags: Sequence[Flag]) -> list[str]:
    """What kinds of flags these are, each once."""
    return list(dict.fromkeys(flag["kind"] for flag in flags))
