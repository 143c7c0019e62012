import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voiceman.serving.whisper.buckets import Shapes, shapes_of, split

CUDA = torch.device("cuda")  # a name; nothing here needs one
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("slots", "rows", "encoder"),
    [
        (1, (1,), (1,)),
        (3, (1, 2, 3), (1, 2)),
        (8, (1, 2, 4, 8), (1, 2, 4, 8)),
        (12, (1, 2, 4, 8, 12), (1, 2, 4, 8)),
        (32, (1, 2, 4, 8, 16, 24, 32), (1, 2, 4, 8)),
    ],
)
def test_cuda_records_few_shapes(
    slots: int, rows: tuple[int, ...], encoder: tuple[int, ...]
) -> None:
    assert shapes_of(CUDA, slots, 448) == Shapes(encoder, rows, (128, 448))


def test_the_cpu_computes_no_row_too_many() -> None:
    shapes = shapes_of(CPU, 5, 448)
    assert shapes.rows == (1, 2, 3, 4, 5)
    assert shapes.lengths == (64, 128, 192, 256, 320, 384, 448)
    assert shapes.encoder == (1,)


def test_fixed_shapes_leave_nothing_to_the_neighbours() -> None:
    assert shapes_of(CUDA, 8, 448, fixed=True) == Shapes((1,), (8,), (448,))
    on_the_cpu = shapes_of(CPU, 8, 448, fixed=True)
    assert (on_the_cpu.encoder, on_the_cpu.rows) == ((1,), (8,))


@given(st.sampled_from((CPU, CUDA)), st.integers(1, 70), st.data())
def test_a_shape_holds_what_is_needed(
    device: torch.device, slots: int, data: st.DataObject
) -> None:
    shapes = shapes_of(device, slots, 448)
    count, made = data.draw(st.integers(1, slots)), data.draw(st.integers(0, 600))
    rows, length = shapes.step(count, made)
    assert count <= rows <= slots
    # Beyond the last position only rows that are done go on.
    assert min(made + 1, 448) <= length <= 448
    assert {(rows, length)} <= {(r, n) for r in shapes.rows for n in shapes.lengths}


@given(st.integers(0, 100), st.sampled_from(((1,), (1, 2), (1, 2, 4), (1, 2, 4, 8))))
def test_windows_are_split_without_padding(count: int, sizes: tuple[int, ...]) -> None:
    parts = split(count, sizes)
    assert sum(parts) == count
    assert parts == sorted(parts, reverse=True)
    assert set(parts) <= set(sizes)
    assert all(parts.count(size) < 2 for size in sizes[:-1])
