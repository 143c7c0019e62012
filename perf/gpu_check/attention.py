"""The attention of one new token, by torch's fused kernels and by plain products.

A fused kernel that gives each head to one multiprocessor leaves most of them idle when a row has
20 heads; products of matrices spread over all of them but write the scores down. Which is
faster depends on the device and on the number of rows: this is what a choice would rest on.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as nn
from torch import Tensor

from perf.gpu_check.costs import cross_cache_bytes
from perf.gpu_check.device import DTYPES, seconds_per_run
from perf.gpu_check.findings import Findings
from perf.gpu_check.setting import Clock, Setting
from voiceman.serving.graphs import recorder
from voiceman.serving.lanes import Lane, new_lane, settle

REPEATS = 20  # a single one is shorter than the launch of its graph


def compare_kernels(setting: Setting, clock: Clock, findings: Findings) -> None:
    """Measure the cross-attention of one decoder layer of turbo for several numbers of rows."""
    sizes = setting.sizes["turbo"].dimensions
    heads, positions = sizes.decoder_heads, sizes.audio_positions
    findings.note("bytes_per_row", cross_cache_bytes(sizes, 2) // sizes.decoder_layers)
    lane = new_lane(setting.device)
    for rows in setting.batches:
        if clock.left_s() < 2:
            findings.note(str(rows), "not measured: no time was left")
            continue
        shape = (rows, heads, positions, sizes.width // heads)
        findings.attempt(str(rows), partial(_measure, setting, lane, shape))


def _measure(setting: Setting, lane: Lane, shape: tuple[int, int, int, int]) -> dict[str, float]:
    """Seconds on the device of one attention, each kernel recorded."""
    rows, heads, _, size = shape
    dtype = DTYPES["bf16"]

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, device=setting.device).to(dtype)

    query, key, value = numbers(rows, heads, 1, size), numbers(*shape), numbers(*shape)
    transposed = key.transpose(2, 3).contiguous()
    kernels = {
        "fused_s": lambda: nn.scaled_dot_product_attention(query, key, value, scale=1.0),
        "products_s": lambda: (query @ key.transpose(2, 3)).softmax(-1) @ value,
        "products_of_transposed_keys_s": lambda: (query @ transposed).softmax(-1) @ value,
    }
    settle(setting.device)  # the lane sees the numbers
    record = recorder(lane)
    with torch.inference_mode():
        # All are kept until the end: recordings of one lane must end together.
        works = {name: record(partial(_repeat, kernel)) for name, kernel in kernels.items()}
        return {
            name: seconds_per_run(lane, work, setting.runs) / REPEATS
            for name, work in works.items()
        }


def _repeat(kernel: Callable[[], Tensor]) -> None:
    for _ in range(REPEATS):
        kernel()
