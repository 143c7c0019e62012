"""The report over a case as PDF."""

from datetime import datetime

from reportlab.platypus import Flowable

from voiceman_client.report.case import Case
from voiceman_client.report.facts import (
    category_text,
    failed_rows,
    ranking_header,
    ranking_rows,
    total_rows,
)
from voiceman_client.report.fonts import Fonts
from voiceman_client.report.messages import Messages
from voiceman_client.report.pdf_pages import facts_table, opening, paged, shares
from voiceman_client.report.pdf_text import MUTED, Writer


def case_pdf(case: Case, fonts: Fonts, messages: Messages, made_at: datetime) -> bytes:
    """The PDF over many results."""
    writer = Writer(fonts)
    title = f"{messages('case_title')}: {case.name}"
    header = [name for name, _ in ranking_header(messages)][:-1]
    widths = shares(5, 18, 15, 11, 10, 10, 10, 19, 10)
    failures = failed_rows(case, messages)
    story: list[Flowable] = [
        *opening(messages("case_title"), case.name, writer, messages, made_at),
        writer.heading(messages("totals")),
        facts_table(total_rows(case, messages), writer),
        writer.paragraph(messages("speakers_note"), colour=MUTED, size=8),
        writer.paragraph(f"{messages('findings')}: {category_text(case.categories, messages)}"),
        writer.heading(messages("ranking")),
        writer.table(header, ranking_rows(case, messages), widths),
        writer.heading(messages("failures")),
        writer.table([messages("recording"), messages("reason")], failures, shares(30, 70))
        if failures
        else writer.paragraph(messages("failures_none")),
    ]
    if case.others:
        others = messages("others", names=", ".join(case.others))
        story.append(writer.paragraph(others, colour=MUTED, size=8))
    return paged(story, title, messages, writer)
