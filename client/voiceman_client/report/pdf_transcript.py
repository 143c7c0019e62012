"""The transcript in the PDF."""

from collections.abc import Sequence

from reportlab.platypus import Flowable, Paragraph, Spacer

from voiceman_client.report.canvas import colour_of
from voiceman_client.report.formats import clock, number
from voiceman_client.report.messages import Messages
from voiceman_client.report.pdf_text import Writer
from voiceman_client.report.view import Line, Reading, View


def transcript(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    """Heading and lines; colours and marks are never the only sign of anything."""
    story: list[Flowable] = [writer.heading(messages("transcript"))]
    if not view.lines:
        return [*story, writer.paragraph(messages("transcript_none"))]
    colours = {name: colour_of(index) for index, name in enumerate(view.speakers)}
    for line in view.lines:
        story += [_spoken(line, colours[line.speaker], writer, messages), Spacer(1, 3)]
    return story


def _spoken(line: Line, colour: str, writer: Writer, messages: Messages) -> Paragraph:
    """A line as one paragraph, which may run over pages: time, speaker, text, what was found."""
    said: list[str] = []
    for piece in line.pieces:
        text = writer.markup(piece.text)
        if piece.findings:
            names = dict.fromkeys(messages.name("category", f["category"]) for f in piece.findings)
            label = ", ".join(names) + (f", {messages('mention')}" if piece.only_mentions else "")
            back = "#eef1f5" if piece.only_mentions else "#ffe1a6"
            label = f'<font color="#7c1313" size="7">[{writer.markup(label)}]</font>'
            text = f'<font backColor="{back}">{text}</font> {label}'
        said.append(text)
    who = f'<font color="{colour}">{writer.markup(line.speaker, bold=True)}</font>'
    when = f'<font color="#4a5261">{clock(line.start)}</font>'
    facts = f'<font color="#4a5261" size="7.5">{writer.markup(_measures(line, messages))}</font>'
    return writer.marked(f"{when}  {who}<br/>{''.join(said)}<br/>{facts}")


def _measures(line: Line, messages: Messages) -> str:
    names: Sequence[tuple[str, Reading, int]] = (
        ("score", line.score, 1),
        ("arousal", line.arousal, 2),
        ("valence", line.valence, 2),
        ("stress", line.stress, 2),
    )
    parts = [f"{messages(name)} {number(found.value, digits)}" for name, found, digits in names]
    if line.overlap.value is None:
        parts.append(f"{messages('overlap')} {number(None)}")
    elif line.overlap.value > 0:
        parts.append(f"{messages('overlap')} {number(line.overlap.value, 1)} s")
    parts += [messages.name("flag", kind) for kind in line.flags]
    found = line.utterance.get("cross_validation")
    discrepancies = found["discrepancies"] if found else []
    parts += [messages.name("discrepancy", item["name"]) for item in discrepancies]
    return " · ".join(parts)
