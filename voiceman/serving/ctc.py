"""The engine of word_alignment: CTC networks by language, cross-attention for all others.

Weights lie in a folder for each language (`weights/ko`); there may be none.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.analysis.ctc_network import CtcFormat
from voiceman.analysis.ctc_segments import ctc_words, replace_words
from voiceman.analysis.network_inputs import Floats, Lengths
from voiceman.analysis.word_times import align_words
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.errors import WeightsError
from voiceman.evidence import ModelWeights, Transcript
from voiceman.manifest import language_folders, read_manifest
from voiceman.serving.guard import ALIGNMENT, Guard, Guarded, guard_for
from voiceman.serving.wav2vec2_network import Head, load_network

if TYPE_CHECKING:  # requests.py imports what only Triton provides; the engine runs without
    from voiceman.serving.requests import Inputs, Outputs

log = logging.getLogger(__name__)

WEIGHTS = "ctc.safetensors"
FORMAT = "ctc.json"
CPU = torch.device("cpu")


class CtcModel:
    """The network of one language, loaded: a `voiceman.analysis.network_inputs.Network`.

    Attributes:
        form: what it takes and what its outputs stand for.
    """

    def __init__(
        self, folder: Path, device: torch.device = CPU, dtype: torch.dtype | None = None
    ) -> None:
        """Load the weights and try them.

        Args:
            folder: the weights of the language.
            device: where to compute.
            dtype: what to compute in; None: bf16 where the device multiplies it, else fp32.

        Raises:
            WeightsError: a file is missing or unreadable, or the files do not fit.
        """
        try:
            self.form = CtcFormat.from_json((folder / FORMAT).read_text(encoding="utf-8"))
        except (OSError, WeightsError) as err:
            raise WeightsError(f"{folder / FORMAT}: {err}; run voiceman-export") from err
        path = folder / WEIGHTS
        self._network = load_network(path, "a CTC network", _head, device, dtype)
        self._try(path)

    def __call__(self, samples: Floats, lengths: Lengths) -> Floats:
        """Log-probabilities [b, frames, labels] of padded samples [b, n]."""
        return self._network(samples, lengths)

    def _try(self, path: Path) -> None:
        """One run on the shortest input: does the format describe this network?"""
        samples = np.zeros((1, self.form.shortest), np.float32)
        _, frames, labels = self(samples, np.array([samples.shape[1]])).shape
        vocabulary = self.form.vocabulary
        known = max(*vocabulary.labels.values(), vocabulary.blank, vocabulary.delimiter or 0)
        if frames != self.form.frames(samples.shape[1]) or labels <= known:
            raise WeightsError(
                f"{path}: gives {frames} frames of {labels} labels for "
                f"{samples.shape[1]} samples, which {FORMAT} does not fit; run voiceman-export"
            )


def _head(tensors: Mapping[str, Tensor]) -> Head:
    weight, bias = tensors["lm_head.weight"], tensors["lm_head.bias"]

    def log_probabilities(hidden: Tensor, _inside: Tensor) -> Tensor:
        return nn.linear(hidden, weight, bias).log_softmax(dim=-1)

    return log_probabilities


@dataclass(frozen=True)
class _Language:
    """What aligns a language: its network, what that takes, and what it was exported from."""

    network: Guarded
    form: CtcFormat
    weights: ModelWeights


class WordAligner:
    """Aligns the words of windows in any language."""

    def __init__(self, folder: Path, device: torch.device = CPU) -> None:
        """Load the networks of all languages that have been exported.

        Args:
            folder: the weights folder, with a folder for each language; may be missing.
            device: where to compute.

        Raises:
            WeightsError: the weights of a language are incomplete or unreadable.
        """
        guard = guard_for("word_alignment", ALIGNMENT, str(device))
        self._languages: dict[str, _Language] = {}
        by_hash: dict[str, _Language] = {}
        for language in language_folders(folder):
            sha256 = read_manifest(language).sha256
            if sha256 not in by_hash:  # one network may serve several languages
                by_hash[sha256] = _load(language, device, guard)
            self._languages[language.name] = by_hash[sha256]
        log.info("CTC alignment for: %s", ", ".join(self._languages) or "no language")

    def __call__(self, batch: "Sequence[Inputs]") -> "Sequence[Outputs]":
        """WAVEFORM, TRANSCRIPT and CROSS_ATTENTION of every request to ALIGNED_TRANSCRIPT."""
        waveforms = [cast("Int16Waveform", inputs["WAVEFORM"]) for inputs in batch]
        transcripts = [
            _read(cast("str", inputs["TRANSCRIPT"]), len(waveform))
            for inputs, waveform in zip(batch, waveforms, strict=True)
        ]
        aligned = [
            align_words(transcript, cast("Floats", inputs["CROSS_ATTENTION"]))
            for inputs, transcript in zip(batch, transcripts, strict=True)
        ]
        for name, language in self._languages.items():
            windows = [i for i, t in enumerate(transcripts) if t["language"] == name]
            found = ctc_words(
                [waveforms[index] for index in windows],
                [transcripts[index] for index in windows],
                language.form,
                language.network,
            )
            for index, words in zip(windows, found, strict=True):
                aligned[index] = replace_words(transcripts[index], aligned[index], words)
                aligned[index]["aligner_weights"] = language.weights
        return [{"ALIGNED_TRANSCRIPT": json.dumps(a, ensure_ascii=False)} for a in aligned]


def _load(folder: Path, device: torch.device, guard: Guard) -> _Language:
    model = CtcModel(folder, device)
    spare = None if device == CPU else partial(CtcModel, folder)
    return _Language(Guarded(model, guard, spare), model.form, read_manifest(folder).weights)


def _read(text: str, samples: int) -> Transcript:
    """A TRANSCRIPT; the empty text of a warm-up is a window in which nothing was said."""
    if text:
        return json.loads(text)
    return {
        "language": "",
        "language_probability": None,
        "duration": samples / SAMPLE_RATE_HZ,
        "no_speech_probability": 0.0,
        "compression_ratio": 0.0,
        "segments": [],
        "flags": [],
    }
