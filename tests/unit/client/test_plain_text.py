"""Plain text says beside the words which of them are to be distrusted."""

import pytest
from test_result import MADE, heard, recording, segment, summary, utterance, word

from voiceman_client.doubts import kinds, touching
from voiceman_client.plain_text import to_txt
from voiceman_client.result import assemble


def flag(kind, start, end, detail=""):
    return {"kind": kind, "start": start, "end": end, "detail": detail}


def spoken(*flags, language="en", of_file=()):
    texts = [(1.0, 2.0, "Thank you for watching."), (6.0, 8.0, "Yes."), (8.0, 9.0, "Again.")]
    said = [segment(*part, [word(part[2], *part[:2])]) for part in texts]
    window = heard(
        0, 20, said, [utterance(*part) for part in texts], language=language, flags=flags
    )
    return assemble(recording(20.0, flags=of_file), [window], summary("A", "A", "A"), MADE)


def test_a_flagged_passage_stands_alone_with_its_flags_in_words():
    assert to_txt(spoken(flag("low_confidence", 0, 3), flag("no_speech", 1, 2))).splitlines() == [
        "[00:00:01.000] A: Thank you for watching. [! Low confidence, No speech]",
        "[00:00:06.000] A: Yes. Again.",
    ]


def test_flags_of_a_korean_recording_are_in_korean():
    text = to_txt(spoken(flag("repetition_loop", 6, 9, "compression ratio 3.10"), language="ko"))
    assert text.splitlines() == [
        "[00:00:01.000] A: Thank you for watching.",
        "[00:00:06.000] A: Yes. Again. [! 되풀이되는 글]",
    ]


def test_what_touches_no_text_has_a_line_of_its_own_at_its_time():
    words = flag("speech_without_words", 1.9, 4, "2.1 s of detected speech have no text")
    torn = flag("truncated", 20.0, 20.0, "20.00 of 35.00 s could be read; the rest is missing")
    assert to_txt(spoken(words, of_file=[torn])).splitlines() == [
        "[00:00:01.000] A: Thank you for watching. Yes. Again.",
        "[00:00:01.900] [! Speech without words: 2.1 s of detected speech have no text]",
        "[00:00:20.000] [! Truncated file: 20.00 of 35.00 s could be read; the rest is missing]",
    ]


def test_a_recording_without_speech_says_so():
    assert to_txt(assemble(recording(5.0), [], None, MADE)) == "[00:00:00.000] [! No speech]\n"


def test_how_times_were_found_says_nothing_against_the_text():
    assert "!" not in to_txt(spoken(flag("aligned_by_attention", 1, 2, "nothing to look for")))


@pytest.mark.parametrize(
    ("start", "end", "touched"),
    [
        (0.0, 0.0, ["squeezed"]),
        (0.0, 1.0, ["squeezed", "long"]),
        (1.0, 1.0, ["long"]),
        (2.0, 2.0, []),
        (2.0, 3.0, []),
    ],
)
def test_what_has_no_length_counts_as_its_moment(start, end, touched):
    flags = [flag("squeezed", 0.0, 0.0), flag("long", 0.5, 2.0), flag("long", 0.5, 2.0)]
    assert kinds(touching(flags, start, end)) == touched
