"""The reports as PDF: the same content as the pages, without what needs a click."""

from collections.abc import Sequence
from datetime import datetime

from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable, KeepTogether, PageBreak, Paragraph, Spacer, Table

from voiceman_client.report.canvas import Canvas, colour_of
from voiceman_client.report.case import Case
from voiceman_client.report.contributions import contributions
from voiceman_client.report.details import because, component_header, component_rows
from voiceman_client.report.facts import (
    MOST_EVIDENCE,
    Row,
    category_text,
    integrity_text,
    model_rows,
    provenance_rows,
    ranking_header,
    ranking_rows,
    score_reason,
    summary_rows,
    total_rows,
    voices,
)
from voiceman_client.report.fonts import Fonts
from voiceman_client.report.formats import clock, number, percent
from voiceman_client.report.integrity import Recording
from voiceman_client.report.messages import Messages
from voiceman_client.report.pdf_pages import WIDTH, paged
from voiceman_client.report.pdf_text import BAD, MUTED, TABLE_STYLE, Writer
from voiceman_client.report.timeline import bin_seconds, timeline
from voiceman_client.report.view import Line, Reading, View

_FONT_POINTS = 7.5  # of charts


def report_pdf(
    view: View, recording: Recording, fonts: Fonts, messages: Messages, made_at: datetime
) -> bytes:
    """The PDF of one result."""
    writer = Writer(fonts)
    story = [
        *_opening(messages("title"), view.name, writer, messages, made_at),
        *_summary(view, writer, messages),
        *_charts(view, writer, messages),
        *_evidence(view, writer, messages),
        *_transcript(view, writer, messages),
        *_doubts(view, writer, messages),
        PageBreak(),
        *_provenance(view, recording, writer, messages),
    ]
    if writer.missing:
        note = messages("missing_glyphs", number=writer.missing)
        story += [Spacer(1, 10), writer.paragraph(note, colour=MUTED)]
    return paged(story, f"{messages('title')}: {view.name}", messages, writer)


def case_pdf(case: Case, fonts: Fonts, messages: Messages, made_at: datetime) -> bytes:
    """The PDF over many results."""
    writer = Writer(fonts)
    title = f"{messages('case_title')}: {case.folder.name}"
    header = [name for name, _ in ranking_header(messages)][:-1]
    widths = _shares(4, 20, 9, 8, 11, 9, 7, 24, 8)
    failures = [[failure.name, failure.reason] for failure in case.failures]
    story = [
        *_opening(messages("case_title"), case.folder.name, writer, messages, made_at),
        writer.heading(messages("totals")),
        _facts(total_rows(case, messages), writer),
        writer.paragraph(messages("speakers_note"), colour=MUTED, size=8),
        writer.paragraph(f"{messages('findings')}: {category_text(case.categories, messages)}"),
        writer.heading(messages("ranking")),
        writer.table(header, ranking_rows(case, messages), widths),
        writer.heading(messages("failures")),
        writer.table([messages("recording"), messages("reason")], failures, _shares(30, 70))
        if failures
        else writer.paragraph(messages("failures_none")),
    ]
    if case.others:
        names = ", ".join(case.others)
        others = messages("others", number=len(case.others), names=names)
        story.append(writer.paragraph(others, colour=MUTED, size=8))
    return paged(story, title, messages, writer)


def _opening(
    kind: str, name: str, writer: Writer, messages: Messages, made_at: datetime
) -> list[Flowable]:
    """Title and disclaimer: the first things on the first page."""
    made = f"{messages('made_at')}: {made_at:%Y-%m-%d %H:%M %Z}"
    box = Table(
        [
            [writer.paragraph(messages("disclaimer_title"), colour=BAD, bold=True)],
            [writer.paragraph(messages("disclaimer"))],
        ],
        colWidths=[WIDTH],
    )
    box.setStyle([("BOX", (0, 0), (-1, -1), 1.2, BAD), ("LEFTPADDING", (0, 0), (-1, -1), 8)])
    return [
        writer.paragraph(kind, colour=HexColor("#1f4e9c"), bold=True),
        writer.heading(name, level=0),
        writer.paragraph(made, colour=MUTED, size=8),
        Spacer(1, 6),
        box,
    ]


def _summary(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    result = view.result
    score = result["score"]
    if score["value"] is None:
        shown = because(score_reason(result), messages)
    else:
        shown = f"{number(score['value'], 1)} {messages('of_100')}"
    said = voices(result, messages)
    header = [messages(name) for name in ("speaker", "score", "speech", "utterances")]
    rows = [
        [
            speaker["id"],
            messages("not_available")
            if speaker["score"]["value"] is None
            else number(speaker["score"]["value"], 1),
            clock(speaker["speech"]),
            str(speaker["utterances"]),
            *([said.get(speaker["id"], "")] if said else []),
        ]
        for speaker in result["speakers"]
    ]
    header += [messages("known_voice")] if said else []
    coverage = percent(score["coverage"])
    return [
        writer.heading(messages("summary")),
        writer.paragraph(f"{messages('score')}: {shown}", size=13, bold=True),
        writer.paragraph(f"{messages('coverage')}: {coverage}", colour=MUTED),
        Spacer(1, 4),
        _facts(summary_rows(view, messages), writer),
        Spacer(1, 4),
        writer.paragraph(f"{messages('findings')}: {category_text(view.categories, messages)}"),
        writer.heading(messages("speakers"), level=3),
        writer.table(header, rows, _shares(25, 15, 15, 15, *([30] if said else []))),
    ]


def _charts(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    canvas = Canvas(WIDTH, writer.fonts.regular, _FONT_POINTS)
    components = view.result["score"]["components"]
    seconds = bin_seconds(view)
    story: list[Flowable] = [
        writer.heading(messages("timeline")),
        _drawn(timeline(view, messages, canvas)),
        writer.paragraph(messages("stress_note"), colour=MUTED, size=8),
    ]
    if seconds:
        note = messages("timeline_binned", seconds=number(seconds, 1))
        story.append(writer.paragraph(note, colour=MUTED, size=8))
    story.append(writer.heading(messages("contributions")))
    if not components:
        return [*story, writer.paragraph(because(score_reason(view.result), messages))]
    return [
        *story,
        writer.paragraph(messages("contributions_help"), colour=MUTED, size=8),
        Spacer(1, 4),
        _drawn(contributions(components, messages, canvas)),
        writer.table(
            component_header(messages),
            component_rows(components, messages),
            _shares(20, 10, 10, 60),
        ),
    ]


def _evidence(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    evidence = view.result["score"]["evidence"]
    title = writer.heading(messages("evidence"), level=3)
    if not evidence:
        return [title, writer.paragraph(messages("evidence_none"))]
    header = [messages(name) for name in ("points", "time", "speaker", "component", "detail")]
    rows = [
        [
            number(item["points"], 1),
            clock(item["start"]),
            item.get("speaker", ""),
            messages.name("component", item["component"]),
            item["detail"],
        ]
        for item in evidence[:MOST_EVIDENCE]
    ]
    story = [title, writer.table(header, rows, _shares(8, 11, 18, 18, 45))]
    if (left := len(evidence) - MOST_EVIDENCE) > 0:
        more = messages("evidence_more", number=left)
        story.append(writer.paragraph(more, colour=MUTED, size=8))
    return story


def _transcript(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
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


def _doubts(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    result = view.result
    flags = [
        [
            f"{clock(flag['start'])} – {clock(flag['end'])}",
            messages.name("flag", flag["kind"]),
            flag["detail"],
        ]
        for flag in result["flags"]
    ]
    header = [messages(name) for name in ("time", "kind", "detail")]
    reasons = [messages("what"), messages("reason")]
    missing = [*result["unavailable"].items()]
    notes = [*result["notes"].items()]
    return [
        writer.heading(messages("flags")),
        writer.table(header, flags, _shares(22, 22, 56))
        if flags
        else writer.paragraph(messages("flags_none")),
        writer.heading(messages("unavailable")),
        writer.table(reasons, missing, _shares(28, 72))
        if missing
        else writer.paragraph(messages("unavailable_none")),
        *(
            [
                writer.heading(messages("notes"), level=3),
                writer.table([messages("what"), messages("detail")], notes, _shares(20, 80)),
            ]
            if notes
            else []
        ),
    ]


def _provenance(
    view: View, recording: Recording, writer: Writer, messages: Messages
) -> list[Flowable]:
    header = [*(messages(name) for name in ("model", "version", "weights", "precision")), "SHA-256"]
    return [
        writer.heading(messages("provenance")),
        writer.paragraph(messages("integrity_help"), colour=MUTED, size=8),
        Spacer(1, 4),
        writer.paragraph(integrity_text(recording, messages), bold=True),
        Spacer(1, 4),
        _facts(provenance_rows(view, recording, messages), writer),
        writer.heading(messages("models"), level=3),
        writer.table(header, model_rows(view.result, messages), _shares(20, 8, 24, 14, 34)),
    ]


def _facts(rows: Sequence[Row], writer: Writer) -> Flowable:
    made = Table(
        [[writer.paragraph(name, colour=MUTED), writer.paragraph(value)] for name, value in rows],
        colWidths=_shares(30, 70),
    )
    made.setStyle(TABLE_STYLE)
    return made


def _drawn(drawing: Drawing) -> Flowable:
    return KeepTogether([drawing, Spacer(1, 6)])


def _shares(*parts: float) -> list[float]:
    """Widths of columns in points, as shares of the page's width."""
    return [WIDTH * part / sum(parts) for part in parts]
