"""Diarization error on annotated speech, and what finding the speakers costs.

    make check-diarization

The recordings of the catalogue: the two-speaker telephone call (30 s, with and without its
number of speakers given), ten clips `trn*` of meetings (30 s each, 1 to 4 speakers), and four
more clips of such meetings that nothing may be tuned on. `perf.diarization` says how turns are
found.

The diarization error rate is pyannote.metrics' with `collar=0.25` (0.125 s to either side of
every reference boundary), overlapped speech counted: false alarm, missed and confused speaker
time as shares of the reference's. Beside it one speaker for all detected speech, which is what
whoever does not tell speakers apart gets. pyannote's own pipeline needs weights from the
Hugging Face hub and is not run.

CPU-seconds are those of this process, on one thread, without decoding and loading.
"""

import argparse
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from perf.diarization import Diarizer
from perf.record import ROOT, table, write_result
from voiceman.analysis.speakers import UNKNOWN, SpeakerCount
from voiceman_client.decode import decode
from voiceman_export.assets import fetch

COMMAND = "make check-diarization"
COLLAR_S = 0.25
PARTS = {"false alarm": "false_alarm", "missed detection": "missed", "confusion": "confused"}
COLUMNS = ("recording", "speakers", "found", "error", "false alarm", "missed", "confused", "one")


@dataclass(frozen=True)
class Clip:
    """A recording with its reference.

    Attributes:
        name: of the file.
        path: of the sound.
        reference: who speaks when.
    """

    name: str
    path: Path
    reference: Annotation


@dataclass(frozen=True)
class Answer:
    """What was found in a clip, and what one speaker for all of it would be."""

    clip: Clip
    duration_s: float
    turns: Annotation
    one: Annotation

    @property
    def speakers(self) -> int:
        """How many speakers were found."""
        return len(set(self.turns.labels()) - {UNKNOWN})


def annotation(rows: Iterable[tuple[float, float, str]]) -> Annotation:
    """Start, end and speaker as pyannote's object."""
    found = Annotation()
    for number, (start, end, speaker) in enumerate(rows):
        found[Segment(start, end), number] = speaker
    return found


def read_clips(folder: Path) -> list[Clip]:
    """The sounds of a folder that its RTTM files annotate, by name."""
    rows: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for rttm in sorted(folder.glob("*.rttm")):
        for line in rttm.read_text(encoding="utf-8").splitlines():
            _, name, _, start, length, _, _, speaker, *_ = line.split()
            rows[_plain(name)].append((float(start), float(start) + float(length), speaker))
    sounds = {_plain(path.stem): path for path in folder.glob("*.wav")}
    return [Clip(name, sounds[name], annotation(rows[name])) for name in sorted(rows)]


def _plain(name: str) -> str:
    """Without accents: one clip bears one in its file's name and none in its RTTM."""
    apart = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def answer(diarizer: Diarizer, clip: Clip, count: SpeakerCount) -> Answer:
    recording = decode(clip.path, "mix")
    turns = diarizer.diarize(recording.waveforms[0], count)
    found = annotation((turn["start"], turn["end"], turn["speaker"]) for turn in turns)
    one = annotation((s.start, s.end, "one") for s in found.get_timeline().support())
    return Answer(clip, recording.duration_s, found, one)


def errors(answers: Iterable[Answer], *, one: bool = False) -> dict[str, float]:
    """Pooled error of several clips and its parts; `one`: of one speaker for all speech."""
    metric = DiarizationErrorRate(collar=COLLAR_S, skip_overlap=False)
    for item in answers:
        found = item.one if one else item.turns
        metric(item.clip.reference, found, uem=Timeline([Segment(0, item.duration_s)]))
    total = metric["total"]
    parts = {name: round(metric[part] / total, 4) for part, name in PARTS.items()}
    return {"diarization_error": round(abs(metric), 4), **parts}


def figures(answers: list[Answer]) -> dict[str, object]:
    return {
        "speakers": [len(item.clip.reference.labels()) for item in answers],
        "speakers_found": [item.speakers for item in answers],
        **errors(answers),
        "one_speaker_for_all": errors(answers, one=True),
    }


def row(name: str, answers: list[Answer]) -> list[object]:
    found, one = errors(answers), errors(answers, one=True)
    speakers = [sum(len(item.clip.reference.labels()) for item in answers)]
    speakers.append(sum(item.speakers for item in answers))
    shares = [*found.values(), one["diarization_error"]]
    return [name, *speakers, *(f"{share:.1%}" for share in shares)]


def speed(diarizer: Diarizer) -> dict[str, float]:
    whole = sum(diarizer.cpu_s.values())
    stages = {f"{stage}_rtfx": diarizer.audio_s / s for stage, s in diarizer.cpu_s.items()}
    return {
        "audio_s": round(diarizer.audio_s, 1),
        "cpu_s": round(whole, 2),
        **{name: round(value, 1) for name, value in stages.items()},
        "rtfx": round(diarizer.audio_s / whole, 1),
    }


def report(groups: Mapping[str, list[Answer]], cost: Mapping[str, float]) -> str:
    """The tables for people."""
    pooled = table(COLUMNS, [row(name, answers) for name, answers in groups.items()])
    each = {item.clip.name: row(item.clip.name, [item]) for a in groups.values() for item in a}
    return (
        pooled
        + "\nPooled; `one`: one speaker for all detected speech. Clip by clip:\n\n"
        + table(COLUMNS, list(each.values()))
        + "\nSpeed on one thread, seconds of sound per CPU-second:\n\n"
        + table(("figure", "value"), list(cost.items()))
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    diarizer = Diarizer()
    call = read_clips(fetch("telephone-call"))
    meetings = read_clips(fetch("meeting-clips"))
    unknown = SpeakerCount()
    groups = {
        "telephone call": [answer(diarizer, clip, unknown) for clip in call],
        "telephone call, 2 speakers given": [
            answer(diarizer, clip, SpeakerCount(exactly=2)) for clip in call
        ],
        "trn*, 10 clips": [
            answer(diarizer, clip, unknown) for clip in meetings if clip.name.startswith("trn")
        ],
        "4 other clips": [
            answer(diarizer, clip, unknown) for clip in meetings if not clip.name.startswith("trn")
        ],
    }
    cost = speed(diarizer)
    text = report(groups, cost)
    results = {name: figures(answers) for name, answers in groups.items()}
    path = write_result(
        "diarization", COMMAND, {"errors": results, "speed": cost}, text, "Who speaks when"
    )
    print(text + f"\nwritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
