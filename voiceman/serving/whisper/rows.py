"""The rows in flight: their state on the device, and one step of all of them.

A row is one window being decoded. Prompt tokens are forced inside the step, so a row joins
whenever a slot is free, next to rows that are anywhere else, without a phase of its own.
A row that must find its language first listens once with only <|startoftranscript|> before
it; when a prompt of text stands first, it then starts over at position 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from voiceman.serving.whisper.network import Caches, Network, decode_step
from voiceman.serving.whisper.rules import History, RuleTable, apply_rules, concerns


@dataclass(frozen=True)
class Rows:
    """State of every slot; all tensors live on the device and are changed in place.

    Attributes:
        sequence: [s, t] int64, prompt and then what was generated.
        logprobs: [s, t] fp32, log-probability of every generated token under the rules.
        position: [s] int64, index of the token that goes in next.
        token: [s] int64, that token.
        prompt_length: [s] int64. limit: [s] int64, the most tokens to generate.
        start: [s] int64, position of <|startoftranscript|>.
        detecting: [s] bool, the language is still to be found.
        language: [s] int64, index into the table's languages; -1: not detected.
        language_probability, no_speech_probability: [s] fp32.
        temperature: [s] fp32; 0: the likeliest token is taken.
        noise: [s, t] fp32 in [0, 1), one number for every token that is drawn.
        done: [s] bool; a done row is computed on, but its state stands still.
        with_timestamps, generated, last_is_timestamp, before_is_timestamp, last_timestamp:
            see `rules.History`.
    """

    sequence: Tensor
    logprobs: Tensor
    position: Tensor
    token: Tensor
    prompt_length: Tensor
    limit: Tensor
    start: Tensor
    detecting: Tensor
    language: Tensor
    language_probability: Tensor
    no_speech_probability: Tensor
    temperature: Tensor
    noise: Tensor
    done: Tensor
    with_timestamps: Tensor
    generated: Tensor
    last_is_timestamp: Tensor
    before_is_timestamp: Tensor
    last_timestamp: Tensor

    def first(self, count: int) -> "Rows":
        """The first rows, as views."""
        return Rows(**{f.name: getattr(self, f.name)[:count] for f in fields(self)})

    def history(self) -> History:
        """What the rules must know."""
        return History(
            self.with_timestamps,
            self.generated,
            self.last_is_timestamp,
            self.before_is_timestamp,
            self.last_timestamp,
        )


@dataclass(frozen=True)
class RowStart:
    """How a row begins.

    Attributes:
        prompt: tokens that are forced; where the language is to be detected, any token
            stands in its place, behind the one at `start`.
        start: index of <|startoftranscript|> in the prompt.
        detect_language: find the language and put it into the prompt.
        with_timestamps: emit timestamps.
        limit: the most tokens to generate.
        temperature: 0: take the likeliest token; above: draw.
        noise: at least `limit` numbers in [0, 1) to draw by; none at temperature 0.
    """

    prompt: Sequence[int]
    start: int
    detect_language: bool
    with_timestamps: bool
    limit: int
    temperature: float = 0.0
    noise: Sequence[float] = ()


def new_rows(slots: int, text_positions: int, device: torch.device) -> Rows:
    """Rows that are all done."""

    def whole(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.int64, device=device)

    def real(*shape: int) -> Tensor:
        return torch.zeros(shape, device=device)

    def flag() -> Tensor:
        return torch.zeros(slots, dtype=torch.bool, device=device)

    return Rows(
        sequence=whole(slots, text_positions),
        logprobs=real(slots, text_positions),
        position=whole(slots),
        token=whole(slots),
        prompt_length=whole(slots),
        limit=whole(slots),
        start=whole(slots),
        detecting=flag(),
        language=whole(slots),
        language_probability=real(slots),
        no_speech_probability=real(slots),
        temperature=real(slots),
        noise=real(slots, text_positions),
        done=~flag(),
        with_timestamps=flag(),
        generated=whole(slots),
        last_is_timestamp=flag(),
        before_is_timestamp=flag(),
        last_timestamp=whole(slots),
    )


def begin(rows: Rows, slot: int, start: RowStart) -> None:
    """Put a window into a slot, whose cross cache must already hold it."""
    prompt = torch.tensor(start.prompt, dtype=torch.int64)
    rows.sequence[slot, : len(prompt)] = prompt.to(rows.sequence.device)
    noise = torch.tensor(start.noise, dtype=torch.float32)
    rows.noise[slot, : len(noise)] = noise.to(rows.noise.device)
    values: dict[str, int | float | bool] = {
        "position": 0,
        "token": int(prompt[start.start if start.detect_language else 0]),
        "prompt_length": len(prompt),
        "limit": start.limit,
        "start": start.start,
        "detecting": start.detect_language,
        "language": -1,
        "language_probability": 0.0,
        "no_speech_probability": 0.0,
        "temperature": start.temperature,
        "done": False,
        "with_timestamps": start.with_timestamps,
        "generated": 0,
        "last_is_timestamp": False,
        "before_is_timestamp": False,
        "last_timestamp": -1,
    }
    for name, value in values.items():
        getattr(rows, name)[slot] = value


def step(network: Network, caches: Caches, table: RuleTable, rows: Rows, length: int) -> None:
    """Move every row that is not done by one token; shapes depend on s and `length` only."""
    logits = decode_step(network, caches, rows.token, rows.position, length)
    _listen(rows, table, logits)

    starts_over = rows.detecting & (rows.start > 0)
    next_position = torch.where(starts_over, 0, rows.position + 1)
    forced = next_position < rows.prompt_length
    active = ~rows.done
    rows.detecting.logical_and_(rows.done)

    logits = apply_rules(logits, rows.history(), table)
    chosen = _choose(rows, logits)
    logprob = logits.gather(-1, chosen[:, None])[:, 0] - logits.logsumexp(-1)
    column = next_position.clamp(max=rows.sequence.shape[1] - 1)[:, None]
    forced_token = rows.sequence.gather(1, column)[:, 0]
    token = torch.where(forced, forced_token, chosen)

    _record(rows, table, active & ~forced, column=column, token=token, logprob=logprob)
    rows.token.copy_(torch.where(active, token, rows.token))
    rows.position.copy_(torch.where(active & ~rows.done, next_position, rows.position))


def _choose(rows: Rows, logits: Tensor) -> Tensor:
    """The next token [s] from logits [s, v]: the likeliest, or drawn at the row's temperature.

    Drawn by the row's own number from the cumulated probabilities, so that what is drawn
    depends on the row alone: not on its slot, its neighbours, or what was drawn before.
    """
    likeliest = logits.max(-1).indices  # argmax takes three times as long on a CPU
    drawing = rows.temperature > 0
    if not concerns(drawing):
        return likeliest
    temperature = torch.where(drawing, rows.temperature, 1.0)[:, None]
    cumulated = (logits / temperature).softmax(-1).double().cumsum(-1)
    column = rows.generated.clamp(max=rows.noise.shape[1] - 1)[:, None]
    threshold = rows.noise.gather(1, column) * cumulated[:, -1:]
    drawn = (cumulated <= threshold).sum(-1).clamp(max=logits.shape[-1] - 1)
    return torch.where(drawing, drawn, likeliest)


def _listen(rows: Rows, table: RuleTable, logits: Tensor) -> None:
    """After <|startoftranscript|>: is there speech, and in which language?"""
    active = ~rows.done
    at_start = active & (rows.detecting | (rows.position == rows.start))
    if not concerns(at_start):
        return
    no_speech = logits.softmax(-1)[:, table.no_speech]
    rows.no_speech_probability.copy_(torch.where(at_start, no_speech, rows.no_speech_probability))
    found = active & rows.detecting
    if table.languages.shape[0] == 0 or not concerns(found):
        return
    probability, language = logits[:, table.languages].softmax(-1).max(-1)
    rows.language.copy_(torch.where(found, language, rows.language))
    rows.language_probability.copy_(torch.where(found, probability, rows.language_probability))
    column = (rows.start + 1)[:, None]
    detected = torch.where(
        found[:, None], table.languages[language][:, None], rows.sequence.gather(1, column)
    )
    rows.sequence.scatter_(1, column, detected)


def _record(
    rows: Rows, table: RuleTable, writes: Tensor, *, column: Tensor, token: Tensor, logprob: Tensor
) -> None:
    """Append the generated tokens [s] of the rows in `writes` [s] and keep their history."""
    for kept, value in ((rows.sequence, token), (rows.logprobs, logprob)):
        old = kept.gather(1, column)[:, 0]
        kept.scatter_(1, column, torch.where(writes, value, old)[:, None])
    is_timestamp = token >= table.first_timestamp
    rows.before_is_timestamp.copy_(
        torch.where(writes, rows.last_is_timestamp, rows.before_is_timestamp)
    )
    rows.last_is_timestamp.copy_(torch.where(writes, is_timestamp, rows.last_is_timestamp))
    rows.last_timestamp.copy_(
        torch.where(writes & is_timestamp, token - table.first_timestamp, rows.last_timestamp)
    )
    rows.generated.add_(writes)
    ended = (token == table.end_of_text) | (rows.generated >= rows.limit)
    rows.done.logical_or_(writes & ended)
