"""The tensors of every model: one table that configs, models, client and tests agree on.

Dims leave out the batch dimension, which is always 1 in a request (batches are made by the
dynamic batcher; windows have different lengths). -1 is a free dimension. BYTES are UTF-8.

u: utterances in a window, t: speaker turns in a window, f: frames of pitch, n: samples at
16 kHz.
"""

from dataclasses import dataclass

SPEAKER_EMBEDDING_SIZE = 192  # ECAPA-TDNN
EMOTION_DIMENSIONS = ("arousal", "dominance", "valence")
EMOTION_CATEGORIES = ("neutral", "anger", "happiness", "sadness")
VOICE_FEATURE_NAMES = (
    "f0_mean_hz",
    "f0_sd_hz",
    "f0_p5_hz",
    "f0_p95_hz",
    "f0_range_semitones",
    "voiced_fraction",
    "jitter_local",
    "jitter_rap",
    "jitter_ppq5",
    "shimmer_local",
    "shimmer_apq3",
    "shimmer_apq11",
    "hnr_db",
    "spectral_tilt_db",
    "intensity_mean_db",
    "intensity_sd_db",
    "syllable_count",
    "speaking_rate_syllables_per_s",
    "articulation_rate_syllables_per_s",
    "pause_count",
    "pause_total_s",
)


@dataclass(frozen=True)
class Tensor:
    """One tensor: its name is the same in config and Python."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    meaning: str
    optional: bool = False

    def as_optional(self) -> "Tensor":
        """The same tensor where it may be left out of a request."""
        return Tensor(self.name, self.dtype, self.dims, self.meaning, optional=True)


@dataclass(frozen=True)
class Model:
    """One model: what goes in and what comes out."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


WAVEFORM = Tensor("WAVEFORM", "INT16", (-1,), "[n] PCM, 16 kHz mono")
TURNS = Tensor("TURNS", "FP32", (-1, 2), "[t, 2] start and end of speaker turns, seconds")
LANGUAGE = Tensor("LANGUAGE", "BYTES", (1,), 'ISO 639-1 code; "auto" or empty: detect')
OPTIONS = Tensor("OPTIONS", "BYTES", (1,), "JSON object, see voiceman.options")
TRANSCRIPT = Tensor("TRANSCRIPT", "BYTES", (1,), "JSON, voiceman.evidence.Transcript")
CROSS_ATTENTION = Tensor(
    "CROSS_ATTENTION",
    "FP32",
    (-1, -1),
    "[token rows, 20 ms frames] mean over the normalised alignment heads",
)
ALIGNED_TRANSCRIPT = Tensor(
    "ALIGNED_TRANSCRIPT", "BYTES", (1,), "JSON, voiceman.evidence.AlignedTranscript"
)
UTTERANCES = Tensor("UTTERANCES", "FP32", (-1, 2), "[u, 2] start and end in the window, seconds")
AROUSAL_DOMINANCE_VALENCE = Tensor(
    "AROUSAL_DOMINANCE_VALENCE", "FP32", (-1, 3), "[u, 3] about 0 to 1; NaN: unavailable"
)
EMOTION_PROBABILITIES = Tensor(
    "EMOTION_PROBABILITIES",
    "FP32",
    (-1, 4),
    "[u, 4] neutral, anger, happiness, sadness; sum 1; NaN: unavailable",
)
SPEAKER_EMBEDDING = Tensor(
    "SPEAKER_EMBEDDING",
    "FP32",
    (-1, SPEAKER_EMBEDDING_SIZE),
    "[u, 192] ECAPA-TDNN, unit length; NaN: unavailable",
)
VOICE_FEATURES = Tensor(
    "VOICE_FEATURES",
    "FP32",
    (-1, len(VOICE_FEATURE_NAMES)),
    "[u, 21] in the order of VOICE_FEATURE_NAMES; NaN: unavailable",
)
F0_CONTOUR = Tensor(
    "F0_CONTOUR",
    "FP32",
    (-1, 3),
    "[f, 3] utterance index, seconds in the window and f0 in Hz of voiced frames, every 10 ms",
)
EVIDENCE = Tensor("EVIDENCE", "BYTES", (1,), "JSON, voiceman.evidence.Evidence")
SPEECH = Tensor("SPEECH", "FP32", (-1, 2), "[s, 2] start and end of speech regions, seconds")
SPEAKER_TURNS = Tensor(
    "SPEAKER_TURNS",
    "FP32",
    (-1, 3),
    "[t, 3] start, end (seconds) and local speaker number of every turn; turns may overlap",
)
VOICE_ACTIVITY_WEIGHTS = Tensor(
    "VOICE_ACTIVITY_WEIGHTS", "BYTES", (1,), "JSON, voiceman.evidence.ModelWeights"
)
WINDOW_EVIDENCE = Tensor(
    "WINDOW_EVIDENCE", "BYTES", (-1,), "[w] EVIDENCE of every window of a recording, in order"
)
RECORDING_OPTIONS = Tensor(
    "RECORDING_OPTIONS", "BYTES", (1,), "JSON object, see voiceman.analysis.recording_options"
)
SUMMARY = Tensor("SUMMARY", "BYTES", (1,), "JSON, voiceman.evidence.Summary")


def _status(name: str) -> Tensor:
    return Tensor(
        name,
        "BYTES",
        (1,),
        "JSON, voiceman.status.Status: which weights, and what is unavailable and why",
    )


EMOTION_DIMENSIONAL_STATUS = _status("EMOTION_DIMENSIONAL_STATUS")
EMOTION_CATEGORICAL_STATUS = _status("EMOTION_CATEGORICAL_STATUS")
SPEAKER_EMBEDDING_STATUS = _status("SPEAKER_EMBEDDING_STATUS")
VOICE_FEATURES_STATUS = _status("VOICE_FEATURES_STATUS")

# The walk of one window through the ensemble, in this order.
FORENSIC_STEPS = (
    Model(
        "whisper",
        (WAVEFORM, TURNS.as_optional(), LANGUAGE.as_optional(), OPTIONS.as_optional()),
        (TRANSCRIPT, CROSS_ATTENTION),
    ),
    Model("word_alignment", (WAVEFORM, TRANSCRIPT, CROSS_ATTENTION), (ALIGNED_TRANSCRIPT,)),
    Model("utterances", (ALIGNED_TRANSCRIPT, TURNS.as_optional()), (UTTERANCES,)),
    Model(
        "emotion_dimensional",
        (WAVEFORM, UTTERANCES),
        (AROUSAL_DOMINANCE_VALENCE, EMOTION_DIMENSIONAL_STATUS),
    ),
    Model(
        "emotion_categorical",
        (WAVEFORM, UTTERANCES),
        (EMOTION_PROBABILITIES, EMOTION_CATEGORICAL_STATUS),
    ),
    Model(
        "speaker_embedding",
        (WAVEFORM, UTTERANCES, TURNS.as_optional()),
        (SPEAKER_EMBEDDING, SPEAKER_EMBEDDING_STATUS),
    ),
    Model(
        "voice_features",
        (WAVEFORM, UTTERANCES),
        (VOICE_FEATURES, F0_CONTOUR, VOICE_FEATURES_STATUS),
    ),
    Model(
        "scoring",
        (
            ALIGNED_TRANSCRIPT,
            TURNS.as_optional(),
            UTTERANCES,
            AROUSAL_DOMINANCE_VALENCE,
            EMOTION_DIMENSIONAL_STATUS,
            EMOTION_PROBABILITIES,
            EMOTION_CATEGORICAL_STATUS,
            SPEAKER_EMBEDDING_STATUS,
            VOICE_FEATURES,
            F0_CONTOUR,
            VOICE_FEATURES_STATUS,
        ),
        (EVIDENCE,),
    ),
)
FORENSIC = Model(
    "forensic",
    (WAVEFORM, TURNS.as_optional(), LANGUAGE.as_optional(), OPTIONS.as_optional()),
    (
        EVIDENCE,
        UTTERANCES,
        SPEAKER_EMBEDDING,
        AROUSAL_DOMINANCE_VALENCE,
        EMOTION_PROBABILITIES,
        VOICE_FEATURES,
        F0_CONTOUR,
    ),
)
VOICE_ACTIVITY = Model(
    "voice_activity", (WAVEFORM,), (SPEECH, SPEAKER_TURNS, VOICE_ACTIVITY_WEIGHTS)
)
RECORDING_SUMMARY = Model(
    "recording_summary",
    (WINDOW_EVIDENCE, SPEAKER_EMBEDDING, RECORDING_OPTIONS.as_optional()),
    (SUMMARY,),
)

MODELS = {
    model.name: model for model in (*FORENSIC_STEPS, VOICE_ACTIVITY, RECORDING_SUMMARY, FORENSIC)
}
