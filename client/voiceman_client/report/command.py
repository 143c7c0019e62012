"""The command `voiceman-client report`.

What draws and lays out comes with the extra `report` and is imported when it is needed, so that
the other commands work without.
"""

from pathlib import Path

import click

from voiceman.errors import ConfigurationError, VoicemanError
from voiceman_client.command_line import FAILED, USAGE
from voiceman_client.names_parameter import Names
from voiceman_client.report.messages import LANGUAGES

FORMATS = ("html", "pdf")
_EXISTING = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("results", nargs=-1, metavar="[RESULT]...", type=click.Path(path_type=Path))
@click.option(
    "--case",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="A report over all results of a folder, and the report of each of them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports"),
    show_default=True,
    metavar="DIR",
    help="Folder for the reports; made when missing. That of the results stays as it is.",
)
@click.option(
    "--format",
    "formats",
    type=Names(FORMATS),
    default=",".join(FORMATS),
    show_default=True,
    metavar="LIST",
    help="What to write, comma-separated: html, pdf.",
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    help="Language of the reports.  [default: Korean for Korean recordings, else English]",
)
@click.option(
    "--audio",
    type=_EXISTING,
    metavar="PATH",
    help="The recording, or a folder that holds it, where it is not where it was analysed.",
)
@click.option(
    "--embed-audio",
    is_flag=True,
    help="Put the recording into the HTML file: it grows by 4/3 of it.",
)
@click.option(
    "--font",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="TrueType font (.ttf) of the PDF.  [default: one with Hangul that this machine has]",
)
@click.pass_context
def report(
    context: click.Context,
    /,
    *,
    results: tuple[Path, ...],
    case: Path | None,
    output: Path,
    formats: tuple[str, ...],
    lang: str | None,
    audio: Path | None,
    embed_audio: bool,
    font: Path | None,
) -> None:
    """Write reports of results (JSON of `submit`) for people: HTML and PDF.

    RESULT is a result file. The HTML is one file that needs no network; it plays the recording
    from where it lies. A report is a reading aid, no verdict and no proof. Prints the path of each
    file as soon as it is written.
    """
    if bool(results) == (case is not None):
        raise click.UsageError("give result files, or --case and a folder, and not both")
    if audio is not None and audio.is_file() and len(results) != 1:
        raise click.UsageError(
            "--audio is one file, but there are several results: give its folder"
        )
    try:
        from voiceman_client.report.making import Maker  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as err:
        click.echo(f"reports need {err.name}: pip install 'voiceman[report]'", err=True)
        context.exit(FAILED)
    failed = 0
    try:
        maker = Maker(formats, lang, audio, font, embed_audio)
        made = maker.of_case(case, output) if case else maker.of_results(results, output)
        for outcome in made:
            if isinstance(outcome, VoicemanError):
                failed += 1
                click.echo(f"failed: {outcome}", err=True)
            else:
                click.echo(outcome)
    except ConfigurationError as err:
        click.echo(str(err), err=True)
        context.exit(USAGE)
    except VoicemanError as err:
        click.echo(f"failed: {err}", err=True)
        context.exit(FAILED)
    context.exit(FAILED if failed else 0)
