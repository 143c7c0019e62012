"""The engine of word_alignment: CTC networks by language, cross-attention for all others.

Weights lie in a folder for each language (`weights/ko`); there may be none.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from voiceman.analysis.ctc_network import CtcFormat
from voiceman.analysis.ctc_segments import ctc_words, replace_words
from voiceman.analysis.network_inputs import Floats, Lengths, attention_mask
from voiceman.analysis.word_times import align_words
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.errors import WeightsError
from voiceman.evidence import ModelWeights, Transcript
from voiceman.manifest import language_folders, read_manifest
from voiceman.serving.onnx import open_model

if TYPE_CHECKING:  # requests.py imports what only Triton provides; the engine runs without
    from voiceman.serving.requests import Inputs, Outputs

log = logging.getLogger(__name__)

GRAPH = "ctc.onnx"
FORMAT = "ctc.json"
OUTPUT = "LOG_PROBABILITIES"


class CtcModel:
    """The network of one language, loaded.

    Attributes:
        form: what it takes and what its outputs stand for.
        weights: what it was exported from.
    """

    def __init__(self, folder: Path, args: Mapping[str, str] | None = None) -> None:
        """Load the weights and try them.

        Args:
            folder: the weights of the language.
            args: what Triton gives to `initialize`, for the device.

        Raises:
            WeightsError: a file is missing or unreadable, or the files do not fit.
        """
        self.weights: ModelWeights = read_manifest(folder).weights
        try:
            self.form = CtcFormat.from_json((folder / FORMAT).read_text(encoding="utf-8"))
        except (OSError, WeightsError) as err:
            raise WeightsError(f"{folder / FORMAT}: {err}; run voiceman-export") from err
        self._network = open_model(folder / GRAPH, args)
        self._try(folder)

    def __call__(self, samples: Floats, lengths: Lengths) -> Floats:
        """Log-probabilities [b, frames, labels] of padded samples [b, n]."""
        if self.form.masked:
            mask = attention_mask(samples, lengths)
            return self._network(WAVEFORM=samples, ATTENTION_MASK=mask)[OUTPUT]
        return self._network(WAVEFORM=samples)[OUTPUT]

    def _try(self, folder: Path) -> None:
        """One run on the shortest input, so that no request is the first to find a fault."""
        samples = np.zeros((1, self.form.shortest), np.float32)
        _, frames, labels = self(samples, np.array([samples.shape[1]])).shape
        known = max(self.form.vocabulary.labels.values(), default=0)
        if frames != self.form.frames(samples.shape[1]) or labels <= known:
            raise WeightsError(
                f"{folder / GRAPH}: gives {frames} frames of {labels} labels for "
                f"{samples.shape[1]} samples, which {FORMAT} does not fit; run voiceman-export"
            )


class WordAligner:
    """Aligns the words of windows in any language."""

    def __init__(self, folder: Path, args: Mapping[str, str] | None = None) -> None:
        """Load the networks of all languages that have been exported.

        Args:
            folder: the weights folder, with a folder for each language; may be missing.
            args: what Triton gives to `initialize`, for the device.

        Raises:
            WeightsError: the weights of a language are incomplete or unreadable.
        """
        self._models = {
            language.name: CtcModel(language, args) for language in language_folders(folder)
        }
        log.info("CTC alignment for: %s", ", ".join(self._models) or "no language")

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
        for language, model in self._models.items():
            windows = [i for i, t in enumerate(transcripts) if t["language"] == language]
            chosen = [transcripts[index] for index in windows]
            found = ctc_words([waveforms[index] for index in windows], chosen, model.form, model)
            for index, words in zip(windows, found, strict=True):
                aligned[index] = replace_words(transcripts[index], aligned[index], words)
                aligned[index]["aligner_weights"] = model.weights
        return [{"ALIGNED_TRANSCRIPT": json.dumps(a, ensure_ascii=False)} for a in aligned]


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
