"""The texts of the reports' interface: one table, `messages.toml`, for both languages."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = ("ko", "en")
_NAMES = "_name"  # tables of this ending hold one entry for each stable name of a result


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """Text by language, by key; names of results have keys such as "category_name.threat"."""
    source = files("voiceman_client.report") / "messages.toml"
    flat: dict[str, Mapping[str, str]] = {}
    for key, entry in tomllib.loads(source.read_text(encoding="utf-8")).items():
        if key.endswith(_NAMES):
            flat |= {f"{key}.{name}": texts for name, texts in entry.items()}
        else:
            flat[key] = entry
    return flat


def names(group: str) -> list[str]:
    """The stable names of a group that the table knows, "threat" of "category"."""
    start = f"{group}{_NAMES}."
    return [key.removeprefix(start) for key in table() if key.startswith(start)]


def messages_for(spoken: str | None) -> "Messages":
    """The texts for whoever reads about a recording in this language (ISO 639-1, or None)."""
    return Messages("ko" if spoken == "ko" else "en")


class Messages:
    """The table in one language.

    Attributes:
        language: one of `LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, with its values put in.

        Raises:
            KeyError: the table lacks the key, or the values lack one that the text names.
        """
        text = table()[key][self.language]
        return text.format_map(values) if values else text

    def name(self, group: str, raw: str) -> str:
        """What a stable name of a result is called ("category", "threat"); itself if unknown."""
        known = table().get(f"{group}{_NAMES}.{raw}")
        return known[self.language] if known else raw
