"""Write a torch module as an ONNX file."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.export import Dim

# Read by every ONNX Runtime since 1.14; torch.onnx has its own operators for it.
OPSET = 18


def write_onnx(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    output: str,
    path: Path,
    dynamic: Mapping[str, Mapping[int, Dim]],
    *,
    strict: bool = False,
) -> None:
    """Export a module through torch's graph capture (the TorchScript way bakes in the batch).

    The graph is captured here and not by `torch.onnx.export`, which would quietly fix a dim
    that it cannot keep free.

    Args:
        module: takes the inputs in this order, returns one tensor.
        inputs: an example of each input by name; its free dims larger than 1.
        output: name of the output.
        path: the file; weights go inside.
        dynamic: by input, its free dims; the same Dim is the same size.
        strict: capture by reading the Python code, which keeps `len(tensor)` free, and not by
            running it, which is faster.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    shapes = tuple(dict(dynamic.get(name, {})) for name in inputs)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module.eval(),
            tuple(inputs.values()),
            dynamic_shapes=shapes,
            strict=strict,
            # Conditions on free dims that cannot be proven for all sizes stay conditions.
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        torch.onnx.export(
            program,
            (),
            str(path),
            input_names=list(inputs),
            output_names=[output],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
