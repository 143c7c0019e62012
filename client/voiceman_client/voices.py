"""Known voices: the file that holds them, and who of them a speaker resembles.

A voices file is one JSON object:

    schema   "voiceman.voices/1"
    model    name and SHA-256 of the weights that made the embeddings; others cannot be compared
    voices   by name: embedding (192 numbers, unit length), seconds of speech that it rests on,
             and path and SHA-256 of every file they came from

It identifies people: keep it like any other biometric data. It is written for its owner alone.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.errors import ConfigurationError, ResultNotWrittenError
from voiceman.evidence import KnownVoice
from voiceman.voices import SAME_VOICE_SIMILARITY

VOICES_SCHEMA = "voiceman.voices/1"
NOTE = (
    "Cosine similarity of mean speaker embeddings with enrolled voices. Neither it nor its "
    "threshold is calibrated, and the most similar of few voices need not be the speaker's: a "
    "hint where to listen, no identification."
)
_DIGITS = 4

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """One enrolled voice.

    Attributes:
        embedding: [192], unit length.
        speech: seconds of one person's speech that it rests on.
        files: SHA-256 of every file that they came from, by path.
    """

    embedding: tuple[float, ...]
    speech: float
    files: dict[str, str]


@dataclass(frozen=True)
class EmbeddingModel:
    """The weights that made embeddings: name with version, and the hash of their files."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Voices:
    """The enrolled voices by name, all made by the same weights."""

    model: EmbeddingModel
    voices: dict[str, Voice]

    def check_model(self, model: EmbeddingModel, path: Path) -> None:
        """Refuse embeddings of other weights; raises ConfigurationError naming both."""
        if model.sha256 != self.model.sha256:
            raise ConfigurationError(
                f"{path}: its voices were made by {self.model.name} ({self.model.sha256[:12]}), "
                f"the server has {model.name} ({model.sha256[:12]}); enrol them again"
            )

    def with_voice(self, name: str, voice: Voice) -> "Voices":
        """The same with one more voice; one of that name is replaced."""
        return replace(self, voices={**self.voices, name: voice})


def read_voices(path: Path) -> Voices:
    """Read a voices file.

    Raises:
        ConfigurationError: it cannot be read, or is not a voices file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != VOICES_SCHEMA:
            raise ConfigurationError(
                f"{path}: its schema is {document['schema']!r}, expected {VOICES_SCHEMA!r}"
            )
        voices = {
            name: Voice(tuple(voice["embedding"]), float(voice["speech"]), dict(voice["files"]))
            for name, voice in document["voices"].items()
        }
        model = EmbeddingModel(**document["model"])
    except OSError as err:
        raise ConfigurationError(f"{path}: cannot be read ({err.strerror})") from err
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise ConfigurationError(f"{path}: not a voices file ({err!r}); enrol again") from err
    for name, voice in voices.items():
        if len(voice.embedding) != SPEAKER_EMBEDDING_SIZE:
            raise ConfigurationError(
                f"{path}: the voice {name!r} has {len(voice.embedding)} numbers, expected "
                f"{SPEAKER_EMBEDDING_SIZE}; enrol it again"
            )
    return Voices(model, voices)


def write_voices(path: Path, voices: Voices) -> None:
    """Write a voices file, whole or not at all, readable by its owner only.

    Raises:
        ResultNotWrittenError: disk full, no permission, no such folder.
    """
    text = json.dumps({"schema": VOICES_SCHEMA, **asdict(voices)}, indent=2, ensure_ascii=False)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.absolute().parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as err:
        raise ResultNotWrittenError(f"{path}: {err.strerror}") from err


def mean_voice(embeddings: Floats, seconds: npt.NDArray[np.float64]) -> Floats | None:
    """Mean of embeddings [u, 192] weighted by seconds [u], unit length; None: there is none."""
    known = np.isfinite(embeddings).all(axis=1)
    total = seconds[known] @ embeddings[known]
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32) if length else None


def recognise(
    voices: Mapping[str, Voice],
    labels: Sequence[str],
    embeddings: Floats,
    seconds: npt.NDArray[np.float64],
) -> dict[str, KnownVoice]:
    """Compare the speakers of a recording with known voices.

    Args:
        voices: by name.
        labels: [u] speaker of every utterance.
        embeddings: [u, 192] of the utterances; NaN: none.
        seconds: [u] their lengths.

    Returns:
        For every speaker with an embedding the most similar voice: its name from
        `SAME_VOICE_SIMILARITY` on, None below.
    """
    found: dict[str, KnownVoice] = {}
    for label in sorted(set(labels)):
        rows = np.array([other == label for other in labels])
        mean = mean_voice(embeddings[rows], seconds[rows])
        if mean is None or not voices:
            continue
        alike = {name: float(np.dot(voice.embedding, mean)) for name, voice in voices.items()}
        name = max(sorted(alike), key=alike.__getitem__)
        found[label] = KnownVoice(
            name=name if alike[name] >= SAME_VOICE_SIMILARITY else None,
            similarity=round(alike[name], _DIGITS),
            threshold=SAME_VOICE_SIMILARITY,
        )
    return found
