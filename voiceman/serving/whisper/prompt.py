"""The tokens that stand before what Whisper says.

Source: Radford et al. 2022, figure 1, and openai/whisper `decoding.py`: previous text, start
of transcript, language, task, and <|notimestamps|> where no times are wanted.
"""

from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import Checkpoint, SpecialTokens
from voiceman.serving.whisper.fallback import Draw
from voiceman.serving.whisper.rows import RowStart


def task_prompt(special: SpecialTokens, language: str | None) -> list[int]:
    """Start, language and task; an unknown language is filled in when it has been detected."""
    if not special.languages:
        return [special.start_of_transcript]
    token = special.start_of_transcript if language is None else special.languages[language]
    return [special.start_of_transcript, token, special.transcribe]


def previous_text(checkpoint: Checkpoint, options: WindowOptions) -> list[int]:
    """Hotwords and text that stand before the window, as tokens; of a long text the end."""
    room = checkpoint.dimensions.text_positions // 2 - 1  # the rest belongs to the window
    hotwords = _encode(checkpoint, options.hotwords)[:room]
    text = _encode(checkpoint, options.initial_prompt)
    tokens = [*hotwords, *text[max(0, len(text) + len(hotwords) - room) :]]
    return [checkpoint.special.start_of_previous, *tokens] if tokens else []


def _encode(checkpoint: Checkpoint, text: str) -> list[int]:
    if not text.strip():
        return []
    return checkpoint.tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids


def row_start(
    checkpoint: Checkpoint,
    previous: list[int],
    language: str | None,
    options: WindowOptions,
    draw: Draw,
) -> RowStart:
    """How the row of a window begins, behind `previous_text`; language None: to be detected."""
    special, positions = checkpoint.special, checkpoint.dimensions.text_positions
    prompt = [*previous, *task_prompt(special, language)]
    if not options.timestamps:
        prompt.append(special.no_timestamps)
    # One position is kept: the alignment's pass ends with end of text.
    limit = min(options.max_new_tokens, positions - len(prompt) - 1)
    return RowStart(
        prompt=prompt,
        start=len(previous),
        detect_language=language is None,
        with_timestamps=options.timestamps,
        limit=limit,
        temperature=draw.temperature,
        noise=draw.noise(limit),
    )
