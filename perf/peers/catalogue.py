"""The names of all engines, and where each is found; nothing is loaded by reading this."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """One engine in one mode.

    Attributes:
        module: in this package; it has a table ENGINES with the same name.
        package: whose version is reported.
        title: for people.
        guest: needs the environment of the peers (requirements.txt).
    """

    module: str
    package: str
    title: str
    guest: bool = True


def _own(title: str) -> Engine:
    return Engine("own_engine", "voiceman", title, guest=False)


def _faster_whisper(title: str) -> Engine:
    return Engine("faster_whisper_engine", "faster-whisper", f"faster-whisper, {title}")


def _transformers(title: str) -> Engine:
    title = f"transformers, fixed 30 s windows, {title}, batch 8, fp32"
    return Engine("transformers_engine", "transformers", title, guest=False)


def _openai(title: str) -> Engine:
    return Engine("openai_whisper_engine", "openai-whisper", f"openai-whisper, {title}, fp32")


ENGINES = {
    "voiceman-int8": _own("voiceman, int8"),
    "voiceman-fp32": _own("voiceman, fp32"),
    "voiceman-int8-plain": _own("voiceman, not told where people speak, int8"),
    "voiceman-fp32-plain": _own("voiceman, not told where people speak, fp32"),
    "faster-whisper-batched": _faster_whisper("its own voice activity, batch 8, int8"),
    "faster-whisper-batched-timestamps": _faster_whisper(
        "its own voice activity, timestamps, batch 8, int8"
    ),
    "faster-whisper-fixed": _faster_whisper("fixed 30 s windows, batch 8, int8"),
    "faster-whisper-sequential": _faster_whisper("sequential, int8"),
    "faster-whisper-sequential-fp32": _faster_whisper("sequential, fp32"),
    "transformers-fixed": _transformers("no timestamps"),
    "transformers-timestamps": _transformers("timestamps"),
    "openai-whisper": _openai("whole recordings"),
    "openai-whisper-clips": _openai("clip by clip"),
    "openai-whisper-windows": _openai("voiceman's windows, padded in its own way"),
    "openai-whisper-windows-silence": _openai("voiceman's windows, padded with silence"),
}
