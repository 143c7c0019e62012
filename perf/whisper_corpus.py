"""The speech that Whisper is measured on: real calls and talks in eleven languages.

The clips are short (6 to 69 s). All clips of a language, telephone calls at 8 kHz among them,
are put one after another with a second of silence between, so that an engine which batches
within a recording can fill its batch. Every engine gets the same samples and is told the
language. Clips that are copies of another one, at 8 kHz or in another format, are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman_client.decode import decode
from voiceman_export.assets import fetch

PAUSE_S = 1.0
CALLS = "korean-calls"  # the asset's name; it holds all eleven languages
CLIPS = {
    "ko": ("ko-KR_*.wav",),
    "en": ("en-*.wav", "Us_English_*.wav", "english?.g712.wav"),
    "es": ("es-ES_*.wav", "Es_ES_*.wav"),
    "de": ("de-DE_*.wav",),
    "ja": ("ja-JP_*.wav", "sample-Ja_JP-*.wav"),
    "zh": ("zh-CN_*.wav",),
    "pt": ("pt-BR_*.wav",),
    "it": ("it-IT_Broadband*.wav",),
    "nl": ("dutch_*-BB.wav",),
    "fr": ("fr-FR_Broadband*.wav",),
    "ar": ("ar-AR_*.wav",),
}


@dataclass(frozen=True, eq=False)
class Recording:
    """Clips in one language, one after another.

    Attributes:
        language: ISO 639-1 code.
        clips: samples [n] of each, 16 kHz.
    """

    language: str
    clips: tuple[Int16Waveform, ...]

    @cached_property
    def waveform(self) -> Int16Waveform:
        """Samples [n] of all clips, a second of silence between two."""
        return join_clips(self.clips)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLE_RATE_HZ


def load_corpus(languages: Sequence[str] = ()) -> list[Recording]:
    """One recording per language, all of them when none is named.

    Raises:
        KeyError: the corpus has no such language.
    """
    folder = fetch(CALLS)
    return [
        Recording(
            language,
            tuple(decode(p, "mix").waveforms[0] for p in clip_paths(folder, CLIPS[language])),
        )
        for language in languages or CLIPS
    ]


def clip_paths(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a folder that match any pattern, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def join_clips(clips: Sequence[Int16Waveform]) -> Int16Waveform:
    """Clips [n] one after another, a second of silence between two."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.int16)
    parts = [part for clip in clips for part in (pause, clip)]
    return np.concatenate(parts[1:])
