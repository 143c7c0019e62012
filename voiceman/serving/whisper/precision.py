"""In which precision a network computes, and the linear layers of each.

fp32 is the oracle. int8 is for the CPU: weights in 8 bits per output channel, activations in 8
bits per row, so that no row knows of its neighbours; what surrounds the linear layers stays in
fp32. Where the processor multiplies bf16, the attention and the whole encoder are in bf16 there:
over 1,500 positions the rounding to 8 bits costs as much time as it saves, and the encoder's
output is three times nearer to that of fp32. bf16 and fp16 are for CUDA.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.errors import ConfigurationError
from voiceman.serving.processor import multiplies_bf16

PrecisionName = Literal["fp32", "int8", "bf16", "fp16"]
Linear = Callable[[Tensor], Tensor]  # [.., in] to [.., out]

_LARGEST = 127.0  # of a signed 8-bit number; -128 is not used


@dataclass(frozen=True)
class Arithmetic:
    """What is computed in which type.

    Attributes:
        hidden: of activations, embeddings and norms.
        attention: of queries, keys, values and so of the caches.
        int8: whether linear layers multiply 8-bit numbers.
    """

    hidden: torch.dtype
    attention: torch.dtype
    int8: bool = False

    def linear(self, weight: Tensor, bias: Tensor | None = None) -> Linear:
        """The linear layer of a weight [out, in] and a bias [out]."""
        if self.int8:
            return Int8.quantise(weight, bias)
        return Dense(weight.to(self.hidden), None if bias is None else bias.to(self.hidden))


@dataclass(frozen=True)
class Precision:
    """The arithmetic of both halves of a network."""

    name: PrecisionName
    encoder: Arithmetic
    decoder: Arithmetic

    @property
    def label(self) -> str:
        """The name, and where they differ what the encoder computes in: for the evidence."""
        if self.encoder.int8 == self.decoder.int8:
            return self.name
        return f"{self.name}, encoder {str(self.encoder.hidden).removeprefix('torch.')}"


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of a name on a device.

    Raises:
        ConfigurationError: unknown, or not for this device.
    """
    whole = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if device.type != "cpu":
        whole["fp16"] = torch.float16
    if name in whole:
        arithmetic = Arithmetic(whole[name], whole[name])
        return Precision(name, arithmetic, arithmetic)  # type: ignore[arg-type]  # a known name
    if name == "int8" and device.type == "cpu":
        if multiplies_bf16():
            encoder = Arithmetic(torch.bfloat16, torch.bfloat16)
            return Precision("int8", encoder, Arithmetic(torch.float32, torch.bfloat16, int8=True))
        arithmetic = Arithmetic(torch.float32, torch.float32, int8=True)
        return Precision("int8", arithmetic, arithmetic)
    raise ConfigurationError(
        f"precision {name!r} on {device.type}: known are {', '.join(get_args(PrecisionName))}; "
        "int8 is for the CPU, fp16 for CUDA"
    )


@dataclass(frozen=True)
class Dense:
    """A linear layer in the precision of its weight [out, in]."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """[.., in] to [.., out]."""
        return nn.linear(inputs, self.weight, self.bias)


@dataclass(frozen=True)
class Int8:
    """A linear layer that multiplies 8-bit numbers and answers in fp32.

    Every row of activations is scaled by its own largest value before it is rounded: with one
    scale for a whole batch, as torch's dynamically quantised layers have it, what one row
    becomes depends on the others.

    Attributes:
        packed: int8 weight in the layout of oneDNN.
        scales: [out] fp32, of every output channel. zeros: [out], its zero points.
        bias: [out] fp32, zero where there is none.
    """

    packed: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor

    @classmethod
    def quantise(cls, weight: Tensor, bias: Tensor | None) -> "Int8":
        """Round a weight [out, in] to 8 bits per output channel."""
        weight = weight.float()
        scales = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        rounded = (weight / scales[:, None]).round().to(torch.int8)
        return cls(
            torch.ops.onednn.qlinear_prepack(rounded, None),
            scales,
            torch.zeros(len(scales), dtype=torch.int64),
            scales.new_zeros(len(scales)) if bias is None else bias.float(),
        )

    def __call__(self, inputs: Tensor) -> Tensor:
        """[.., in] fp32 to [.., out] fp32."""
        rows = inputs.flatten(0, -2)
        largest = rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        rounded = (rows * (_LARGEST / largest)).round_().to(torch.int8)
        # Scale and zero point of the activations are 1 and 0 here; each row's scale comes after.
        products = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, 0, self.packed, self.scales, self.zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        torch.addcmul(self.bias, products, largest / _LARGEST, out=products)
        return products.unflatten(0, inputs.shape[:-1])
