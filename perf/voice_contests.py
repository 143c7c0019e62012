"""The voice models as the server runs them, and the libraries they come from, ready to run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import Wav2Vec2ForCTC

from perf import random_voices
from perf.record import ROOT
from voiceman.analysis.embedding import embed_utterances
from voiceman.analysis.emotion import analyse_utterances
from voiceman.analysis.network_inputs import Floats, batches, normalise
from voiceman.analysis.segmentation import find_activity
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, to_float32
from voiceman.serving.ctc import CtcModel
from voiceman.serving.ecapa import load_ecapa
from voiceman.serving.emotion import CATEGORICAL, CPU, DIMENSIONAL, EmotionModel
from voiceman.serving.emotion_networks import load_categorical, load_dimensional
from voiceman.serving.guard import Network
from voiceman.serving.processor import fast_dtype
from voiceman.serving.segmentation import load_segmentation
from voiceman_export import (
    emotion_categorical,
    emotion_dimensional,
    speaker_embedding,
    voice_activity,
)
from voiceman_export.models import export_model
from voiceman_export.sources import resolve
from voiceman_export.speechbrain_lobes import imported

REQUEST = 8  # utterances that the server would batch

Run = Callable[[Sequence[Int16Waveform]], object]


@dataclass(frozen=True)
class Contest:
    """One model: ours, by precision, and its library.

    Attributes:
        model: the Triton model.
        peer: the library that computes the same.
        ours: on some utterances.
        theirs: on the same.
    """

    model: str
    peer: str
    ours: Mapping[str, Run]
    theirs: Run


def contests(folder: Path) -> Iterator[Contest]:
    """All networks but Whisper; `folder` takes random checkpoints and their exports."""
    yield _speakers()
    yield _activity()
    yield _dimensional(folder)
    yield _categorical(folder)
    yield _alignment(folder)


def _speakers() -> Contest:
    """Speaker embeddings, from sound to vector."""
    network = load_ecapa(_weights("speaker_embedding"))
    source = speaker_embedding.load(resolve("ecapa", ()).path)
    features = imported("speechbrain.lobes.features").Fbank(n_mels=80)
    normalisation = imported("speechbrain.processing.features").InputNormalization(
        norm_type="sentence", std_norm=False
    )

    def ours(utterances: Sequence[Int16Waveform]) -> None:
        for some in _requests(utterances):
            embed_utterances(some, _whole(some), [None] * len(some), network)

    def theirs(waveform: torch.Tensor) -> object:
        length = torch.ones(1)
        return source(normalisation(features(waveform), length), length)

    return Contest("speaker_embedding", "speechbrain", {"as served": ours}, _one_by_one(theirs))


def _activity() -> Contest:
    """Speech and speaker turns of the utterances as one recording."""
    network = load_segmentation(_weights("voice_activity"))
    source = voice_activity.load(resolve("segmentation", ()).path)

    def ours(utterances: Sequence[Int16Waveform]) -> None:
        find_activity([np.concatenate(utterances)], network)

    @torch.inference_mode()
    def in_torch(windows: Floats) -> Floats:
        return source(torch.from_numpy(windows)).numpy()

    def theirs(utterances: Sequence[Int16Waveform]) -> None:
        find_activity([np.concatenate(utterances)], in_torch)

    return Contest("voice_activity", "pyannote's layers in torch", {"as served": ours}, theirs)


def _dimensional(folder: Path) -> Contest:
    exported = _export(folder, DIMENSIONAL.name, random_voices.write_dimensional)
    source = emotion_dimensional.load(resolve(str(folder / DIMENSIONAL.name), ()))
    ours = {
        name: _emotion(DIMENSIONAL, load_dimensional(exported, CPU, d)) for name, d in _dtypes()
    }

    def theirs(waveform: torch.Tensor) -> object:
        normalised = torch.nn.functional.layer_norm(waveform, waveform.shape)
        return source(normalised, torch.ones_like(normalised, dtype=torch.int64))

    return Contest(DIMENSIONAL.name, "transformers", ours, _one_by_one(theirs))


def _categorical(folder: Path) -> Contest:
    exported = _export(folder, CATEGORICAL.name, random_voices.write_categorical)
    source = emotion_categorical.load(folder / CATEGORICAL.name)
    ours = {
        name: _emotion(CATEGORICAL, load_categorical(exported, CPU, d)) for name, d in _dtypes()
    }
    theirs = _one_by_one(lambda waveform: source(waveform, torch.ones(1)))
    return Contest(CATEGORICAL.name, "transformers, pooled as by speechbrain", ours, theirs)


def _alignment(folder: Path) -> Contest:
    """Emissions of a CTC network of XLSR-53's size."""
    exported = _export(folder, "word_alignment", random_voices.write_ctc, "ko")
    source = Wav2Vec2ForCTC.from_pretrained(folder / "word_alignment").eval()

    def ours(network: CtcModel) -> Run:
        def run(utterances: Sequence[Int16Waveform]) -> None:
            for some in _requests(utterances):
                for batch in batches([normalise(to_float32(u)) for u in some], REQUEST):
                    network(batch.samples, batch.lengths)

        return run

    def theirs(waveform: torch.Tensor) -> object:
        normalised = torch.nn.functional.layer_norm(waveform, waveform.shape)
        return source(normalised).logits.log_softmax(-1)

    loaded = {name: ours(CtcModel(exported, CPU, dtype)) for name, dtype in _dtypes()}
    return Contest("word_alignment", "transformers", loaded, _one_by_one(theirs))


def _emotion(model: EmotionModel, network: Network) -> Run:
    """The server's own way, without the server."""

    def run(utterances: Sequence[Int16Waveform]) -> None:
        for some in _requests(utterances):
            analyse_utterances(
                some,
                _whole(some),
                network,
                outputs=len(model.columns),
                variance_floor=model.variance_floor,
            )

    return run


def _one_by_one(library: Callable[[torch.Tensor], object]) -> Run:
    """A library on one waveform [1, n] after the other."""

    @torch.inference_mode()
    def run(utterances: Sequence[Int16Waveform]) -> None:
        for utterance in utterances:
            library(torch.from_numpy(to_float32(utterance))[None])

    return run


def _requests(utterances: Sequence[Int16Waveform]) -> Iterator[Sequence[Int16Waveform]]:
    for first in range(0, len(utterances), REQUEST):
        yield utterances[first : first + REQUEST]


def _whole(utterances: Sequence[Int16Waveform]) -> list[Floats]:
    """UTTERANCES of windows that hold one each."""
    return [np.array([[0, len(u) / SAMPLE_RATE_HZ]], np.float32) for u in utterances]


def _dtypes() -> list[tuple[str, torch.dtype]]:
    """What this machine may compute wav2vec 2.0 in, by name."""
    dtypes = dict.fromkeys((fast_dtype(CPU), torch.float32))
    return [(str(dtype).removeprefix("torch."), dtype) for dtype in dtypes]


def _weights(model: str) -> Path:
    return ROOT / "model_repository" / model / "1" / "weights"


def _export(folder: Path, model: str, write: Callable[[Path], None], language: str = "") -> Path:
    """A random checkpoint, exported as a user's is; it stays beside the export."""
    write(folder / model)
    repository = folder / "models"
    (repository / model).mkdir(parents=True)
    return export_model(
        repository, model, str(folder / model), language=language, accept_licence=True
    ).folder
