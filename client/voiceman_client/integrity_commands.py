"""The commands about what a results folder proves: `verify` and `keygen`."""

from pathlib import Path

import click

from voiceman.errors import ConfigurationError
from voiceman_client.integrity import Report
from voiceman_client.integrity import verify as check_folder

CHANGED, UNSEALED = 1, 4


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--seal",
    default="",
    metavar="HASH",
    help="Seal of a run into DIR, as `submit` printed it: the log must hold it.",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file: the last run must be signed with the private key to it.",
)
@click.option(
    "--inputs", is_flag=True, help="Compare the recordings too, those that are where they were."
)
@click.pass_context
def verify(
    context: click.Context, /, folder: Path, *, seal: str, public_key: Path | None, inputs: bool
) -> None:
    """Compare every byte in DIR with the log of the runs that wrote it.

    Prints a line for every file that was changed, removed or added, and for every place where
    the log itself was, or says two answers of one run about one window. Exit code 0: all is as it
    was; 1: something is not; 4: the last run is not finished, and nothing else is wrong.

    Not compared, because they change as runs go on: temperature.log, and ledger.sqlite3, of which
    a later run uses only what the log knows by its SHA-256.
    """
    try:
        report = check_folder(folder, seal=seal.strip(), public_key=public_key, inputs=inputs)
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err
    for finding in report.findings:
        click.echo(f"{finding.name}: {finding.what}")
    for name in report.unreachable:
        click.echo(f"{name}: not there, not compared", err=True)
    if report.unsealed:
        click.echo(f"{folder}: {report.unsealed}", err=True)
    if report.findings:
        click.echo(f"{folder}: {len(report.findings)} findings", err=True)
        context.exit(CHANGED)
    if report.unsealed:
        context.exit(UNSEALED)
    click.echo(f"{folder}: intact, {_summary(report, checked=public_key is not None)}")


def _summary(report: Report, *, checked: bool) -> str:
    parts = [f"{report.files} files, {report.lines} lines of log, seal {report.seal}"]
    if report.public_key:
        signer = f"signed by {report.public_key}"
        parts.append(signer if checked else f"{signer} (not checked: give --public-key)")
    return ", ".join(parts)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
def keygen(file: Path) -> None:
    """Make a key to sign runs with (Ed25519): FILE, and FILE.pub to check them with.

    FILE has no password and is readable by its owner only: keep it away from the results.
    """
    try:
        from voiceman_client.signing import make_keys  # noqa: PLC0415  # needs cryptography

        public = make_keys(file)
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err
    click.echo(f"{file}: private key; {public}: public key", err=True)
