"""Where a checkpoint comes from: the catalogue, a local file or folder, or the hub."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import LicenceNotAcceptedError, WeightsError
from voiceman.manifest import Manifest, hash_files, sha256_of
from voiceman_export.assets import fetch
from voiceman_export.catalogue import catalogue
from voiceman_export.weights_folder import Source

UNKNOWN_LICENCE = "LicenseRef-unknown"
_CARD = "README.md"
_LOCAL = "local checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is at hand.

    Attributes:
        path: its file or folder; of a hub model, the snapshot with what `patterns` asked for.
        source: what the manifest will say about it.
        hub_name: name on the hub, empty for others; with `revision`, what transformers loads.
        revision: the hub's commit.
    """

    path: Path
    source: Source
    hub_name: str = ""
    revision: str = ""


def resolve(name: str, patterns: tuple[str, ...], licence: str = UNKNOWN_LICENCE) -> Checkpoint:
    """Find a checkpoint by name.

    Args:
        name: an asset of the catalogue, a local file or folder, or a name on the hub.
        patterns: files of a hub model to download; weights that transformers loads by itself
            need not be among them.
        licence: what to assume where the checkpoint says nothing.

    Raises:
        WeightsError: there is no such checkpoint, or it cannot be downloaded.
    """
    if Path(name).exists():
        return _local(Path(name), licence)
    if name in catalogue():
        asset = catalogue()[name]
        return Checkpoint(
            fetch(name), Source(asset.name, asset.version, asset.licence, asset.origin)
        )
    return _hub(name, patterns, licence)


def is_asset(manifest: Manifest) -> bool:
    """Whether weights came from the catalogue, in whatever version; a folder may share its name."""
    return manifest.name in catalogue() and not manifest.origin.startswith(_LOCAL)


def require_acceptance(source: Source, *, accepted: bool) -> None:
    """Refuse weights whose licence forbids commercial use until the user accepts it.

    Raises:
        LicenceNotAcceptedError: it does, and the user has not.
    """
    if "-nc" in source.licence.lower() and not accepted:
        raise LicenceNotAcceptedError(
            f"{source.name}: the licence {source.licence} allows no commercial use; read it, and "
            "give --accept-license if it fits yours"
        )


def _local(path: Path, licence: str) -> Checkpoint:
    path = path.resolve()
    if path.is_dir():
        content = "".join(f"{digest} {name}\n" for name, digest in hash_files(path).items())
        version = f"sha256 {_sha256(content)}"
    else:
        version = f"sha256 {sha256_of(path)}"
    licence = _licence(path / _CARD, licence)
    return Checkpoint(path, Source(path.name, version, licence, f"{_LOCAL} {path.name}"))


def _hub(name: str, patterns: tuple[str, ...], licence: str) -> Checkpoint:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise WeightsError(
            f"{name}: neither in the catalogue ({', '.join(catalogue())}), nor a local path, nor "
            "a hub name (owner/name)"
        )
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only where it is needed

    try:
        folder = Path(snapshot_download(name, allow_patterns=[*patterns, _CARD]))
    except (OSError, ValueError) as err:
        raise WeightsError(f"{name}: cannot be had from the hub: {err}") from err
    # A snapshot's folder is named by its commit.
    revision = folder.name
    licence = _licence(folder / _CARD, licence)
    source = Source(name, revision, licence, f"{name} on the Hugging Face hub")
    return Checkpoint(folder, source, name, revision)


def _licence(card: Path, default: str) -> str:
    """Licence in the front matter of a model card, as the hub shows it."""
    if not card.is_file():
        return default
    front_matter = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8"), re.DOTALL)
    found = re.search(r"^license:\s*(\S+)", front_matter[1] if front_matter else "", re.MULTILINE)
    return found[1].strip("\"'") if found else default


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
