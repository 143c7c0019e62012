"""What cached values depend on: the keys of decoded recordings and of answers."""

from functools import cache
from importlib.metadata import version
from pathlib import Path

from voiceman.manifest import Manifest, code_in_use, hash_files
from voiceman_client.answer_cache import key_of
from voiceman_client.decode import Recording
from voiceman_client.decoded import Decoded
from voiceman_client.options import SubmitOptions
from voiceman_client.result import Made

# Of `SubmitOptions`: voices are compared with the answers afterwards, channels and the path of
# the patterns stand in other parts of the key by what they hold.
_NOT_ANSWERED = {"voices", "voices_sha256", "channels", "denoise", "patterns"}


def decoded_key(file_sha256: str, options: SubmitOptions) -> str:
    """The key of what decoding a file gives.

    Args:
        file_sha256: of the file's bytes.
        options: of the run; how channels and noise are dealt with.
    """
    return key_of(
        "decoded",
        {
            "file": file_sha256,
            "channels": options.channels,
            "denoise": options.denoise,
            "av": version("av"),
            **code_hashes(),
        },
    )


def answers_key(recording: Recording | Decoded, made: Made) -> str:
    """The key of the answers about a recording.

    It holds the sound, the versions and configurations of the server and its models, the options
    that answers depend on, and the code of the client, which cuts the windows.

    Args:
        recording: the sound by its hash, and which channels it is.
        made: of the run.
    """
    options = {name: value for name, value in made.options.items() if name not in _NOT_ANSWERED}
    return key_of(
        "answers",
        {
            "pcm": recording.pcm_sha256,
            "channels": recording.channels,
            "server": dict(made.server),
            "models": dict(made.models),
            "configurations": dict(made.configurations),
            "options": options,
            **code_hashes(),
        },
    )


@cache
def code_hashes() -> dict[str, str]:
    """SHA-256 of the client's code and of the core's: what they make may change with them."""
    files = hash_files(Path(__file__).parent)
    client = {name: digest for name, digest in files.items() if not name.endswith(".pyc")}
    return {
        "client": Manifest("", "", "", "", "", "", client).sha256,
        "core": code_in_use()["sha256"],
    }
