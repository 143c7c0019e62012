"""Images that were not built here: at least everything they name exists in the repository."""

import fnmatch
import importlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
INSTRUCTIONS = {
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "RUN",
    "STOPSIGNAL",
    "USER",
    "WORKDIR",
}


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """(instruction, its text) in order, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, text = line.partition(" ")
            yield word, text.strip()


def commands(dockerfile: Path) -> list[list[str]]:
    """Commands in exec form of CMD, ENTRYPOINT and HEALTHCHECK."""
    return [
        json.loads(text[text.index("[") :])
        for word, text in instructions(dockerfile)
        if word in ("CMD", "ENTRYPOINT", "HEALTHCHECK")
    ]


def assert_command_exists(words: list[str]) -> None:
    """A console script of the project with options and subcommands that it has."""
    module, function = PROJECT["scripts"][words[0]].split(":")
    command = getattr(importlib.import_module(module), function)
    arguments = words[1:]
    if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        command = command.commands[arguments.pop(0)]
    options = {name for option in command.params for name in option.opts} | {"--help"}
    assert {word for word in arguments if word.startswith("-")} <= options, words


def extras_of(dockerfile: Path) -> set[str]:
    """Extras that are installed with the project."""
    (listed,) = re.findall(r'"\.\[([\w,]+)\]"', dockerfile.read_text())
    return set(listed.split(","))


def is_ignored(path: str) -> bool:
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch.fnmatch(path, pattern):
            ignored = not line.startswith("!")
    return ignored


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_uses_known_instructions(dockerfile: Path):
    assert {word for word, _ in instructions(dockerfile)} <= INSTRUCTIONS


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_everything_copied_exists_and_reaches_the_build(dockerfile: Path):
    copies = [shlex.split(text) for word, text in instructions(dockerfile) if word == "COPY"]
    assert copies
    for *sources, _ in copies:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not is_ignored(source), f"{source} is in .dockerignore"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_everything_the_package_is_built_from_is_copied(dockerfile: Path):
    """The build backend fails on a package, readme or licence that is not there."""
    copied = {
        source
        for word, text in instructions(dockerfile)
        if word == "COPY"
        for source in shlex.split(text)[:-1]
    }
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packages = wheel["targets"]["wheel"]["packages"]
    needed = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"}
    needed |= {package.split("/")[0] for package in packages}
    assert needed <= copied


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_commands_and_options_exist(dockerfile: Path):
    (entry, *_) = [words[0] for words in commands(dockerfile)]
    for words in commands(dockerfile):
        assert_command_exists(words if words[0] in PROJECT["scripts"] else [entry, *words])


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_extras_exist(dockerfile: Path):
    assert extras_of(dockerfile) <= PROJECT["optional-dependencies"].keys()


def test_the_client_image_can_write_reports_and_sign():
    assert extras_of(DOCKER / "Dockerfile.client") == {"report", "sign"}


def test_server_image_pins_torch_as_the_project_does():
    (torch,) = [need for need in PROJECT["optional-dependencies"]["models"] if "torch" in need]
    assert f'"{torch}"' in (DOCKER / "Dockerfile.server").read_text()


def test_compose_builds_the_images_and_passes_arguments_they_take():
    for name, service in COMPOSE["services"].items():
        build = service["build"]
        assert (DOCKER / build["context"]).resolve() == ROOT
        dockerfile = ROOT / build["dockerfile"]
        assert dockerfile in DOCKERFILES, name
        taken = {text.split("=")[0] for word, text in instructions(dockerfile) if word == "ARG"}
        assert set(build.get("args", {})) <= taken


@pytest.mark.parametrize("name", ["server", "server-gpu"])
def test_compose_gives_the_server_shared_memory_and_keeps_it_on_this_machine(name: str):
    service = COMPOSE["services"][name]

    assert service["shm_size"] == "2gb"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    (source, target, mode) = service["volumes"][0].split(":")
    assert (DOCKER / source).resolve() == ROOT / "model_repository"
    assert mode == "ro"
    environment = dict(
        text.split("=", 1)
        for word, text in instructions(DOCKER / "Dockerfile.server")
        if word == "ENV" and text.startswith("VOICEMAN")
    )
    assert environment == {"VOICEMAN_MODEL_REPOSITORY": target}


def test_compose_client_talks_to_whichever_server_runs():
    address = COMPOSE["services"]["client"]["environment"]["VOICEMAN_SERVER"]
    host, port = address.split(":")

    for name in ("server", "server-gpu"):
        service = COMPOSE["services"][name]
        assert host in service["networks"]["default"]["aliases"]
        assert any(published.endswith(f":{port}") for published in service["ports"])


def test_compose_stops_later_than_the_server_drains():
    server = importlib.import_module("voiceman.server.cli").main
    (exit_timeout,) = [option for option in server.params if option.name == "exit_timeout"]
    grace_s = int(COMPOSE["services"]["server"]["stop_grace_period"].removesuffix("s"))

    assert grace_s > exit_timeout.default


def test_readme_commands_exist():
    text = (DOCKER / "README.md").read_text()

    assert "have not been built" in text
    for line in re.findall(r"run --rm client (.*)", text):
        assert_command_exists(["voiceman-client", *shlex.split(line)])
    for profile, service in re.findall(r"--profile (\w+) up --build ([\w-]+)", text):
        assert profile in COMPOSE["services"][service]["profiles"]
