"""Write the weights of one Triton model: all or nothing, and only when they changed."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from voiceman.errors import WeightsError
from voiceman.manifest import Manifest, hash_files, verify

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Where weights come from; the fields are those of `voiceman.manifest.Manifest`."""

    name: str
    version: str
    licence: str
    origin: str


@dataclass(frozen=True)
class Export:
    """The weights of one model as they now lie in the repository.

    Attributes:
        folder: the weights folder.
        manifest: what is in it.
        written: False when the folder already held exactly this.
    """

    folder: Path
    manifest: Manifest
    written: bool


def weights_folder(repository: Path, model: str, language: str = "") -> Path:
    """Folder of a model's weights: `<repository>/<model>/1/weights`, below it the language's.

    Raises:
        WeightsError: the repository has no such model.
    """
    if not (repository / model).is_dir():
        raise WeightsError(
            f"{repository / model}: no such model; give --model-repository, the folder that "
            "holds one folder for each Triton model"
        )
    return repository / model / "1" / "weights" / language


def export_weights(
    repository: Path,
    model: str,
    source: Source,
    write: Callable[[Path], str],
    *,
    language: str = "",
    revision: int = 1,
    force: bool = False,
) -> Export:
    """Write a model's weights with their manifest, unless they are there already.

    Args:
        repository: the model repository.
        model: name of the Triton model.
        source: where the weights come from; decides with `revision` whether to write.
        write: fills the folder that it is given and returns the weights' precision.
        language: of a model that has weights for each language.
        revision: raised whenever `write` would produce other files from the same source.
        force: write in any case.

    Raises:
        WeightsError: the repository has no such model, or `write` failed so.
    """
    target = weights_folder(repository, model, language)
    source = replace(source, version=f"{source.version}{_suffix(revision)}")
    if not force and (manifest := _same(target, source)) is not None:
        return Export(target, manifest, written=False)
    logger.info("%s: exporting %s", model, source.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".weights-", dir=target.parent))
    try:
        precision = write(work)
        manifest = Manifest(
            model=model,
            name=source.name,
            version=source.version,
            licence=source.licence,
            origin=source.origin,
            precision=precision,
            files=hash_files(work),
        )
        manifest.write(work)
        _make_readable(work)
        _replace(target, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Export(target, manifest, written=True)


def intact(target: Path) -> Manifest | None:
    """The manifest of a weights folder; None: a file or the manifest is missing or altered."""
    try:
        return verify(target)
    except WeightsError:
        return None


def is_current(manifest: Manifest, revision: int) -> bool:
    """Whether this revision of the export wrote the weights."""
    return manifest.version.endswith(_suffix(revision))


def _suffix(revision: int) -> str:
    return f"; export {revision}"


def _same(target: Path, source: Source) -> Manifest | None:
    """The manifest of a folder that holds this source's weights unaltered."""
    manifest = intact(target)
    if manifest is None:
        return None
    found = Source(manifest.name, manifest.version, manifest.licence, manifest.origin)
    return manifest if found == source else None


def _make_readable(folder: Path) -> None:
    """For the server, which may run as another user than the one who exports."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _replace(target: Path, work: Path) -> None:
    """Put a finished folder in the place of the old one."""
    if not target.exists():
        work.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=".weights-old-", dir=target.parent))
    try:
        target.rename(old / "weights")
        work.rename(target)
    finally:
        shutil.rmtree(old, ignore_errors=True)
