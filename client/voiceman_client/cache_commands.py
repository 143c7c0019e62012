"""The commands about what is kept of earlier runs: `cache stats` and `cache clear`."""

import json
from datetime import UTC, datetime
from typing import Any, Never

import click
from rich.filesize import decimal

from voiceman.errors import ConfigurationError
from voiceman_client.answer_cache import clear as remove_all
from voiceman_client.answer_cache import entries_in
from voiceman_client.cache_size import answers_folder, detected_limit

FAILED = 1

cache_size_option = click.option(
    "--cache-size",
    "cache_size_gb",
    type=click.FloatRange(0),
    envvar="VOICEMAN_CACHE_SIZE",
    default=None,
    show_default="30, or 10 below 64 GB of memory; at most half of the free disk",
    show_envvar=True,
    metavar="GB",
    help="Size of the cache of answers, at least 1; 0: none.",
)
_style_option = click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Lines to read, or one JSON object.",
)


@click.group()
def cache() -> None:
    """Look at, or empty, the cache of answers of earlier runs."""


@cache.command()
@cache_size_option
@_style_option
@click.pass_context
def stats(context: click.Context, /, cache_size_gb: float | None, style: str) -> None:
    """Show how much is cached and how much may be."""
    folder = answers_folder()
    try:
        limit_bytes = detected_limit(folder, cache_size_gb) if cache_size_gb != 0 else 0
        entries = list(entries_in(folder))
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err
    except OSError as err:
        _fail(context, err)
    used = [entry.used_unix_s for entry in entries]
    _print(
        {
            "folder": str(folder),
            "entries": len(entries),
            "size_bytes": sum(entry.size_bytes for entry in entries),
            "limit_bytes": limit_bytes,
            "least_recently_used": _time(min(used)) if used else None,
            "most_recently_used": _time(max(used)) if used else None,
        },
        style,
    )


@cache.command()
@_style_option
@click.pass_context
def clear(context: click.Context, /, style: str) -> None:
    """Remove all cached answers; results are not touched."""
    folder = answers_folder()
    try:
        entries, size_bytes = remove_all(folder)
    except OSError as err:
        _fail(context, err)
    _print({"folder": str(folder), "removed": entries, "size_bytes": size_bytes}, style)


def _print(facts: dict[str, Any], style: str) -> None:
    if style == "json":
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        shown = decimal(value) if name.endswith("_bytes") else value
        if value is None:
            shown = "never"
        click.echo(f"{name.removesuffix('_bytes').replace('_', ' ')}: {shown}")


def _fail(context: click.Context, err: OSError) -> Never:
    click.echo(f"{err.filename}: {err.strerror}", err=True)
    context.exit(FAILED)


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")
