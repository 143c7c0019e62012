"""What the READMEs say exists: variables, commands, options, files."""

import importlib
import re
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["voiceman", "client", "export", "model_repository", "perf", "tests", "tools"]
COMMANDS = {
    "voiceman-client": "voiceman_client.cli",
    "voiceman-server": "voiceman.server.cli",
    "voiceman-export": "voiceman_export.cli",
}
READMES = ["README.md", "README.ko.md"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def variables_in_code() -> set[str]:
    found: set[str] = set()
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".sh", ".pbtxt"} and path != Path(__file__):
                found |= set(re.findall(r"\bVOICEMAN_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("readme", READMES)
def test_every_environment_variable_is_in_the_table(readme: str):
    in_table = set(re.findall(r"^\| `(VOICEMAN_[A-Z_]+)`", text_of(readme), re.MULTILINE))
    assert in_table == variables_in_code()


@pytest.mark.parametrize("readme", READMES)
def test_every_command_and_option_exists(readme: str):
    calls = re.findall(r"(voiceman-(?:client|server|export))((?:[ \t]+[^\s`|]+)*)", text_of(readme))
    assert calls
    for command, rest in calls:
        group = importlib.import_module(COMMANDS[command]).main
        words = rest.split()
        called = group
        if isinstance(group, click.Group) and words and re.fullmatch(r"[a-z-]+", words[0]):
            assert words[0] in group.commands, f"{command} {words[0]}"
            called = group.commands[words[0]]
        options = {name for option in called.params for name in option.opts} | {"--help"}
        used = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert used <= options, f"{command}{rest}"


@pytest.mark.parametrize("readme", READMES)
def test_every_link_into_the_repository_resolves(readme: str):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text_of(readme))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("readme", READMES)
def test_every_make_target_exists(readme: str):
    targets = set(re.findall(r"\bmake ([a-z][a-z-]*)", text_of(readme)))
    known = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert targets <= known


def test_the_korean_readme_has_the_same_structure():
    def shape(name: str) -> list[int]:
        return [len(line.split()[0]) for line in text_of(name).splitlines() if line.startswith("#")]

    assert shape("README.ko.md") == shape("README.md")
