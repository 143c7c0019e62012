"""What stands before the window: hotwords whole, of a long text the end."""

import pytest

from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.fallback import Draw
from voiceman.serving.whisper.prompt import previous_text, row_start

ROOM = 223  # half of the decoder's 448 positions, less the token that begins it


@pytest.mark.parametrize(
    ("hotwords", "text", "kept"),
    [
        ("", "", ""),
        ("ab", "cd", " ab cd"),
        ("", "x" * 300 + "end", "x" * (ROOM - 3) + "end"),
        ("name", "x" * 300 + "end", " name" + "x" * (ROOM - 8) + "end"),
        ("n" * 300, "text", " " + "n" * (ROOM - 1)),
    ],
)
def test_what_is_left_out_is_the_beginning_of_the_text(
    tiny: Checkpoint, hotwords: str, text: str, kept: str
) -> None:
    options = WindowOptions(hotwords=hotwords, initial_prompt=text)
    tokens = previous_text(tiny, options)
    assert tokens[:1] == ([tiny.special.start_of_previous] if kept else [])
    assert tiny.tokenizer.decode(tokens[1:]) == kept
    start = row_start(tiny, tokens, "ko", options, Draw())
    assert len(start.prompt) + start.limit < tiny.dimensions.text_positions
