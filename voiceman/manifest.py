"""The manifest beside exported weights: what they are, where they came from, their hashes."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from voiceman.errors import HashMismatchError, WeightsError
from voiceman.evidence import ModelWeights
from voiceman.profile import profile_in_use

MANIFEST_NAME = "manifest.json"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """Origin and hashes of one `weights/` folder.

    Attributes:
        model: name of the Triton model.
        name: name of the weights, "whisper-base" for example.
        version: version of the source (package version, hub revision or content hash).
        licence: SPDX identifier, as far as there is one.
        origin: where the source came from, in words that a reader can follow.
        precision: numeric format of the weights, "fp32" for example; empty for data.
        files: SHA-256 by file name relative to the folder.
    """

    model: str
    name: str
    version: str
    licence: str
    origin: str
    precision: str
    files: dict[str, str]

    @property
    def sha256(self) -> str:
        """One hash for the whole folder: over the sorted names and hashes of its files."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def weights(self) -> ModelWeights:
        """What the evidence says about these weights, and the profile they are worked with."""
        return ModelWeights(
            name=self.name,
            version=self.version,
            precision=self.precision,
            sha256=self.sha256,
            profile=profile_in_use(),
        )

    def write(self, folder: Path) -> None:
        """Write the manifest into a weights folder."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, the manifest itself left out."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    }


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a weights folder.

    Raises:
        WeightsError: there is none, or it is not a manifest.
    """
    path = folder / MANIFEST_NAME
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing; run voiceman-export") from err
    except (json.JSONDecodeError, TypeError) as err:
        raise WeightsError(f"{path}: not a manifest ({err}); run voiceman-export again") from err


def language_folders(folder: Path) -> list[Path]:
    """The folders of languages, "ko" for example, in the weights folder of a model that has such.

    A folder whose name begins with a dot is an export that has not been finished.
    """
    return sorted(path.parent for path in folder.glob(f"[!.]*/{MANIFEST_NAME}"))


def weights_in_use(repository: Path) -> dict[str, ModelWeights]:
    """The weights of all models of a repository, from their manifests, by model.

    Models without weights are left out, and so are models with weights for each language: they
    name those themselves. The newest version counts, as it does for Triton.
    """
    found: dict[str, ModelWeights] = {}
    for path in sorted(repository.glob(f"*/*/weights/{MANIFEST_NAME}"), key=_version):
        found[path.parts[-4]] = read_manifest(path.parent).weights
    return found


def newest_weights(repository: Path, model: str) -> Path:
    """The weights folder of a model's newest version, the one that Triton loads.

    Raises:
        WeightsError: the model has no weights.
    """
    found = sorted(repository.glob(f"{model}/*/weights/{MANIFEST_NAME}"), key=_version)
    if not found:
        raise WeightsError(f"{repository / model}: no weights; run voiceman-export {model}")
    return found[-1].parent


def code_in_use() -> ModelWeights:
    """What stands for weights where a model is code alone: this package, its tables included."""
    folder = Path(__file__).parent
    files = {
        name: digest for name, digest in hash_files(folder).items() if not name.endswith(".pyc")
    }
    try:
        installed = version("voiceman")
    except PackageNotFoundError:  # the code alone is on the path
        installed = ""
    code = Manifest("", "voiceman", installed, "", "", "", files)
    return code.weights


def _version(path: Path) -> int:
    """The version folder of `<model>/<version>/weights/manifest.json`."""
    version = path.parts[-3]
    return int(version) if version.isdecimal() else 0


def verify(folder: Path) -> Manifest:
    """Compare every file of a weights folder with its manifest.

    Raises:
        WeightsError: the manifest or a file is missing.
        HashMismatchError: a file was altered; names the file and both hashes.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"{path}: missing; run voiceman-export")
        if (found := sha256_of(path)) != expected:
            raise HashMismatchError(
                f"{path}: SHA-256 is {found}, the manifest says {expected}; run voiceman-export"
            )
    return manifest
