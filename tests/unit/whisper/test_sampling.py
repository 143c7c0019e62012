"""Tokens that are drawn at a temperature: as often as they are likely, and never a banned one."""

import numpy as np
import pytest
import torch
from tiny_whisper import CPU

from voiceman.serving.whisper.fallback import Draw
from voiceman.serving.whisper.rows import _choose, new_rows

PROBABILITIES = torch.tensor([0.0, 0.3, 0.05, 0.0, 0.0, 0.5, 0.15, 0.0])
LOGITS = PROBABILITIES.log()
LARGEST = 1 - 2**-24  # the largest number that may be drawn by


def choose(
    noise: np.ndarray, logits: torch.Tensor = LOGITS, temperature: float = 1.0
) -> np.ndarray:
    """What rows with the same logits [v] draw by their own noise [s]."""
    rows = new_rows(len(noise), 4, CPU)
    rows.temperature.fill_(temperature)
    rows.noise[:, 0] = torch.from_numpy(noise)
    return _choose(rows, logits.repeat(len(noise), 1)).numpy()


@pytest.mark.parametrize("temperature", [0.2, 0.6, 1.0])
def test_every_token_has_its_share_of_the_noise(temperature: float) -> None:
    """Over evenly spaced noise the counts are those of softmax(logits / temperature)."""
    count = 10_000
    drawn = choose(np.arange(count) / count, temperature=temperature)
    expected = (LOGITS / temperature).softmax(-1).numpy() * count
    assert np.abs(np.bincount(drawn, minlength=8) - expected).max() < 1.01


def test_real_noise_draws_tokens_as_often_as_they_are_likely() -> None:
    """Chi-square over the four tokens that are possible; 11.3 is the 99th percentile."""
    count = 20_000
    drawn = np.bincount(choose(np.array(Draw(1.0, bytes(32)).noise(count))), minlength=8)
    possible = PROBABILITIES.numpy() > 0
    expected = PROBABILITIES.numpy()[possible] * count
    assert ((drawn[possible] - expected) ** 2 / expected).sum() < 11.3
    assert drawn[~possible].sum() == 0


def test_a_token_without_probability_is_never_drawn() -> None:
    """Not even where the noise falls on the edge between two tokens, or is 0."""
    logits = torch.tensor([0.0, 0.25, 0.0, 0.25, 0.5, 0.0]).log()  # all sums are exact
    edges = np.array([0, 2**-24, 0.25 - 2**-24, 0.25, 0.5 - 2**-24, 0.5, LARGEST])
    assert choose(edges, logits).tolist() == [1, 1, 1, 3, 3, 4, 4]


def test_a_token_that_is_all_that_is_left_is_drawn() -> None:
    logits = torch.full((51_865,), -torch.inf)
    logits[40_000] = -80.0
    assert set(choose(np.linspace(0, LARGEST, 50), logits).tolist()) == {40_000}


def test_a_large_vocabulary_keeps_its_tail() -> None:
    """51,865 equal tokens: a sum in fp32 would lose some of them."""
    count = 51_865
    drawn = choose((np.arange(200) * 259 + 0.5) / count, torch.zeros(count))
    assert drawn.tolist() == [index * 259 for index in range(200)]


def test_rows_draw_at_their_own_temperature_by_the_noise_of_their_own_position() -> None:
    rows = new_rows(4, 3, CPU)
    rows.temperature.copy_(torch.tensor([0.0, 1.0, 0.0, 1.0]))
    rows.generated.copy_(torch.tensor([0, 1, 2, 2]))
    rows.noise[:] = torch.tensor([0.9, 0.1, 0.99])
    drawn = _choose(rows, LOGITS.repeat(4, 1))
    assert drawn.tolist() == [5, 1, 5, 6]
