"""The report of one result as PDF: the same content as the page, without what needs a click."""

from datetime import datetime

from reportlab.platypus import Flowable, KeepTogether, PageBreak, Spacer

from voiceman_client.report.canvas import Canvas
from voiceman_client.report.contributions import contributions
from voiceman_client.report.details import because, component_header, component_rows
from voiceman_client.report.facts import (
    MOST_EVIDENCE,
    category_text,
    integrity_text,
    line_reasons,
    model_rows,
    provenance_rows,
    sourced_rows,
    summary_rows,
    voices,
)
from voiceman_client.report.fonts import Fonts
from voiceman_client.report.formats import clock, number, percent
from voiceman_client.report.integrity import Recording
from voiceman_client.report.messages import Messages
from voiceman_client.report.pdf_pages import WIDTH, facts_table, opening, paged, shares
from voiceman_client.report.pdf_text import MUTED, Writer
from voiceman_client.report.pdf_transcript import transcript
from voiceman_client.report.sentences import translated
from voiceman_client.report.timeline import bin_seconds, timeline
from voiceman_client.report.view import View, reason_of_score

_FONT_POINTS = 7.5  # of charts


def report_pdf(
    view: View, recording: Recording, fonts: Fonts, messages: Messages, made_at: datetime
) -> bytes:
    """The PDF of one result."""
    writer = Writer(fonts)
    story = [
        *opening(messages("title"), view.name, writer, messages, made_at),
        *_summary(view, writer, messages),
        *_charts(view, writer, messages),
        *_evidence(view, writer, messages),
        *transcript(view, writer, messages),
        *_doubts(view, writer, messages),
        PageBreak(),
        *_provenance(view, recording, writer, messages),
    ]
    if writer.missing:
        note = messages("missing_glyphs", number=writer.missing)
        story += [Spacer(1, 10), writer.paragraph(note, colour=MUTED)]
    return paged(story, f"{messages('title')}: {view.name}", messages, writer)


def _summary(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    result = view.result
    score = result["score"]
    if score["value"] is None:
        shown = because(reason_of_score(result), messages)
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
        writer.paragraph(
            f"{messages('score')}: {shown}", size=9 if score["value"] is None else 13, bold=True
        ),
        writer.paragraph(f"{messages('coverage')}: {coverage}", colour=MUTED),
        Spacer(1, 4),
        facts_table(summary_rows(view, messages), writer),
        Spacer(1, 4),
        writer.paragraph(f"{messages('findings')}: {category_text(view.categories, messages)}"),
        writer.heading(messages("speakers"), level=3),
        writer.table(header, rows, shares(25, 15, 15, 15, *([30] if said else []))),
    ]


def _charts(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    canvas = Canvas(WIDTH, writer.fonts.regular, _FONT_POINTS)
    components = view.result["score"]["components"]
    seconds = bin_seconds(view)
    drawn: list[Flowable] = [
        writer.heading(messages("timeline")),
        timeline(view, messages, canvas),
        Spacer(1, 6),
    ]
    story: list[Flowable] = [
        KeepTogether(drawn),
        writer.paragraph(messages("stress_note"), colour=MUTED, size=8),
    ]
    if seconds:
        note = messages("timeline_binned", seconds=number(seconds, 1))
        story.append(writer.paragraph(note, colour=MUTED, size=8))
    title = writer.heading(messages("contributions"))
    if not components:
        return [*story, title, writer.paragraph(because(reason_of_score(view.result), messages))]
    rests_on: list[Flowable] = [
        title,
        writer.paragraph(messages("contributions_help"), colour=MUTED, size=8),
        Spacer(1, 4),
        contributions(components, messages, canvas),
        Spacer(1, 6),
    ]
    return [
        *story,
        KeepTogether(rests_on),
        writer.table(
            component_header(messages),
            component_rows(components, messages),
            shares(20, 10, 10, 60),
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
            translated(item["detail"], messages),
        ]
        for item in evidence[:MOST_EVIDENCE]
    ]
    story = [title, writer.table(header, rows, shares(8, 11, 18, 18, 45))]
    if (left := len(evidence) - MOST_EVIDENCE) > 0:
        more = messages("evidence_more", number=left)
        story.append(writer.paragraph(more, colour=MUTED, size=8))
    return story


def _doubts(view: View, writer: Writer, messages: Messages) -> list[Flowable]:
    result = view.result
    flags = [
        [
            f"{clock(flag['start'])} – {clock(flag['end'])}",
            messages.name("flag", flag["kind"]),
            translated(flag["detail"], messages),
        ]
        for flag in result["flags"]
    ]
    header = [messages(name) for name in ("time", "kind", "detail")]
    reasons = [messages("what"), messages("reason")]
    missing = sourced_rows(result["unavailable"], messages)
    in_lines = line_reasons(view, messages)
    notes = sourced_rows(result["notes"], messages)
    return [
        writer.heading(messages("flags")),
        writer.table(header, flags, shares(22, 22, 56))
        if flags
        else writer.paragraph(messages("flags_none")),
        writer.heading(messages("unavailable")),
        writer.paragraph(messages("in_other_words"), colour=MUTED, size=8),
        writer.table(reasons, missing, shares(28, 72))
        if missing
        else writer.paragraph("" if in_lines else messages("unavailable_none")),
        *(
            [
                writer.heading(messages("unavailable_lines"), level=3),
                writer.table([*reasons, messages("lines")], in_lines, shares(22, 66, 12)),
            ]
            if in_lines
            else []
        ),
        *(
            [
                writer.heading(messages("notes"), level=3),
                writer.table([messages("what"), messages("detail")], notes, shares(20, 80)),
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
        facts_table(provenance_rows(view, recording, messages), writer),
        writer.heading(messages("models"), level=3),
        writer.table(header, model_rows(view.result, messages), shares(20, 8, 24, 14, 34)),
    ]
