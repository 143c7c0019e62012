"""What a model computes on, and what that can do."""

from collections.abc import Mapping

import torch


def instance_device(args: Mapping[str, str]) -> torch.device:
    """The device of a Triton instance; the CPU where torch sees no GPU.

    Args:
        args: what Triton gives to `initialize` (`model_instance_kind`,
            `model_instance_device_id`).
    """
    on_gpu = args["model_instance_kind"] == "GPU" and torch.cuda.is_available()
    return torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")


def cpu_dtype(device: torch.device) -> torch.dtype:
    """bf16 on a CPU that multiplies it; fp32 elsewhere, on CUDA too."""
    return torch.bfloat16 if device.type == "cpu" and multiplies_bf16() else torch.float32


def fast_dtype(device: torch.device) -> torch.dtype:
    """bf16 on whatever multiplies it, CPU or GPU; fp32 elsewhere."""
    on_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if on_gpu else cpu_dtype(device)


def multiplies_bf16() -> bool:
    """Whether this processor has instructions for products of bf16 numbers."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
