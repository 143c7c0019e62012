"""The documents that travel between the models as JSON, as types.

Times are seconds from the start of the window (in TRANSCRIPT and EVIDENCE) or of the
recording (in SUMMARY and result files). What could not be computed is None and its reason
stands in `unavailable`, never a made-up number.
"""

from typing import NotRequired, TypedDict

EVIDENCE_SCHEMA = "voiceman.evidence/1"
SUMMARY_SCHEMA = "voiceman.summary/1"
RESULT_SCHEMA = "voiceman.result/1"
# Stands wherever a score is shown.
DISCLAIMER = (
    "The score is a reading aid: it says where to look first. It is no verdict and no proof. "
    "Its weights are uncalibrated; coverage says on which share of them it rests."
)


class WhisperWord(TypedDict):
    """A word before alignment: which rows of CROSS_ATTENTION belong to its tokens."""

    word: str
    row_start: int
    row_end: int
    score: float


class Word(TypedDict):
    """A word with its times.

    `score` (0 to 1) is the mean probability of its tokens in Whisper, or, in a segment aligned
    by CTC, of its labels where they were found.
    """

    word: str
    start: float
    end: float
    score: float


class WhisperSegment(TypedDict):
    """A segment as Whisper wrote it."""

    start: float
    end: float
    text: str
    avg_logprob: float
    words: list[WhisperWord]


class Segment(TypedDict):
    """A segment with aligned words; `aligner` set their times: "ctc" or cross-attention."""

    start: float
    end: float
    text: str
    avg_logprob: float
    words: list[Word]
    aligner: str


class Flag(TypedDict):
    """Something the reader must know before trusting a passage."""

    kind: str
    start: float
    end: float
    detail: str


class ModelWeights(TypedDict):
    """Which weights a model works with: from the manifest beside them.

    `precision` is that of the file; `computed_in` that of the model, where it differs from it.
    `profile` is that of the server, see `voiceman.profile`.
    """

    name: str
    version: str
    precision: str
    sha256: str
    profile: NotRequired[str]
    computed_in: NotRequired[str]


class Transcript(TypedDict):
    """The TRANSCRIPT tensor: one window as heard by Whisper.

    `computed_in` is the precision that the engine computed in, "int8" for example; the weights
    may be stored in another.
    """

    computed_in: NotRequired[str]
    language: str
    language_probability: float | None
    duration: float
    no_speech_probability: float
    compression_ratio: float
    segments: list[WhisperSegment]
    flags: list[Flag]


class AlignedTranscript(TypedDict):
    """The ALIGNED_TRANSCRIPT tensor: the same with word times and who set them.

    `aligner` is that of the language; segments that it could not align say so themselves.
    `aligner_weights` are the weights that it works with, if it has any.
    """

    computed_in: NotRequired[str]
    aligner_weights: NotRequired[ModelWeights]
    language: str
    language_probability: float | None
    duration: float
    no_speech_probability: float
    compression_ratio: float
    segments: list[Segment]
    flags: list[Flag]
    aligner: str


class Finding(TypedDict):
    """A passage of an utterance's text that a crime-language pattern hit.

    `start` and `end` are characters of the utterance's `text`. `severity` (0 to 1) belongs to
    the pattern. `weight` (0 to 1) belongs to this passage: 0.5 and more is a finding, less is
    a mention (quoted, negated, reported, fiction), and `context` says why.
    """

    category: str
    pattern_id: str
    start: int
    end: int
    text: str
    severity: float
    weight: float
    context: str


class F0Contour(TypedDict):
    """The pitch of an utterance: a value every `step` seconds from `start`; None: unvoiced."""

    start: float
    step: float
    f0_hz: list[float | None]


class Component(TypedDict):
    """One part of a score: value 0 to 1 (None: unavailable), its weight and its reason."""

    name: str
    value: float | None
    weight: float
    reason: str


class EvidenceItem(TypedDict):
    """One thing that a score rests on, with its time.

    `points` are its part of the score of its utterance: those of all items together are that
    score, up to rounding. `voiceman.analysis.scoring` says how they are shared out. `speaker`
    stands in the scores of speakers and recordings.
    """

    start: float
    end: float
    component: str
    points: float
    detail: str
    speaker: NotRequired[str]


class Score(TypedDict):
    """A score of 0 to 100 (None without any component) that shows what it rests on.

    `coverage` is the share of the weights whose components were available. `evidence` lists
    what the score is made of, most points first; that of a speaker and of a recording, whose
    score is that of the most notable utterance, holds the first 20 of all utterances. The
    weights are uncalibrated: a score is a reading aid, no verdict and no proof.
    """

    value: float | None
    coverage: float
    components: list[Component]
    evidence: list[EvidenceItem]


class StressContribution(TypedDict):
    """One voice feature of an utterance beside the same speaker's other utterances.

    `feature` is a name of `voice_features`, or "pause_share", the share of pauses in the
    utterance. `baseline` is the median of the others; `z` is how far `value` lies above it, in
    robust standard deviations. `contribution` (0 to 1) is what of it counts as stress, in the
    direction in which stress moves the feature.
    """

    feature: str
    value: float
    baseline: float
    z: float
    contribution: float


class Stress(TypedDict):
    """How far a voice departs from the speaker's own in the direction of stress, 0 to 1.

    None where it could not be measured; `reason` says why, and else what it rests on.
    `contributions` names every feature that departs far enough to count, the largest first.
    """

    value: float | None
    reason: str
    contributions: list[StressContribution]


class Comparison(TypedDict):
    """What the words claim and how the voice reads, both 0 to 1, on one scale.

    `reading` is the scale: arousal, dominance, valence, anger, happiness, sadness or stress.
    """

    reading: str
    claimed: float
    heard: float
    weight: float


class Discrepancy(TypedDict):
    """Words and voice that do not fit, by a stable name: "calm_words_high_arousal"."""

    name: str
    detail: str


class CrossValidation(TypedDict):
    """What the words say against how they were said.

    `agreement` is 0 to 1; None: nothing could be compared, and `reason` says why. `sentiment`
    (-1 to 1), `intensity` and `menace` (0 to 1) are what the words claim; None: not known.
    """

    agreement: float | None
    reason: str
    sentiment: float | None
    intensity: float | None
    menace: float | None
    comparisons: list[Comparison]
    discrepancies: list[Discrepancy]


class Assessment(TypedDict):
    """What can be said of an utterance only where the recording is known."""

    stress: Stress
    cross_validation: CrossValidation
    score: Score


class Utterance(TypedDict):
    """One speaker's turn inside a window and what the models found in it.

    `overlap` is how many seconds of it several people talk at once: what the models found there
    may be another's. None: nobody looked for speaker turns. `unavailable` says for each model
    without an answer for this utterance why. `stress` and `cross_validation` need the speaker's
    other utterances: they, and a score that counts them, stand in results, not in EVIDENCE.
    """

    start: float
    end: float
    overlap: float | None
    text: str
    words: list[Word]
    findings: list[Finding]
    emotion_dimensional: dict[str, float] | None
    emotion_categorical: dict[str, float] | None
    voice_features: dict[str, float | None] | None
    f0_contour: F0Contour | None
    score: Score
    unavailable: dict[str, str]
    speaker: NotRequired[str]
    channel: NotRequired[int]
    stress: NotRequired[Stress]
    cross_validation: NotRequired[CrossValidation]


class Evidence(TypedDict):
    """The EVIDENCE tensor: everything found about one window.

    `speech` is how many seconds of speech were detected in it, `speech_with_text` which share
    of them (0 to 1) has words; None: not known, `unavailable["speech_with_text"]` says why.
    `unavailable` and `notes` are by model: why it has no answer at all, and what a reader must
    know about the data behind its weights; `notes["score"]` says what the score is not.
    `models` names the weights that took part; a model without weights is not in it. One with
    weights for each language is in it as "word_alignment/ko".
    """

    schema: str
    language: str
    language_probability: float | None
    duration: float
    no_speech_probability: float
    compression_ratio: float
    aligner: str
    segments: list[Segment]
    utterances: list[Utterance]
    speech: float | None
    speech_with_text: float | None
    flags: list[Flag]
    unavailable: dict[str, str]
    notes: dict[str, str]
    models: dict[str, ModelWeights]
    score: Score


class KnownVoice(TypedDict):
    """The enrolled voice that a speaker's resembles most.

    `name` is None where the cosine `similarity` is below the `threshold`. Both are uncalibrated.
    """

    name: str | None
    similarity: float
    threshold: float


class Speaker(TypedDict):
    """One speaker of a recording.

    `voice` stands in results that were made with enrolled voices; None: nothing to compare.
    """

    id: str
    utterances: int
    speech: float
    channel: int | None
    voice_features: dict[str, float | None]
    score: Score
    voice: NotRequired[KnownVoice | None]


class SpeakerTurn(TypedDict):
    """Somebody speaks from start to end.

    `overlap` is how many seconds of it others speak as well, on any channel.
    """

    start: float
    end: float
    speaker: str
    overlap: float
    channel: int | None


class Summary(TypedDict):
    """The SUMMARY tensor: one recording.

    `utterance_speakers` is in the order of the input: SPEAKER_00, SPEAKER_01, ... as they
    first speak; UNKNOWN on a channel without any speaker embedding. `utterance_assessments` are
    in the same order. `speaker_turns`, by time,
    say who speaks when, overlaps included. `speech` and `speech_with_text` are those of all
    windows together. `models` names what the summary was made by: the code of this package.
    """

    schema: str
    utterance_speakers: list[str]
    utterance_assessments: list[Assessment]
    speakers: list[Speaker]
    speaker_turns: list[SpeakerTurn]
    speech: float | None
    speech_with_text: float | None
    score: Score
    unavailable: dict[str, str]
    models: NotRequired[dict[str, ModelWeights]]
