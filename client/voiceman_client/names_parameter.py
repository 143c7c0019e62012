"""A command's option that takes a comma-separated list of names."""

from collections.abc import Iterable

import click


class Names(click.ParamType[tuple[str, ...]]):
    """Names out of a given few, each once, in the order in which they were given."""

    name = "names"

    def __init__(self, known: Iterable[str]) -> None:
        self.known = tuple(known)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names; fails on one that is not known."""
        names = tuple(dict.fromkeys(str(value).replace(" ", "").split(",")))
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}", param, ctx)
        return names
