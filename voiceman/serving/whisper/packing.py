"""Rows as one matrix of integers, so that a row crosses between host and device in one copy."""

from dataclasses import fields

import torch
from torch import Tensor

from voiceman.serving.whisper.rows import Rows


def pack(rows: Rows) -> Tensor:
    """All fields of rows side by side, [s, columns] int64; every value bit for bit."""
    return torch.cat([_to_integers(_field(rows, name)) for name in _names()], dim=1)


def unpack(packed: Tensor, like: Rows) -> Rows:
    """The rows that `pack` made [s, columns] of; widths and dtypes are those of `like`."""
    models = {name: _field(like, name) for name in _names()}
    widths = [model.shape[1:].numel() for model in models.values()]
    parts = dict(zip(models, packed.split(widths, dim=1), strict=True))
    return Rows(
        **{
            name: _from_integers(parts[name], model.dtype).reshape(-1, *model.shape[1:])
            for name, model in models.items()
        }
    )


def row_at(rows: Rows, slot: int) -> Rows:
    """The one row in a slot, as views."""
    return Rows(**{name: _field(rows, name)[slot : slot + 1] for name in _names()})


def write(rows: Rows, slots: Tensor, values: Rows) -> None:
    """Overwrite the rows in slots [n] int64 by n others."""
    for name in _names():
        _field(rows, name).index_copy_(0, slots, _field(values, name))


def _names() -> list[str]:
    return [field.name for field in fields(Rows)]


def _field(rows: Rows, name: str) -> Tensor:
    return getattr(rows, name)


def _to_integers(values: Tensor) -> Tensor:
    """[s] or [s, n] of any dtype to [s, n] int64; real numbers by their bits."""
    whole = values.view(torch.int32) if values.dtype == torch.float32 else values
    return whole.reshape(len(values), -1).long()


def _from_integers(whole: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.float32:
        return whole.to(torch.int32).view(torch.float32)
    return whole.to(dtype)
