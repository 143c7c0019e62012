"""The tokens that stand before what Whisper says.

Source: Radford et al. 2022, figure 1, and openai/whisper `decoding.py`: previous text, start
of transcript, language, task, and <|notimestamps|> where no times are wanted.
"""

from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import Checkpoint, SpecialTokens
from voiceman.serving.whisper.rows import RowStart


def task_prompt(special: SpecialTokens, language: str | None) -> list[int]:
    """Start, language and task; an unknown language is filled in when it has been detected."""
    if not special.languages:
        return [special.start_of_transcript]
    token = special.start_of_transcript if language is None else special.languages[language]
    return [special.start_of_transcript, token, special.transcribe]


def row_start(checkpoint: Checkpoint, language: str | None, options: WindowOptions) -> RowStart:
    """How the row of a window begins; language None: it is to be detected."""
    special, positions = checkpoint.special, checkpoint.dimensions.text_positions
    previous: list[int] = []
    if text := options.initial_prompt.strip():
        tokens = checkpoint.tokenizer.encode(" " + text, add_special_tokens=False).ids
        room = positions // 2 - 1  # the rest of the positions belongs to the window
        previous = [special.start_of_previous, *tokens[-room:]]
    prompt = [*previous, *task_prompt(special, language)]
    if not options.timestamps:
        prompt.append(special.no_timestamps)
    return RowStart(
        prompt=prompt,
        start=len(previous),
        detect_language=language is None,
        with_timestamps=options.timestamps,
        # One position is kept: the alignment's pass ends with end of text.
        limit=min(options.max_new_tokens, positions - len(prompt) - 1),
    )
