"""What may be said next: the rules that steer decoding, for every row of a batch at once.

Order and meaning are those of transformers 5 (`generation/logits_process.py`), which follow
openai/whisper `decoding.py`: suppressed at the beginning, suppressed, timestamps. Everything
is computed on the device from per-row state, so that the host never waits for a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from voiceman.serving.whisper.checkpoint import SpecialTokens


@dataclass(frozen=True)
class RuleTable:
    """The rules of one checkpoint as tensors on its device.

    Attributes:
        suppressed, suppressed_at_begin: [n] int64 token ids.
        languages: [l] int64 token ids; empty for an English-only checkpoint.
        timestamps: [v - first_timestamp] int64, the index of every timestamp, 20 ms each.
    """

    suppressed: Tensor
    suppressed_at_begin: Tensor
    languages: Tensor
    timestamps: Tensor
    end_of_text: int
    no_speech: int
    no_timestamps: int
    first_timestamp: int
    max_initial_timestamp: int


@dataclass(frozen=True)
class History:
    """What the rules must know of a row; every tensor is [s].

    Attributes:
        with_timestamps: bool, whether the row emits timestamps.
        generated: int64, tokens generated so far.
        last_is_timestamp, before_is_timestamp: bool, of the last token and the one before it.
        last_timestamp: int64, index of the latest timestamp; -1: none yet.
    """

    with_timestamps: Tensor
    generated: Tensor
    last_is_timestamp: Tensor
    before_is_timestamp: Tensor
    last_timestamp: Tensor


def rule_table(special: SpecialTokens, vocabulary: int, device: torch.device) -> RuleTable:
    """The rules of a checkpoint, on a device."""

    def ids(values: tuple[int, ...]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    count = vocabulary - special.first_timestamp
    limit = special.max_initial_timestamp
    return RuleTable(
        suppressed=ids(special.suppressed),
        suppressed_at_begin=ids(special.suppressed_at_begin),
        languages=ids(tuple(special.languages.values())),
        timestamps=torch.arange(count, device=device),
        end_of_text=special.end_of_text,
        no_speech=special.no_speech,
        no_timestamps=special.no_timestamps,
        first_timestamp=special.first_timestamp,
        max_initial_timestamp=count if limit is None else limit,
    )


def apply_rules(logits: Tensor, history: History, table: RuleTable) -> Tensor:
    """Set the logits [s, v] (fp32, overwritten) of all tokens that may not come next to -inf."""
    first = history.generated == 0
    if concerns(first):
        at_begin = logits[:, table.suppressed_at_begin].masked_fill(first[:, None], -torch.inf)
        logits.index_copy_(1, table.suppressed_at_begin, at_begin)
    logits.index_fill_(1, table.suppressed, -torch.inf)

    _apply_pairing(logits, history, table)
    _apply_order(logits, history, table)
    _prefer_timestamps(logits, history, table)
    return logits


def concerns(rows: Tensor) -> bool:
    """Whether work for the rows in `rows` [s] must be handed over.

    On CUDA always: to ask would be to wait. On the CPU asking is free, and most rules concern
    no row in most steps.
    """
    return rows.device.type != "cpu" or bool(rows.any())


def _block(logits: Tensor, rows: Tensor) -> None:
    """Set whole rows of a slice [s, n] to -inf where `rows` [s] says so."""
    if concerns(rows):
        logits.masked_fill_(rows[:, None], -torch.inf)


def _apply_pairing(logits: Tensor, history: History, table: RuleTable) -> None:
    """Timestamps come in pairs, except before the end; the first token is one."""
    active = history.with_timestamps
    _block(logits[:, table.no_timestamps : table.first_timestamp], active)
    one_before = (history.generated < 2) | history.before_is_timestamp
    after_timestamp = active & history.last_is_timestamp
    _block(logits[:, table.first_timestamp :], after_timestamp & one_before)
    _block(logits[:, : table.end_of_text], after_timestamp & ~one_before)
    _block(logits[:, : table.first_timestamp], active & (history.generated == 0))


def _apply_order(logits: Tensor, history: History, table: RuleTable) -> None:
    """Timestamps never go back; one that ends a segment may be repeated to begin the next."""
    one_before = (history.generated < 2) | history.before_is_timestamp
    may_repeat = history.last_is_timestamp & ~one_before
    lowest = history.last_timestamp + torch.where(may_repeat, 0, 1)
    lowest = torch.where(history.last_timestamp < 0, 0, lowest)
    highest = torch.where(
        history.generated == 0, table.max_initial_timestamp, table.timestamps.shape[0]
    )
    outside = (table.timestamps < lowest[:, None]) | (table.timestamps > highest[:, None])
    outside &= history.with_timestamps[:, None]
    logits[:, table.first_timestamp :].masked_fill_(outside, -torch.inf)


def _prefer_timestamps(logits: Tensor, history: History, table: RuleTable) -> None:
    """If all timestamps together are likelier than the best text token, take a timestamp."""
    timestamps = logits[:, table.first_timestamp :].logsumexp(-1)
    best_text = logits[:, : table.first_timestamp].amax(-1)
    _block(logits[:, : table.first_timestamp], history.with_timestamps & (timestamps > best_text))
