"""Read Whisper from a CTranslate2 model file, without CTranslate2.

The file (little-endian): format version, name and revision of the specification, the number of
variables, then each variable as name, rank, shape, type and bytes, and last a list of aliases.
Layout and names after CTranslate2's own converter (`ctranslate2.specs`, binary version 6,
WhisperSpec revision 3).
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from voiceman.errors import WeightsError

_BINARY_VERSION = 6
_SPECIFICATION = ("WhisperSpec", 3)
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}

Variables = Mapping[str, torch.Tensor]


def read(path: Path) -> Variables:
    """Every variable by name; int8 weights come back as float32.

    Raises:
        WeightsError: not a Whisper model in the supported version of the format.
    """
    try:
        with path.open("rb") as file:
            variables = _read(file, path)
    except (struct.error, UnicodeDecodeError, ValueError) as err:
        raise WeightsError(f"{path}: not a CTranslate2 model, or cut off: {err}") from err
    return _dequantise(variables)


def _read(file: BinaryIO, path: Path) -> dict[str, torch.Tensor]:
    (version,) = _unpack(file, "<I")
    specification = (_string(file), _unpack(file, "<I")[0])
    if version != _BINARY_VERSION or specification != _SPECIFICATION:
        raise WeightsError(
            f"{path}: CTranslate2 format {version} with {specification[0]} revision "
            f"{specification[1]}; supported is format {_BINARY_VERSION} with "
            f"{_SPECIFICATION[0]} revision {_SPECIFICATION[1]}"
        )
    variables: dict[str, torch.Tensor] = {}
    for _ in range(_unpack(file, "<I")[0]):
        name = _string(file)
        (rank,) = _unpack(file, "<B")
        shape = _unpack(file, f"<{rank}I")
        code, size = _unpack(file, "<BI")
        if code not in _DTYPES:
            raise WeightsError(f"{path}: {name} has the unknown type {code}")
        content = bytearray(file.read(size))
        array = np.frombuffer(content, _DTYPES[code]).reshape(shape)
        variables[name] = torch.from_numpy(array)
    for _ in range(_unpack(file, "<I")[0]):
        alias, name = _string(file), _string(file)
        variables[alias] = variables[name]
    return variables


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _string(file: BinaryIO) -> str:
    (size,) = _unpack(file, "<H")
    return file.read(size).rstrip(b"\0").decode()


def _dequantise(variables: dict[str, torch.Tensor]) -> Variables:
    """Weights times the inverse of their scale, which is kept by row."""
    floats: dict[str, torch.Tensor] = {}
    for name, value in variables.items():
        scale = variables.get(f"{name}_scale")
        if name.endswith("_scale"):
            continue
        floats[name] = value if scale is None else value.float() / scale.float().unsqueeze(-1)
    return floats


def to_hugging_face(variables: Variables) -> dict[str, torch.Tensor]:
    """The same weights under the names of transformers' WhisperForConditionalGeneration.

    CTranslate2 fuses the projections of queries, keys and values into one matrix, and fills
    the bias of the keys, which Whisper does not have, with zeros.

    Raises:
        WeightsError: a variable is missing.
    """
    state: dict[str, torch.Tensor] = {}
    try:
        for number in (1, 2):
            _copy(variables, f"encoder/conv{number}", state, f"model.encoder.conv{number}")
        for side in ("encoder", "decoder"):
            positions = variables[f"{side}/position_encodings/encodings"]
            state[f"model.{side}.embed_positions.weight"] = positions
            _copy(variables, f"{side}/layer_norm", state, f"model.{side}.layer_norm")
            for layer in range(layer_count(variables, side)):
                _convert_layer(variables, f"{side}/layer_{layer}", state, side, layer)
        state["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    except KeyError as err:
        raise WeightsError(f"the CTranslate2 model has no variable {err}") from err
    return state


def layer_count(variables: Variables, side: str) -> int:
    """Number of layers of the encoder or the decoder."""
    layers = {name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_")}
    return len(layers - {"layer_norm"})


def _convert_layer(
    variables: Variables, source: str, state: dict[str, torch.Tensor], side: str, layer: int
) -> None:
    target = f"model.{side}.layers.{layer}"
    attention = f"{source}/self_attention"
    _split(variables, f"{attention}/linear_0", state, f"{target}.self_attn", ("q", "k", "v"))
    _copy(variables, f"{attention}/linear_1", state, f"{target}.self_attn.out_proj")
    _copy(variables, f"{attention}/layer_norm", state, f"{target}.self_attn_layer_norm")
    if side == "decoder":
        attention = f"{source}/attention"
        _split(variables, f"{attention}/linear_0", state, f"{target}.encoder_attn", ("q",))
        _split(variables, f"{attention}/linear_1", state, f"{target}.encoder_attn", ("k", "v"))
        _copy(variables, f"{attention}/linear_2", state, f"{target}.encoder_attn.out_proj")
        _copy(variables, f"{attention}/layer_norm", state, f"{target}.encoder_attn_layer_norm")
    _copy(variables, f"{source}/ffn/linear_0", state, f"{target}.fc1")
    _copy(variables, f"{source}/ffn/linear_1", state, f"{target}.fc2")
    _copy(variables, f"{source}/ffn/layer_norm", state, f"{target}.final_layer_norm")


def _copy(variables: Variables, source: str, state: dict[str, torch.Tensor], target: str) -> None:
    names = ("gamma", "beta") if source.endswith("layer_norm") else ("weight", "bias")
    for name, kind in zip(names, ("weight", "bias"), strict=True):
        state[f"{target}.{kind}"] = variables[f"{source}/{name}"]


def _split(
    variables: Variables,
    source: str,
    state: dict[str, torch.Tensor],
    target: str,
    projections: tuple[str, ...],
) -> None:
    weights = variables[f"{source}/weight"].chunk(len(projections))
    biases = variables[f"{source}/bias"].chunk(len(projections))
    for projection, weight, bias in zip(projections, weights, biases, strict=True):
        state[f"{target}.{projection}_proj.weight"] = weight
        if projection != "k":
            state[f"{target}.{projection}_proj.bias"] = bias
        elif torch.count_nonzero(bias):
            raise WeightsError(f"{source}: its keys have a bias, which Whisper does not")
