"""The command `voiceman-export`."""

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click

from voiceman.errors import VoicemanError
from voiceman_export import aligners, scoring
from voiceman_export.assets import fetch as fetch_asset
from voiceman_export.catalogue import catalogue
from voiceman_export.models import MODELS, Model, export_model, users_own
from voiceman_export.registries import ProgramMissingError
from voiceman_export.weights_folder import Export

logger = logging.getLogger(__name__)
P = ParamSpec("P")
_ROW = "{:<20} {:<56} {:>10} {:>10}  {}"

_repository = click.option(
    "--model-repository",
    "repository",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="VOICEMAN_MODEL_REPOSITORY",
    default=Path("model_repository"),
    show_default=True,
    show_envvar=True,
    help="Folder with one folder for each Triton model.",
)
_force = click.option("--force", is_flag=True, help="Export even if nothing has changed.")
_accept_licence = click.option(
    "--accept-license",
    "accept_licence",
    is_flag=True,
    help="I have read the licence of these weights, and it fits my use.",
)


def _failures_are_messages(command: Callable[P, None]) -> Callable[P, None]:
    """One line instead of a traceback for everything that is raised on purpose."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except VoicemanError as err:
            raise click.ClickException(str(err)) from err

    return wrapped


@click.group()
@click.option("-v", "--verbose", is_flag=True, help="Log more on standard error.")
@click.version_option(package_name="voiceman")
def main(*, verbose: bool) -> None:
    """Fetch checkpoints, export them into the model repository, check them.

    A checkpoint is an asset of the catalogue (`voiceman-export fetch --help` lists them), a
    local file or folder, or a name on the Hugging Face hub.
    """
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("voiceman_export").setLevel(logging.DEBUG if verbose else logging.INFO)


def _assets() -> str:
    """A line for each asset; a backspace keeps click from wrapping it."""
    rows = [("name", "licence", "packages", "origin")]
    for asset in catalogue().values():
        # The same package has a file for each processor.
        packages = dict.fromkeys(f"{package.name} {package.version}" for package in asset.packages)
        rows.append((asset.name, asset.licence, ", ".join(packages), asset.origin))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(["\b", *lines])


@main.command(epilog=_assets())
@click.argument("names", metavar="[NAME]...", nargs=-1)
@_failures_are_messages
def fetch(names: tuple[str, ...]) -> None:
    """Fetch assets into the cache, all of them without a NAME; print `name<TAB>folder` of each.

    Without a NAME, what needs a program that is not installed (npm, apt-get) is skipped.
    """
    for name in names or catalogue():
        try:
            click.echo(f"{name}\t{fetch_asset(name)}")
        except ProgramMissingError as err:
            if names:
                raise
            logger.warning("%s: skipped: %s", name, err)


@main.command(name="all")
@click.option("--whisper", metavar="CHECKPOINT", help="Another Whisper than the catalogue's.")
@_repository
@_force
@_failures_are_messages
def export_all(whisper: str | None, repository: Path, *, force: bool) -> None:
    """Export every model that the catalogue has weights for, and the score's data.

    Weights that you exported from elsewhere are kept, unless --force or --whisper is given.
    """
    for model in MODELS.values():
        checkpoint = whisper if model.name == "whisper" else None
        if not model.default:
            logger.info("%s: no weights in the catalogue: give --checkpoint", model.name)
        elif not (force or checkpoint) and (kept := users_own(repository, model.name)):
            _report(kept, "kept")
        else:
            _report(export_model(repository, model.name, checkpoint, force=force))
    _report(export_model(repository, scoring.MODEL, force=force))


def _language(model: Model) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """The option of models that have weights for each language."""
    if not model.languages:
        return lambda command: command
    known = ", ".join(model.languages)
    return click.option(
        "--language",
        required=True,
        help=f"ISO 639 code. There is a usual checkpoint for {known}; see {aligners.__name__}.",
    )


def _add_command(model: Model) -> None:
    @main.command(name=model.name.replace("_", "-"), help=f"Export {model.title}.")
    @click.option(
        "--checkpoint",
        default=model.default or None,
        show_default=True,
        help="Asset of the catalogue, local file or folder, or hub name.",
    )
    @_language(model)
    @_accept_licence
    @_repository
    @_force
    @_failures_are_messages
    def command(
        checkpoint: str | None,
        repository: Path,
        *,
        accept_licence: bool,
        force: bool,
        language: str = "",
    ) -> None:
        export = export_model(
            repository,
            model.name,
            checkpoint,
            language=language,
            accept_licence=accept_licence,
            force=force,
        )
        _report(export)

    del command


for _model in MODELS.values():
    _add_command(_model)


@main.command(name=scoring.MODEL)
@_repository
@_force
@_failures_are_messages
def export_scoring(repository: Path, *, force: bool) -> None:
    """Copy the weights, thresholds and patterns of the score."""
    _report(export_model(repository, scoring.MODEL, force=force))


@main.command()
@click.argument("names", metavar="[MODEL]...", nargs=-1, type=click.Choice([*MODELS, "scoring"]))
@click.option("--checkpoint", help="Source of one MODEL that was exported from a local path.")
@click.option("--language", default="", help="Only this language, of models that have several.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table, or one JSON object for each line.",
)
@click.option(
    "--utterances",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="How many pieces of real speech voice models are compared on.",
)
@_repository
@_failures_are_messages
def check(
    names: tuple[str, ...],
    *,
    checkpoint: str | None,
    language: str,
    form: str,
    utterances: int,
    repository: Path,
) -> None:
    """Compare exported models with their sources; exit 1 when one differs too much.

    Without a MODEL, every model of the repository that has weights.
    """
    from voiceman_export import checks  # noqa: PLC0415 - imports torch and transformers

    if checkpoint and len(names) != 1:
        raise click.UsageError("--checkpoint belongs to one MODEL")
    failed = False
    if form == "table":
        click.echo(_ROW.format("model", "compared with", "difference", "limit", "verdict"))
    for name in names or checks.exported(repository):
        for parity in checks.check(repository, name, checkpoint, language, utterances):
            failed = failed or not parity.passed
            if form == "json":
                click.echo(json.dumps({**asdict(parity), "passed": parity.passed}))
                continue
            numbers = f"{parity.difference:.2e}", f"{parity.limit:.2e}"
            verdict = "equal" if parity.passed else "DIFFERS"
            click.echo(_ROW.format(parity.model, parity.reference, *numbers, verdict))
    if failed:
        raise SystemExit(1)


def _report(export: Export, state: str = "") -> None:
    manifest = export.manifest
    state = state or ("exported" if export.written else "unchanged")
    click.echo(f"{manifest.model}\t{manifest.name}\t{state}\t{export.folder}")
