"""Which sound belongs to which token: the cross-attention of the alignment heads.

Source: openai/whisper `timing.py`: softmax over the frames that hold sound, z-score over the
tokens, median over 7 frames, mean over the heads.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nn
from torch import Tensor

MEDIAN_FRAMES = 7
# Exchanges (smaller to the first place) that bring the median of seven values into the middle:
# N. Devillard, "Fast median search: an ANSI C implementation", 1998.
_MIDDLE_OF_SEVEN = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6),
    (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip
# Below every normalised score: a path through the matrix stays out of these cells.
OUTSIDE = -10.0

# Of attention over the tokens at one frame; the square of less is no number in fp32.
LEAST_DEVIATION = 1e-18

FRAMES_PER_SECOND = 50
Matrix = npt.NDArray[np.float32]


def count_frames(duration: float) -> int:
    """20 ms frames that hold a duration in seconds, the last one in part."""
    # To the microsecond: 1.14 s are 57 frames, whatever floating point makes of them.
    return math.ceil(round(duration * FRAMES_PER_SECOND, 6))


def normalise(scores: Tensor, frames: int) -> Tensor:
    """Scores of the alignment heads [heads, n, a] to one matrix [n, frames] in fp32.

    Args:
        scores: cross-attention before the softmax.
        frames: 20 ms frames that hold sound; the rest of the window is padding.
    """
    # One head after the other stays in a core's cache, twice as fast; a GPU wants them at once.
    parts = scores.split(1 if scores.device.type == "cpu" else len(scores))
    return torch.cat([_normalise_heads(part[..., :frames]) for part in parts]).mean(0)


def _normalise_heads(scores: Tensor) -> Tensor:
    """[heads, n, frames] before the softmax to fp32."""
    weights = scores.float().softmax(-1)
    weights = weights - weights.mean(-2, keepdim=True)
    deviation = weights.square().mean(-2, keepdim=True).sqrt()
    # A frame that all tokens see alike (a single token, for example) says nothing: 0, not NaN.
    return median_of_seven(weights / deviation.clamp(min=LEAST_DEVIATION))


def median_of_seven(values: Tensor) -> Tensor:
    """Median over 7 neighbours in the last of three dimensions, edges reflected."""
    count, margin = values.shape[-1], MEDIAN_FRAMES // 2
    if count <= margin:
        return values
    padded = nn.pad(values, (margin, margin), mode="reflect")
    neighbours = [padded[..., shift : shift + count] for shift in range(MEDIAN_FRAMES)]
    # Sorting all sevens costs as much as the whole decoder pass; only the middle is needed.
    for low, high in _MIDDLE_OF_SEVEN:
        left, right = neighbours[low], neighbours[high]
        neighbours[low], neighbours[high] = torch.minimum(left, right), torch.maximum(left, right)
    return neighbours[margin]


def stack_blocks(blocks: Sequence[tuple[int, Matrix]], frames: int) -> Matrix:
    """One matrix [rows, frames] of a window from its decodes, one below the other.

    Args:
        blocks: (first frame, matrix) of every decode, in order.
        frames: of the whole window.
    """
    stacked = np.full((sum(len(block) for _, block in blocks), frames), OUTSIDE, np.float32)
    row = 0
    for first_frame, block in blocks:
        width = min(block.shape[1], frames - first_frame)
        stacked[row : row + len(block), first_frame : first_frame + width] = block[:, :width]
        row += len(block)
    return stacked


def silent_row(frames: int) -> Matrix:
    """The matrix [1, frames] of a decode without text: end of text, anywhere."""
    return np.zeros((1, frames), np.float32)
