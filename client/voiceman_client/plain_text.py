"""The transcript as plain text, with what is to be distrusted in it."""

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby

from voiceman.evidence import Flag
from voiceman_client.cues import Cue, by_speaker, clock
from voiceman_client.doubts import kinds, touching
from voiceman_client.report.messages import Messages, messages_for
from voiceman_client.report.sentences import translated
from voiceman_client.result import Result

_OF_TIMES = "aligned_by_attention"  # says nothing against the text
_OF_NO_TEXT = {"speech_without_words", "gap"}  # words may seem to last through them

_Line = tuple[float, str]  # its start in seconds, and what stands behind it


def to_txt(result: Result) -> str:
    """One line per speaker's passage, with its start and the kinds of the flags that touch it.

    A flag that touches no text has a line of its own, with its detail. Kinds are in Korean for
    Korean recordings, else in English.
    """
    messages = messages_for(result["language"])
    flags = [flag for flag in result["flags"] if flag["kind"] != _OF_TIMES]
    cues = [cue for segment in result["segments"] for cue in by_speaker(segment) if cue.text]
    of_text = [flag for flag in flags if flag["kind"] not in _OF_NO_TEXT]
    marked = [(cue, touching(of_text, cue.start, cue.end)) for cue in cues]
    touched = {id(flag) for _, found in marked for flag in found}
    others = (flag for flag in flags if id(flag) not in touched)
    lines = heapq.merge(
        _passages(marked, messages),
        ((flag["start"], _alone(flag, messages)) for flag in others),
        key=lambda line: line[0],
    )
    return "".join(f"[{clock(start)}] {said}\n" for start, said in lines)


def _passages(marked: Sequence[tuple[Cue, Sequence[Flag]]], messages: Messages) -> Iterator[_Line]:
    """What one speaker says in a row under the same flags is one line."""
    for (speaker, found), group in groupby(marked, lambda one: (one[0].speaker, kinds(one[1]))):
        passage = [cue for cue, _ in group]
        who = f"{speaker}: " if speaker else ""
        names = ", ".join(messages.name("flag", kind) for kind in found)
        mark = f" [! {names}]" if names else ""
        yield passage[0].start, f"{who}{' '.join(cue.text for cue in passage)}{mark}"


def _alone(flag: Flag, messages: Messages) -> str:
    detail = translated(flag["detail"], messages)
    name = messages.name("flag", flag["kind"])
    return f"[! {name}: {detail}]" if detail else f"[! {name}]"
