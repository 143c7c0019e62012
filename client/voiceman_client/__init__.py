"""`voiceman-client`: decode recordings, submit their windows, write results.

    import voiceman_client

    result = voiceman_client.process("call.m4a", language="ko")
    print(result["segments"][0]["text"])

`process` and `process_batch` are for scripts; `Client` keeps one connection for a program.
"""

from collections.abc import Generator, Sequence
from typing import Unpack

from voiceman_client.client import Client, StrPath
from voiceman_client.options import Limits, OptionValues, SubmitOptions
from voiceman_client.result import Result
from voiceman_client.submit import Outcome

__all__ = ["Client", "Limits", "Outcome", "Result", "SubmitOptions", "process", "process_batch"]


def process(path: StrPath, *, server: str | None = None, **options: Unpack[OptionValues]) -> Result:
    """Process one recording.

    Args:
        path: the file.
        server: host:port of gRPC; None: VOICEMAN_SERVER, else 127.0.0.1:8001.
        options: fields of `SubmitOptions`, `language="ko"` for example.

    Raises:
        VoicemanError: the recording or the server failed; see `voiceman.errors`.
    """
    with Client(server) as client:
        return client.process(path, **options)


def process_batch(
    paths: Sequence[StrPath],
    *,
    server: str | None = None,
    limits: Limits | None = None,
    **options: Unpack[OptionValues],
) -> Generator[Outcome, None, None]:
    """Process recordings; outcomes come as they are finished, not in order.

    Args:
        paths: the files.
        server: host:port of gRPC; None: VOICEMAN_SERVER, else 127.0.0.1:8001.
        limits: how much may happen at once; None: the defaults.
        options: fields of `SubmitOptions`.

    Raises:
        ServerUnreachableError: nobody answers at the server's address.
        ServerNotReadyError: it answers, but does not get all models loaded in `Limits.away_s`.
    """
    with Client(server, limits) as client:
        yield from client.process_batch(paths, **options)
