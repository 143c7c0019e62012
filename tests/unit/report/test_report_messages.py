"""Every text of the reports stands in one table, in both languages, and is used."""

import re
import string
from pathlib import Path

import voiceman_client.report
from voiceman_client.report.messages import LANGUAGES, Messages, table

PACKAGE = Path(voiceman_client.report.__file__).parent


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_text_is_there_in_both_languages_with_the_same_values():
    for key, texts in table().items():
        assert set(texts) == set(LANGUAGES), key
        assert placeholders(texts["ko"]) == placeholders(texts["en"]), key
        assert all(text.strip() for text in texts.values()), key


def test_every_key_is_used():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*")
        if path.suffix in {".py", ".j2"}
    )
    states = {"match", "differs", "absent"}
    keys = {key for key in table() if "." not in key} - {f"integrity_{state}" for state in states}
    assert [key for key in sorted(keys) if f'"{key}"' not in sources] == []


def test_no_text_stands_in_a_template():
    for path in (PACKAGE / "templates").glob("*.j2"):
        source = re.sub(r"{#.*?#}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        source = re.sub(r"{%.*?%}|{{.*?}}", "", source)
        words = re.findall(r"[가-힣]+|[A-Za-z]{3,}", re.sub(r"<[^>]*>", " ", source))
        assert words == [], path.name


def test_unknown_names_are_shown_as_they_are():
    assert Messages("ko").name("category", "threat") == "협박"
    assert Messages("en").name("category", "piracy") == "piracy"
