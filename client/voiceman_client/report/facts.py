"""The tables of facts that page and PDF share: rows of a name and a value."""

from collections import Counter
from collections.abc import Mapping, Sequence

from voiceman_client.documents import shown
from voiceman_client.report.case import Case
from voiceman_client.report.details import because
from voiceman_client.report.formats import ABSENT, clock, number, percent, plain
from voiceman_client.report.integrity import Recording
from voiceman_client.report.messages import Messages
from voiceman_client.report.sentences import translated, why_failed
from voiceman_client.report.view import CategoryCount, View, common_reasons
from voiceman_client.result import Result

MOST_EVIDENCE = 30

Row = tuple[str, str]


def summary_rows(view: View, messages: Messages) -> list[Row]:
    """What was analysed, in one look."""
    result = view.result
    missing = result["unavailable"]
    language, speech, covered = result["language"], result["speech"], result["speech_with_text"]
    no_text = missing.get("speech_with_text", missing.get("recording", ""))
    return [
        (messages("recording"), view.name),
        (messages("duration"), clock(result["provenance"]["duration"])),
        (
            messages("language"),
            because(missing.get("language", missing.get("recording", "")), messages)
            if language is None
            else messages.name("language", language),
        ),
        (
            messages("speech"),
            because(missing.get("speech", no_text), messages) if speech is None else clock(speech),
        ),
        (
            messages("speech_with_text"),
            because(no_text, messages) if covered is None else percent(covered),
        ),
        (messages("speakers"), str(len(result["speakers"]))),
        (messages("utterances"), number(len(view.lines))),
    ]


def line_reasons(view: View, messages: Messages) -> list[list[str]]:
    """What is missing in lines, why, and in how many: [what, reason, lines]."""
    readings = {
        "score": [line.score for line in view.lines],
        "arousal": [line.arousal for line in view.lines],
        "valence": [line.valence for line in view.lines],
        "stress": [line.stress for line in view.lines],
        "overlap": [line.overlap for line in view.lines],
    }
    return [
        [messages(name), translated(reason, messages) or messages("no_reason"), number(count)]
        for name, found in readings.items()
        for reason, count in common_reasons(found)
    ]


def sourced_rows(texts: Mapping[str, str], messages: Messages) -> list[Row]:
    """What models and others say, `unavailable` or `notes` of a result: who, and the sentence."""
    return [
        (messages.name("source", name), translated(text, messages)) for name, text in texts.items()
    ]


def voices(result: Result, messages: Messages) -> dict[str, str]:
    """The enrolled voice most like each speaker's, by id; empty where nobody compared."""
    said: dict[str, str] = {}
    for speaker in result["speakers"]:
        if "voice" not in speaker:
            continue
        voice = speaker["voice"]
        if voice is None:
            said[speaker["id"]] = messages("not_available")
            continue
        similarity, threshold = number(voice["similarity"]), number(voice["threshold"])
        key = "voice_none" if voice["name"] is None else "voice_like"
        said[speaker["id"]] = messages(
            key, name=voice["name"], similarity=similarity, threshold=threshold
        )
    return said


def integrity_text(recording: Recording, messages: Messages) -> str:
    """Whether the recording is the one that was analysed."""
    return messages(f"integrity_{recording.state}", found=recording.sha256, path=recording.place)


def total_rows(case: Case, messages: Messages) -> list[Row]:
    """What a case sums up to."""
    entries = case.entries
    languages = ", ".join(
        f"{messages.name('language', name) if name else messages('unknown')} {count}"
        for name, count in Counter(entry.language for entry in entries).most_common()
    )
    return [
        (messages("folder"), case.place),
        (messages("recordings"), number(len(entries))),
        (messages("failures"), number(len(case.failures))),
        (messages("total_duration"), clock(sum(entry.duration for entry in entries))),
        (messages("total_speech"), clock(sum(entry.speech or 0.0 for entry in entries))),
        (messages("languages"), languages or ABSENT),
        (messages("speakers"), number(sum(entry.speakers for entry in entries))),
        (messages("utterances"), number(sum(entry.utterances for entry in entries))),
    ]


def failed_rows(case: Case, messages: Messages) -> list[list[str]]:
    """Recordings without a result, and why."""
    return [[failure.name, why_failed(failure.reason, messages)] for failure in case.failures]


def category_text(counts: Sequence[CategoryCount], messages: Messages) -> str:
    """Categories with their findings and mentions in one line."""
    parts = [
        f"{messages.name('category', item.category)} {item.findings}"
        + (f" (+{item.mentions} {messages('mention')})" if item.mentions else "")
        for item in counts
    ]
    return ", ".join(parts) or messages("findings_none")


def ranking_rows(case: Case, messages: Messages) -> list[list[str]]:
    """The cells under `ranking_header`, but for the links."""
    rows: list[list[str]] = []
    for rank, entry in enumerate(case.entries, start=1):
        score = entry.score
        rows.append(
            [
                str(rank),
                entry.name,
                because(entry.reason, messages) if score is None else number(score, 1),
                percent(entry.coverage),
                clock(entry.duration),
                messages.name("language", entry.language or messages("unknown")),
                str(entry.speakers),
                category_text(entry.categories, messages) if entry.categories else ABSENT,
                str(entry.flags),
            ]
        )
    return rows


def ranking_header(messages: Messages) -> list[tuple[str, bool]]:
    """Names of the ranking's columns, and whether they hold numbers."""
    numeric = {"rank", "score", "available_weights", "duration", "speakers", "flagged"}
    names = ("rank", "recording", "score", "available_weights", "duration", "language")
    names += ("speakers", "findings", "flagged", "reports")
    return [(messages(name), name in numeric) for name in names]


def provenance_rows(view: View, recording: Recording, messages: Messages) -> list[Row]:
    """What the result was made of and with, and whether that is still there."""
    provenance = view.result["provenance"]
    source = provenance["source"]
    sound = f"{source['container']}, {source['codec']}, {source['sample_rate_hz']} Hz"
    return [
        (messages("file"), source["file"]),
        (messages("source_sha256"), source["sha256"]),
        (messages("source_state"), integrity_text(recording, messages)),
        (messages("size"), messages("bytes", number=number(source["size_bytes"]))),
        (messages("format"), sound),
        (messages("channels"), _channels(source["channels"], provenance["channels"], messages)),
        (messages("decoder"), source["decoder"]),
        (messages("preparation"), plain(provenance.get("preparation"))),
        (messages("pcm_sha256"), provenance["pcm_sha256"]),
        (messages("result_file"), shown(view.document.path.name)),
        (messages("result_sha256"), view.document.sha256),
        (messages("software"), provenance["voiceman"]),
        (messages("server"), plain(provenance["server"])),
        (messages("profile"), _profile(view.result, messages)),
        (messages("options"), plain(provenance["options"])),
    ]


def _profile(result: Result, messages: Messages) -> str:
    """Under which profile the models worked; several where the server changed meanwhile."""
    weights = (model.get("weights", {}) for model in result["provenance"]["models"].values())
    names = {item["profile"] for item in weights if "profile" in item}
    return ", ".join(messages.name("profile", name) for name in sorted(names)) or ABSENT


def model_rows(result: Result, messages: Messages) -> list[list[str]]:
    """Model, version, weights, precision and hash of the weights."""
    rows: list[list[str]] = []
    for name, model in result["provenance"]["models"].items():
        weights = model.get("weights")
        if weights is None:
            rows.append([name, model["version"], messages("without_weights"), "", ""])
            continue
        precision = weights.get("computed_in", weights["precision"])
        title = f"{weights['name']} {weights['version']}"
        rows.append([name, model["version"], title, precision, weights["sha256"]])
    return rows


def _channels(count: int, worked_on: Sequence[int | None], messages: Messages) -> str:
    if all(channel is None for channel in worked_on):
        return messages("mixdown", number=count) if count > 1 else str(count)
    names = ", ".join(plain(channel) for channel in worked_on)
    return messages("split", number=count, names=names)
