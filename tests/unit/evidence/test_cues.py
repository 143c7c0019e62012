"""Cues learned from labelled sentences: what they are, what they overrule, where they come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voiceman.analysis.crime_language import FINDING_WEIGHT, find
from voiceman.analysis.crime_patterns import CATEGORIES
from voiceman.analysis.cues import load_cues
from voiceman.analysis.morphemes import cut
from voiceman.analysis.pattern_tables import CUES_SUFFIX, DATA_FOLDER, default_tables, load_tables
from voiceman.analysis.text_cues import cues_of
from voiceman.errors import WeightsError
from voiceman_export.learn_cues import learn, learned_from, read_sentences

ROOT = Path(__file__).parents[3]
PATTERNS = """
language = "xx"
[[pattern]]
id = "xx-1"
category = "threat"
severity = 0.8
all = ["boo"]
matches = ["i will boo you", "boo you"]
harmless = ["the ghost says boo in the film", "a film with boo in it"]
source = "a test"
"""
SENTENCES = [
    ("threat", "you will be sorry for this"),
    ("threat", "you will be very sorry soon"),
    ("bribery", "take this envelope and forget it"),
    ("bribery", "this envelope is for you forget it"),
    ("", "the film was sad"),
    ("", "a film about a ghost"),
    ("", "is the envelope in the drawer"),
    ("", "i am sorry for the delay"),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patterns")
    (folder / "xx.toml").write_text(PATTERNS, "utf-8")
    sentences = folder / "xx.tsv"
    rows = "".join(f"{labels}\tplain\t{text}\n" for labels, text in SENTENCES)
    sentences.write_text("labels\tkind\ttext\n" + rows, "utf-8")
    learn(folder / "xx.toml", [sentences], folder / f"xx{CUES_SUFFIX}")
    return load_tables(folder)


def findings(text: str, tables) -> dict[str, str]:
    hits = find(text, "xx", tables)
    return {hit.pattern_id: hit.context for hit in hits if hit.weight >= FINDING_WEIGHT}


def test_what_no_pattern_hits_is_found_with_what_speaks_for_it(tables):
    (hit,) = find("Well, take this envelope and forget it.", "xx", tables)
    assert (hit.category, hit.pattern_id) == ("bribery", "xx-learned-bribery")
    assert hit.weight >= FINDING_WEIGHT
    assert "learned from labelled sentences" in hit.context
    assert "envelope" in "Well, take this envelope and forget it."[hit.start : hit.end]


def test_a_sentence_that_reads_otherwise_makes_a_finding_a_mention(tables):
    assert list(findings("i will boo you", tables)) == ["xx-1"]
    (hit,) = find("a film with boo in it", "xx", tables)
    assert hit.weight < FINDING_WEIGHT
    assert "reads otherwise" in hit.context
    without = {"xx": replace(tables["xx"], cues=None)}
    assert list(findings("a film with boo in it", without)) == ["xx-1"]


def test_a_users_own_pattern_stands(tables):
    own = {"xx": replace(tables["xx"], users=frozenset({"xx-1"}))}
    assert list(findings("a film with boo in it", own)) == ["xx-1"]


def test_one_sentence_among_others_is_heard(tables):
    text = "The film was sad. Take this envelope and forget it. Is it in the drawer?"
    assert list(findings(text, tables)) == ["xx-learned-bribery"]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_learned_hits_are_whole_words(language):
    kept = read_sentences(ROOT / "tests" / "sentences" / f"{language}_tuning.tsv")
    hits = [(s.text, hit) for s in kept for hit in find(s.text, language)]
    learned = [(text, hit) for text, hit in hits if "-learned-" in hit.pattern_id]
    assert learned
    for text, hit in learned:
        assert not (text[: hit.start][-1:].isalnum() and text[hit.start].isalnum())
        assert not (text[hit.end :][:1].isalnum() and text[hit.end - 1].isalnum())


def test_cues_are_stems_parts_neighbours_and_edges_where_their_words_stand():
    text = "Envelopes taken, forgotten."
    units = cut(text, "en")
    read = list(zip(units.line.decode().split(), units.spans, strict=True))
    cues = cues_of(text, "en", read, [])
    places = {
        "envelop": (0, 9),
        "^velop": (0, 9),
        "envelop taken": (0, 15),
        "forgotten >": (17, 26),
    }
    assert {name: cues[name] for name in places} == places
    assert "< envelop" in cues
    assert not {"<", ">", ","} & set(cues)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_shipped_cues_are_learned_from_the_shipped_sentences(language):
    path = DATA_FOLDER / f"{language}{CUES_SUFFIX}"
    sources = [
        DATA_FOLDER / f"{language}.toml",
        ROOT / "export" / "sentences" / f"{language}.tsv",
        ROOT / "tests" / "sentences" / f"{language}_tuning.tsv",
    ]
    with np.load(path, allow_pickle=False) as file:
        assert bytes(file["learned_from"]).decode() == learned_from(sources), "make learn-cues"
    assert tuple(default_tables()[language].cues.columns) == CATEGORIES


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_sentence_of_the_test_part_was_learned_from(language):
    learned = read_sentences(ROOT / "export" / "sentences" / f"{language}.tsv")
    kept = read_sentences(ROOT / "tests" / "sentences" / f"{language}_test.tsv")
    assert not {s.text for s in learned} & {s.text for s in kept}


def test_files_that_are_something_else_are_refused(tmp_path):
    (tmp_path / "xx.npz").write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"xx\.npz: not a table of cues"):
        load_cues(tmp_path / "xx.npz")
    (tmp_path / "xx.tsv").write_text("labels\tkind\ttext\nmurder\tplain\tno\n", "utf-8")
    with pytest.raises(WeightsError, match=r"xx\.tsv: unknown categories murder"):
        read_sentences(tmp_path / "xx.tsv")
