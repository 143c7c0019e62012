"""Export the scoring model's data: weights, thresholds, patterns and lexicons."""

import shutil
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

from voiceman.errors import WeightsError
from voiceman.manifest import hash_files
from voiceman_export.weights_folder import Export, Source, export_weights

MODEL = "scoring"


def export(repository: Path, *, force: bool = False) -> Export:
    """Copy `scoring.toml`, `patterns/` and `sentiment/` of the core into the model's folder.

    Raises:
        WeightsError: the core's data is missing.
    """
    with as_file(files("voiceman") / "data") as data:
        if not (data / "scoring.toml").is_file():
            raise WeightsError(f"{data / 'scoring.toml'}: missing; install voiceman again")
        tables = [*(data / "patterns").glob("*.*"), *(data / "sentiment").glob("*.toml")]
        chosen = sorted([data / "scoring.toml", *tables])
        hashes = hash_files(data)
        names = [path.relative_to(data).as_posix() for path in chosen]
        content = ", ".join(f"{name} {hashes[name][:12]}" for name in names)
        source = Source(
            "scoring", f"{version('voiceman')} ({content})", "Apache-2.0", "voiceman's own data"
        )

        def write(folder: Path) -> str:
            for path, name in zip(chosen, names, strict=True):
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
            return ""

        return export_weights(repository, MODEL, source, write, force=force)
