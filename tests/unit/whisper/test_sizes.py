"""Shapes of the published sizes: what differs between them must not be assumed anywhere."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_whisper import Oracle, make_checkpoint

from voiceman.audio import Waveform
from voiceman.errors import WeightsError
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window

SIZES = {
    "large-v3": {"num_mel_bins": 128, "encoder_layers": 3, "decoder_layers": 3},
    "turbo": {"num_mel_bins": 128, "encoder_layers": 4},
    "distil": {"encoder_layers": 5},
    "wide heads": {"encoder_attention_heads": 4, "decoder_attention_heads": 2},
}


@pytest.mark.parametrize("name", SIZES)
def test_every_size_gives_the_tokens_of_transformers(
    name: str, tmp_path: Path, sounds: list[Waveform], engine_of: Callable[..., Engine]
) -> None:
    folder = make_checkpoint(tmp_path, **SIZES[name])
    oracle, engine = Oracle.load(folder), engine_of(load_checkpoint(folder), slots=2)
    options = WindowOptions(max_new_tokens=60, temperatures=(0.0,))
    for sound in sounds[1:4]:
        result = engine.submit(Window(sound, "ko", options)).result(timeout=60)
        expected = oracle.tokens(sound, True, language="ko")[:60]
        assert list(result.tokens[0]) == expected
        assert result.cross_attention.shape[1] == -(-len(sound) // 320)


@pytest.mark.parametrize("heads", [[], [[7, 0], [25, 6]]])
def test_alignment_heads_that_the_decoder_lacks_are_refused(
    heads: list[list[int]], tmp_path: Path
) -> None:
    folder = make_checkpoint(tmp_path)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alignment_heads": heads}))
    with pytest.raises(WeightsError, match=r"alignment_heads are .* the decoder has 2 layers"):
        load_checkpoint(folder)
