"""Whether preparing a recording makes its transcript better or worse.

    python -m perf.check_preparation [--threads 1]

Each recording is transcribed as it is, and made worse in three ways that preparation is meant for:
30 dB quieter, with a constant offset of a tenth of full scale, and with white noise 10 dB below the
speech. Every one of these is prepared in the three ways that the client knows. Read English and a
telephone call are held against their own transcripts, Korean clips, which have none, against
what is written of them untouched and unprepared: that line is 0 by definition. The figures are
character error rates of letters and digits, over all recordings of a kind together; Whisper
decodes greedily in fp32, with the language given.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perf.peers.own_engine import Voiceman
from perf.record import ROOT, table, write_result
from perf.texts import agreement
from perf.whisper_corpus import CALLS, Recording, clip_paths
from voiceman.audio import Int16Waveform
from voiceman_client.decode import decode
from voiceman_client.prepare import prepare
from voiceman_export.assets import fetch

COMMAND = "make check-preparation"
EXPLANATION = __doc__.split("\n\n")[2].strip()
SEED = 52
NOISE_BELOW_SPEECH_DB = 10.0

Change = Callable[[Int16Waveform], Int16Waveform]


@dataclass(frozen=True, eq=False)
class Sample:
    """A recording and what is said in it; an empty reference: what is written of it untouched."""

    kind: str
    language: str
    waveform: Int16Waveform
    reference: str


def load_samples() -> list[Sample]:
    """Read English and a telephone call with transcripts, Korean clips and calls without."""
    read, call = fetch("librivox"), fetch("telephone-call")
    spoken = re.findall(r"<s> (.*) </s> \((.*)\)", (read / "transcription").read_text())
    lines = (call / "sample.stm").read_text().splitlines()
    said = " ".join(line.split(maxsplit=5)[5] for line in lines)
    korean = clip_paths(fetch(CALLS), ("ko-KR_*.wav",))
    return [
        *(
            Sample("read English", "en", _waveform(read / f"{name}.wav"), text)
            for text, name in spoken
        ),
        Sample("telephone call, English", "en", _waveform(call / "sample.wav"), said),
        *(
            Sample(f"{'telephone' if 'Narrow' in path.name else 'wide band'}, Korean", "ko", x, "")
            for path in korean
            for x in [_waveform(path)]
        ),
    ]


def _waveform(path: Path) -> Int16Waveform:
    return decode(path, "mix").waveforms[0]


def quieter(waveform: Int16Waveform) -> Int16Waveform:
    return np.rint(waveform * 10 ** (-30 / 20)).astype(np.int16)


def with_offset(waveform: Int16Waveform) -> Int16Waveform:
    return np.clip(waveform.astype(np.int32) + 3277, -32768, 32767).astype(np.int16)


def with_noise(waveform: Int16Waveform) -> Int16Waveform:
    samples = waveform.astype(np.float64)
    speech = np.sort(np.abs(samples))[len(samples) // 2 :]  # the louder half
    level = np.sqrt(np.mean(np.square(speech))) * 10 ** (-NOISE_BELOW_SPEECH_DB / 20)
    noise = np.random.default_rng(SEED).normal(0, level, len(samples))
    return np.clip(np.rint(samples + noise), -32768, 32767).astype(np.int16)


CONDITIONS: Mapping[str, Change] = {
    "as it is": lambda waveform: waveform,
    "30 dB quieter": quieter,
    "offset": with_offset,
    "noise at 10 dB": with_noise,
}
PREPARATIONS: Mapping[str, Change] = {
    "none": lambda waveform: waveform,
    "offset and level": lambda waveform: prepare((waveform,))[0][0],
    "offset, level, denoising": lambda waveform: prepare((waveform,), denoised=True)[0][0],
}


def transcribe(engine: Voiceman, samples: Sequence[Sample], changes: Sequence[Change]) -> list[str]:
    """What is written of every sample after the changes."""
    recordings: list[Recording] = []
    for sample in samples:
        waveform = sample.waveform
        for change in changes:
            waveform = change(waveform)
        recordings.append(Recording(sample.language, (waveform,)))
    return engine.transcribe(recordings)


def error_rates(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, float]:
    """Character error rate of every kind of sample."""
    return {
        kind: round(1 - agreement(*zip(*pairs, strict=True)), 4)
        for kind in dict.fromkeys(sample.kind for sample in samples)
        for pairs in [
            [(s.reference, text) for s, text in zip(samples, texts, strict=True) if s.kind == kind]
        ]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of the engine")
    engine = Voiceman(parser.parse_args().threads, "fp32")
    samples = load_samples()
    untouched = transcribe(engine, samples, ())
    samples = [
        sample if sample.reference else replace(sample, reference=text)
        for sample, text in zip(samples, untouched, strict=True)
    ]
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for condition, worsen in CONDITIONS.items():
        figures[condition] = {}
        for name, prepared in PREPARATIONS.items():
            rates = error_rates(samples, transcribe(engine, samples, (worsen, prepared)))
            figures[condition][name] = rates
            print(condition, name, rates, flush=True)
    kinds = list(dict.fromkeys(sample.kind for sample in samples))
    rows = [
        [condition, name, *(f"{rates[kind]:.1%}" for kind in kinds)]
        for condition, by_name in figures.items()
        for name, rates in by_name.items()
    ]
    text = f"{EXPLANATION}\n\n{table(('recording', 'preparation', *kinds), rows)}"
    path = write_result("preparation", COMMAND, figures, text, "Preparation and error rate")
    print(text, path.relative_to(ROOT), sep="\n")


if __name__ == "__main__":
    main()
