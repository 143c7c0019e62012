"""Whether a network may be computed in 16 bits is decided by what it does in them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from voiceman.errors import VoicemanError
from voiceman.serving.wav2vec2_network import CONFIG, SIXTEEN_BITS
from voiceman_export.parity import SERVED_LIMIT, Floats, Run
from voiceman_export.rounding import decide_rounding

EXACT = np.array([0.1, 0.2, 0.7], np.float32)


def rounded_to(found: Floats) -> "Run":
    return lambda dtype: [EXACT, found] if dtype == torch.bfloat16 else [EXACT, EXACT]


def allowed(folder: Path, found: Floats, *, classes: bool = True) -> bool:
    (folder / CONFIG).write_text('{"kept": 1}')
    decide_rounding(folder, lambda *_: rounded_to(found), classes=classes)
    config = json.loads((folder / CONFIG).read_text())
    assert config["kept"] == 1
    return config[SIXTEEN_BITS]


@pytest.mark.parametrize(
    ("found", "classes", "expected"),
    [
        (EXACT + 0.9 * SERVED_LIMIT, True, True),
        (EXACT + 1.1 * SERVED_LIMIT, True, False),
        (np.full(3, np.nan, np.float32), False, False),
    ],
)
def test_bf16_is_allowed_where_outputs_stay(tmp_path, found, classes, expected):
    assert allowed(tmp_path, found.astype(np.float32), classes=classes) is expected


def test_another_likeliest_class_forbids_it_however_small_the_difference(tmp_path, caplog):
    even = np.array([0.5, 0.5005], np.float32)

    def run(dtype: torch.dtype | None) -> list[Floats]:
        return [even[::-1] if dtype == torch.bfloat16 else even]

    (tmp_path / CONFIG).write_text("{}")
    decide_rounding(tmp_path, lambda *_: run, classes=True)
    assert json.loads((tmp_path / CONFIG).read_text())[SIXTEEN_BITS] is False
    assert "other top class: 1 > 0.01" in caplog.text


def test_what_cannot_be_compared_stays_fp32(tmp_path, monkeypatch, caplog):
    def unreachable(_count: int) -> list[Floats]:
        raise VoicemanError("no registry answers")

    monkeypatch.setattr("voiceman_export.rounding.utterances", unreachable)
    assert allowed(tmp_path, EXACT) is False
    assert "no registry answers" in caplog.text
