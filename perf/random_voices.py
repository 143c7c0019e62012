"""Checkpoints of the published sizes with random weights, in their makers' layouts.

No real weights of the emotion and CTC models lie in any package registry. Their speed does not
depend on the weights; how rounding shows in their outputs does, and random networks are less sure
of themselves than trained ones. Heads are scaled so that outputs spread over speech about as
widely as real ones.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from voiceman.contracts import EMOTION_CATEGORIES, EMOTION_DIMENSIONS
from voiceman_export.check_speech import utterances
from voiceman_export.emotion_categorical import EmotionCategorical
from voiceman_export.emotion_dimensional import EmotionDimensional

_LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
_LARGE = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    **_LAYER_NORM,
}
# What makes these networks as large as they are.
DIMENSIONAL = {**_LARGE, "num_hidden_layers": 12, "id2label": dict(enumerate(EMOTION_DIMENSIONS))}
CATEGORICAL: dict[str, object] = {}  # wav2vec2-base
CTC = {**_LARGE, "num_hidden_layers": 24}
KOREAN = [chr(code) for code in range(ord("가"), ord("가") + 1200)]

_HEARD = 12  # utterances that a head is scaled on
_DEVIATION = 0.2  # of arousal and the like over real utterances, about
_LOGIT_DEVIATION = 2.0  # of categories: mostly one of them is likely


def dimensional() -> EmotionDimensional:
    """The regression of audeering's, its outputs spread around a half."""
    model = EmotionDimensional(Wav2Vec2Config(**DIMENSIONAL)).eval()

    def outputs() -> torch.Tensor:
        waveforms = [torch.nn.functional.layer_norm(u, u.shape)[None] for u in _heard()]
        return torch.cat([model(w, torch.ones_like(w, dtype=torch.int64)) for w in waveforms])

    _spread(model.classifier.out_proj, outputs, _DEVIATION, 0.5)
    return model


def categorical() -> EmotionCategorical:
    """The classifier of speechbrain's, sure of itself now and then."""
    config = Wav2Vec2Config(**CATEGORICAL)
    order = list(range(len(EMOTION_CATEGORIES)))
    model = EmotionCategorical(config, output_norm=True, order=order).eval()

    def outputs() -> torch.Tensor:
        return torch.cat([model(u[None], torch.ones(1)).log() for u in _heard()])

    _spread(model.output, outputs, _LOGIT_DEVIATION, None)
    return model


def write_dimensional(folder: Path) -> None:
    """A Hugging Face folder."""
    dimensional().save_pretrained(folder)


def write_categorical(folder: Path) -> None:
    """A speechbrain folder."""
    model = categorical()
    folder.mkdir()
    wav2vec2 = {f"model.{name}": value for name, value in model.wav2vec2.state_dict().items()}
    torch.save(wav2vec2, folder / "wav2vec2.ckpt")
    torch.save({"0.w.weight": model.output.weight}, folder / "model.ckpt")
    (folder / "hyperparams.yaml").write_text("wav2vec2: !new:a.b\n    output_norm: True\n")
    labels = "".join(f"'{label}' => {i}\n" for i, label in enumerate(("neu", "ang", "hap", "sad")))
    (folder / "label_encoder.txt").write_text(labels)


def write_ctc(folder: Path) -> None:
    """A Hugging Face folder as large as XLSR-53's, with Korean syllables."""
    folder.mkdir()
    names = ["[PAD]", "[UNK]", "|", *KOREAN]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "word_delimiter_token": "|"}
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **special).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    config = Wav2Vec2Config(**CTC, vocab_size=len(names), pad_token_id=0)
    model = Wav2Vec2ForCTC(config).eval()
    model.lm_head.weight.data.normal_(std=_LOGIT_DEVIATION / config.hidden_size**0.5)
    model.save_pretrained(folder)


def _heard() -> list[torch.Tensor]:
    return [torch.from_numpy(sound) for sound in utterances(_HEARD)]


@torch.no_grad()
def _spread(
    head: torch.nn.Linear,
    outputs: Callable[[], torch.Tensor],
    deviation: float,
    centre: float | None,
) -> None:
    """Scale a head so that its outputs over speech have a deviation, and a centre if it has one."""
    before = outputs()
    scale = deviation / before.std(dim=0).clamp_min(1e-9)
    head.weight.mul_(scale[:, None])
    if centre is not None:
        head.bias.copy_(centre + scale * (head.bias - before.mean(dim=0)))
