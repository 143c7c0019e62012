"""CTC networks for forced alignment: wav2vec 2.0 with a CTC head, Hugging Face's layout."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoTokenizer,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
)

from voiceman.analysis.ctc_labels import Vocabulary
from voiceman.analysis.ctc_network import CtcFormat
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.errors import WeightsError
from voiceman.languages import WITHOUT_SPACES
from voiceman.serving.ctc import FORMAT, WEIGHTS
from voiceman_export import voice_runs
from voiceman_export.pretrained import load_pretrained
from voiceman_export.rounding import decide_rounding
from voiceman_export.sources import Checkpoint
from voiceman_export.wav2vec2_layout import write_wav2vec2


def load(checkpoint: Checkpoint) -> Wav2Vec2ForCTC:
    """Load a checkpoint through transformers.

    Raises:
        WeightsError: not a wav2vec 2.0 with a CTC head, or an incomplete one.
    """
    return load_pretrained(AutoModelForCTC, checkpoint)


def read_format(checkpoint: Checkpoint, config: Wav2Vec2Config, language: str) -> CtcFormat:
    """What the aligner has to know, from the checkpoint's tokenizer and feature extractor.

    Args:
        checkpoint: its folder.
        config: of its model.
        language: ISO 639-1 code; decides whether there is a label between words.

    Raises:
        WeightsError: a file is missing, or its labels are not single characters.
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint.path)
        extractor: Any = AutoFeatureExtractor.from_pretrained(checkpoint.path)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise WeightsError(f"{checkpoint.path}: tokenizer or preprocessor: {err}") from err
    if extractor.sampling_rate != SAMPLE_RATE_HZ:
        raise WeightsError(
            f"{checkpoint.path}: hears {extractor.sampling_rate} Hz, not {SAMPLE_RATE_HZ} Hz"
        )
    blank, size = tokenizer.pad_token_id, config.vocab_size
    special = {tokenizer.pad_token, tokenizer.word_delimiter_token}
    labels = {
        label: number
        for label, number in tokenizer.get_vocab().items()
        if len(label) == 1 and label not in special and number < size
    }
    if blank is None or not labels or blank >= size:
        raise WeightsError(
            f"{checkpoint.path}: {len(labels)} labels of a single character, blank is {blank} of "
            f"{size} outputs; alignment needs characters and a blank"
        )
    spaced = language not in WITHOUT_SPACES and tokenizer.word_delimiter_token is not None
    return CtcFormat(
        vocabulary=Vocabulary(
            labels=labels,
            blank=blank,
            delimiter=tokenizer.word_delimiter_token_id if spaced else None,
        ),
        normalised=bool(extractor.do_normalize),
        receptive_field=_receptive_field(config.conv_kernel, config.conv_stride),
        hop=prod(config.conv_stride),
    )


def write(checkpoint: Checkpoint, folder: Path, language: str) -> str:
    """Write weights, sizes and format; returns the precision."""
    model = load(checkpoint)
    form = read_format(checkpoint, model.config, language)
    (folder / FORMAT).write_text(form.to_json() + "\n", encoding="utf-8")
    head = {f"lm_head.{name}": value for name, value in model.lm_head.state_dict().items()}
    write_wav2vec2(model.wav2vec2, head, {}, folder / WEIGHTS)
    decide_rounding(folder, voice_runs.ctc, classes=True)
    return "fp32"


def _receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame is made of, through convolutions one behind the other."""
    field = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        field = (field - 1) * stride + kernel
    return field
