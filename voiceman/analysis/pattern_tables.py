"""The files that hold the tables of crime language.

A table is one TOML file: a `language`, `[concepts]` (word classes that phrases refer to),
`[spelling]` (what recognisers write, and what is meant), `[[pattern]]` and `[[context]]`
entries with the fields of `Pattern` and `ContextRule` in `voiceman.analysis.crime_patterns`.
Phrases: `voiceman.analysis.phrases`.

A user's table is read on top of the shipped one of its language: an entry or a concept of the
same name takes the place of the shipped one, `enabled = false` takes an entry away.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from voiceman.analysis.crime_patterns import PatternTable, Tables
from voiceman.analysis.cues import load_cues
from voiceman.analysis.pattern_entries import build_table, parse_entries
from voiceman.errors import WeightsError

DATA_FOLDER = Path(__file__).parent.parent / "data" / "patterns"
CUES_SUFFIX = ".cues.npz"  # beside <language>.toml


@lru_cache
def default_tables() -> Tables:
    """The tables that come with voiceman, by language."""
    return load_tables(DATA_FOLDER)


def load_tables(folder: Path) -> dict[str, PatternTable]:
    """Read every `<language>.toml` of a folder.

    Raises:
        WeightsError: a file is missing, no TOML, or breaks the format; names file and entry.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise WeightsError(f"{folder}: no pattern tables; run voiceman-export scoring")
    tables = [_with_cues(read_table(path), path) for path in paths]
    ids = [pattern.id for table in tables for pattern in table.patterns]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise WeightsError(f"{folder}: pattern ids used twice: {', '.join(repeated)}")
    return {table.language: table for table in tables}


def _with_cues(table: PatternTable, path: Path) -> PatternTable:
    learned = path.with_suffix(CUES_SUFFIX)
    return replace(table, cues=load_cues(learned)) if learned.exists() else table


def read_table(path: Path) -> PatternTable:
    """The patterns of a file, without learned cues.

    Raises:
        WeightsError: the file is unreadable, no TOML, or breaks the format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise WeightsError(f"{path}: not a pattern table: {err}") from err
    return build_table(parse_entries(text, str(path), WeightsError), str(path), WeightsError)
