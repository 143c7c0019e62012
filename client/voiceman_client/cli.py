"""The command `voiceman-client`.

Standard output carries data only; progress, failures and logs go to standard error.
Exit codes: 0 all done, 1 some recordings or models failed, 2 usage, 3 server unreachable,
130 or 143 ended by SIGINT or SIGTERM.
"""

import io
import logging
import sys

import click

from voiceman_client.cache_commands import cache
from voiceman_client.cancel_command import cancel
from voiceman_client.clean_command import clean
from voiceman_client.enroll_command import enroll
from voiceman_client.explain_command import explain
from voiceman_client.integrity_commands import keygen, verify
from voiceman_client.patterns_command import patterns
from voiceman_client.power_command import power
from voiceman_client.report.command import report
from voiceman_client.retry_command import retry
from voiceman_client.server_commands import health, models
from voiceman_client.status_command import status
from voiceman_client.submit_command import submit
from voiceman_client.watch_command import watch

COMMANDS = (
    *(submit, watch, status, retry, cancel, clean),
    *(report, explain, enroll, patterns, verify, keygen),
    *(models, health, power, cache),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voiceman", prog_name="voiceman-client")
def main() -> None:
    """Transcribe and analyse recordings on a voiceman server."""
    for stream in (sys.stdin, sys.stdout):  # names of files need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("voiceman_client").setLevel(logging.INFO)


for command in COMMANDS:
    main.add_command(command)
