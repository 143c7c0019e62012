"""Linear layers in 8 bits: near to the truth, and the same for a row in any company."""

import pytest
import torch
from tiny_whisper import CPU

from voiceman.errors import ConfigurationError
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.layers import Network, build_network
from voiceman.serving.whisper.network import (
    Caches,
    decode_step,
    encode,
    fill_cross_cache,
    new_caches,
)
from voiceman.serving.whisper.precision import Int8, choose_precision

SIZES = [(32, 96), (64, 32), (33, 7), (512, 1536), (2048, 512), (512, 5003)]


def layer(inputs: int, outputs: int) -> tuple[Int8, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(inputs * outputs)
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    return Int8.quantise(weight, bias), weight, bias


def rows(count: int, width: int) -> torch.Tensor:
    """Rows [count, width] whose sizes differ by a factor of a million."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, width, generator=generator) * torch.logspace(-3, 3, count)[:, None]


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_a_row_alone_and_in_a_batch_is_the_same_bit_for_bit(inputs: int, outputs: int) -> None:
    linear, _, _ = layer(inputs, outputs)
    batch = rows(23, inputs)
    alone = torch.cat([linear(row[None]) for row in batch])
    for count in (2, 3, 7, 16, 23):
        assert torch.equal(linear(batch[:count]), alone[:count])
        assert torch.equal(linear(batch[:count].flip(0)), alone[:count].flip(0))
        assert torch.equal(linear(batch[:count, None]), alone[:count, None])


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_8_bits_are_near_to_the_truth_in_every_row(inputs: int, outputs: int) -> None:
    """Each of the two factors is rounded by at most half a 127th of its row's largest."""
    linear, weight, bias = layer(inputs, outputs)
    batch = rows(23, inputs)
    steps = [each.abs().amax(1, keepdim=True) / 127 for each in (batch, weight)]
    sums = [each.abs().sum(1, keepdim=True) for each in (batch, weight)]
    bound = (steps[0] * sums[1].T + sums[0] * steps[1].T + inputs * steps[0] * steps[1].T / 2) / 2
    error = (linear(batch).double() - (batch.double() @ weight.T.double() + bias)).abs()
    assert (error <= bound * 1.0001 + 1e-5).all()


def test_a_row_of_zeros_gives_the_bias_and_a_column_of_zeros_nothing() -> None:
    weight = torch.eye(8)
    weight[3] = 0
    linear = Int8.quantise(weight, torch.arange(8.0))
    assert linear(torch.zeros(2, 8)).tolist() == [list(range(8))] * 2
    without_bias = Int8.quantise(weight, None)
    assert without_bias(torch.full((1, 8), 5.0))[0].tolist() == pytest.approx(
        [5, 5, 5, 0, 5, 5, 5, 5]
    )


@torch.inference_mode()
def test_logits_in_int8_do_not_depend_on_neighbours_bit_for_bit(tiny: Checkpoint) -> None:
    """Encoder, attention and norms included; neighbours begin earlier and later."""
    network = build_network(tiny, choose_precision("int8", CPU), CPU)
    generator = torch.Generator().manual_seed(2)
    mel = torch.randn(7, 80, 3000, generator=generator)
    tokens = torch.randint(0, 250, (7, 80), generator=generator)
    ahead = torch.tensor([40, 7, 0, 23, 70, 1, 12])  # of slot 2
    together = decode(network, mel, tokens, ahead)
    for length in (128, 448):
        alone = decode(network, mel[2:3], tokens[2:3], ahead[2:3], length)
        assert torch.equal(alone[:, 0], together[:, 2])


def decode(
    network: Network,
    mel: torch.Tensor,
    tokens: torch.Tensor,
    ahead: torch.Tensor,
    length: int = 128,
) -> torch.Tensor:
    """Logits [n, s, v] of tokens [s, n] that are forced, from different positions on."""
    caches = caches_of(network, mel)
    last = tokens.shape[1] - 1
    logits: list[torch.Tensor] = []
    for made in range(-int(ahead.max()), tokens.shape[1]):
        position = (ahead + made).clamp(0, last)
        token = tokens[torch.arange(len(tokens)), position]
        logits.append(decode_step(network, caches, token, position, length))
    return torch.stack(logits[-tokens.shape[1] :])


def caches_of(network: Network, mel: torch.Tensor) -> Caches:
    """Caches whose slots hold encoded windows."""
    caches = new_caches(network, len(mel))
    fill_cross_cache(network, caches, encode(network, mel), torch.arange(len(mel)))
    return caches


@pytest.mark.parametrize("name", ["fp16", "int4", ""])
def test_a_precision_that_cannot_be_is_refused_with_those_that_can(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name!r} on cpu.*fp32, int8, bf16, fp16"):
        choose_precision(name, CPU)
