import itertools

import numpy as np
import torch
from tiny_whisper import CPU, IDS, Oracle

from voiceman.audio import Waveform
from voiceman.serving.whisper.alignment import (
    OUTSIDE,
    median_of_seven,
    normalise,
    stack_blocks,
)
from voiceman.serving.whisper.batch import Batch, Placement
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.rows import RowStart


def test_scores_are_the_cross_attention_of_transformers(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform]
) -> None:
    prompt = [IDS[f"<|{name}|>"] for name in ("startoftranscript", "ko", "transcribe")]
    prompt.append(IDS["<|notimestamps|>"])
    text, frames, width = [5, 9, 77, 140], 617, 7
    with torch.inference_mode():
        batch = Batch(tiny, build_network(tiny, choose_precision("fp32", CPU), CPU), 2)
        start = RowStart(prompt, 0, detect_language=False, with_timestamps=False, limit=5)
        batch.encode([Placement(1, sounds[2], start)]).wait()
        ours = batch.attention(1, prompt, text, frames)

        mel = oracle.features(sounds[2], sampling_rate=16000, return_tensors="pt")
        oracle.model.config._attn_implementation = "eager"
        tokens = torch.tensor([[*prompt, *text, IDS["<|endoftext|>"]]])
        attention = oracle.model(
            mel.input_features, decoder_input_ids=tokens, output_attentions=True
        ).cross_attentions
        oracle.model.config._attn_implementation = "sdpa"
    heads = torch.stack([attention[layer][0, head] for layer, head in tiny.alignment_heads])
    heads = heads[..., :frames] / heads[..., :frames].sum(-1, keepdim=True)
    deviation, mean = torch.std_mean(heads, dim=-2, keepdim=True, unbiased=False)
    padded = np.pad(((heads - mean) / deviation).numpy(), ((0, 0), (0, 0), (3, 3)), "reflect")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, width, -1), axis=-1)
    assert ours.shape == (len(text) + 1, frames)
    np.testing.assert_allclose(ours, median.mean(0)[len(prompt) - 1 : -1], atol=2e-4)


def test_a_single_token_has_numbers_for_an_attention() -> None:
    assert torch.isfinite(normalise(torch.randn(2, 1, 1500), 2)).all()


def test_a_frame_that_no_token_looks_at_says_nothing() -> None:
    """One frame takes all attention: what is left for the others is too small to square."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(2, 20, 100, generator=generator)
    scores[:, :, 0] += 60
    found = normalise(scores, 100)
    assert found.abs().max() < 10  # standard deviations


def test_decodes_of_one_window_stand_below_each_other() -> None:
    first, second = np.ones((2, 3), np.float32), np.full((1, 4), 2, np.float32)
    stacked = stack_blocks([(0, first), (3, second)], 5)
    np.testing.assert_array_equal(
        stacked, [[1, 1, 1, OUTSIDE, OUTSIDE]] * 2 + [[OUTSIDE, OUTSIDE, OUTSIDE, 2, 2]]
    )


def test_the_median_of_seven_is_the_middle_one() -> None:
    # A network of exchanges that is right for all zeros and ones is right for all numbers.
    rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=7)))
    assert torch.equal(median_of_seven(rows[:, None])[:, 0, 3], rows.sort(-1).values[:, 3])
    noise = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(5))
    padded = np.pad(noise.numpy(), ((0, 0), (0, 0), (3, 3)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7, -1)
    np.testing.assert_array_equal(median_of_seven(noise).numpy(), np.median(windows, -1))
