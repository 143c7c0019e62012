"""Speech regions and local speaker turns from pyannote's segmentation-3.0.

The network looks at 10 s and says, every 16.875 ms, which of at most three speakers talk
(Plaquet & Bredin, Powerset multi-class cross entropy loss for neural speaker diarization,
Interspeech 2023). Longer pieces are covered by overlapping windows whose steps are whole
frames, so that all windows share one frame grid. The network numbers the speakers of every
window anew: neighbours are joined by the numbering that agrees best on their overlap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from voiceman.audio import (
    MAX_PIECE_S,
    MAX_PIECE_SAMPLES,
    MIN_WAVEFORM_SAMPLES,
    SAMPLE_RATE_HZ,
    Int16Waveform,
    to_float32,
)
from voiceman.errors import InvalidRequestError

Floats = npt.NDArray[np.float32]
# [b, 160000] float32 to [b, frames, 7] log-probabilities of the powerset classes.
Network = Callable[[Floats], Floats]

WINDOW_SAMPLES = 10 * SAMPLE_RATE_HZ
FRAME_STEP_SAMPLES = 10 * 3 * 3 * 3  # SincNet's stride and its three pools: 16.875 ms
FRAME_FIELD_SAMPLES = 991  # what one frame sees: 61.9 ms; the first begins at sample 0
# 2.4975 s: every frame is seen in four contexts. On a telephone call, half-window steps swallow
# greetings of 0.5 s (diarization error 9.3 % against 4.5 %); finer steps gain nothing.
WINDOW_STEP_SAMPLES = 148 * FRAME_STEP_SAMPLES
SPEAKER_COUNT = 3
# The speakers in each of the seven classes: nobody, one of three, two of three.
POWERSET = np.array(
    [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)], np.float32
)
# pyannote's rule for powerset models: the more probable of two states wins, no hysteresis and
# no shortest duration. Uncalibrated for telephone speech.
THRESHOLD = 0.5
# A speaker who goes on after a silence this long at most is still in the same turn.
# pyannote/speaker-diarization 2.1 was tuned to 0.58 s (`min_duration_off`). Uncalibrated.
MAX_PAUSE_IN_TURN_S = 0.5
MAX_BATCH_WINDOWS = 16  # larger ones are no faster on the CPU, and 20 MB larger


@dataclass(frozen=True)
class Activity:
    """Who speaks when in one piece of sound.

    Attributes:
        speech: [s, 2] start and end of speech by anybody, seconds; sorted and disjoint.
        turns: [t, 3] start, end, local speaker 0 to 2; sorted by start; may overlap.
    """

    speech: Floats
    turns: Floats


def find_activity(waveforms: Sequence[Int16Waveform], network: Network) -> list[Activity]:
    """Find speech and turns in several pieces of sound; their windows share batches.

    Raises:
        InvalidRequestError: a piece is shorter than 25 ms or longer than 300 s.
    """
    for waveform in waveforms:
        check_piece(waveform)
    starts = [window_starts(len(waveform)) for waveform in waveforms]
    windows = np.concatenate(
        [_cut(to_float32(w), s) for w, s in zip(waveforms, starts, strict=True)]
        or [np.zeros((0, WINDOW_SAMPLES), np.float32)]
    )
    classes = [
        np.exp(network(windows[i : i + MAX_BATCH_WINDOWS]))
        for i in range(0, len(windows), MAX_BATCH_WINDOWS)
    ]
    ends = np.cumsum([len(s) for s in starts])[:-1]
    per_piece = np.split(np.concatenate(classes), ends) if classes else []
    return [
        _activity(*join_windows(probabilities, s), len(waveform))
        for probabilities, s, waveform in zip(per_piece, starts, waveforms, strict=True)
    ]


def check_piece(waveform: Int16Waveform) -> None:
    """Refuse a piece that is too short or too long; see `find_activity`."""
    seconds = len(waveform) / SAMPLE_RATE_HZ
    if len(waveform) < MIN_WAVEFORM_SAMPLES:
        raise InvalidRequestError(
            f"WAVEFORM: {seconds * 1000:.1f} ms of sound; "
            f"at least {MIN_WAVEFORM_SAMPLES / SAMPLE_RATE_HZ * 1000:.0f} ms are needed"
        )
    if len(waveform) > MAX_PIECE_SAMPLES:
        raise InvalidRequestError(
            f"WAVEFORM: {seconds:.1f} s of sound; at most {MAX_PIECE_S:.0f} s are allowed, "
            "send a longer recording in overlapping pieces"
        )


def window_starts(sample_count: int) -> list[int]:
    """First samples of the windows over a piece; the last window ends with the piece.

    All are multiples of the frame step. So the last window may reach past the end of the
    piece, by less than a frame; a piece under 10 s has one window, filled up with zeros.
    """
    rest = max(sample_count - WINDOW_SAMPLES, 0)
    last = -(-rest // FRAME_STEP_SAMPLES) * FRAME_STEP_SAMPLES
    return [*range(0, last, WINDOW_STEP_SAMPLES), last]


def join_windows(classes: Floats, starts: Sequence[int]) -> tuple[Floats, Floats]:
    """Lay overlapping windows on one frame grid and average them.

    Args:
        classes: [w, frames, 7] probabilities of the powerset classes.
        starts: first sample of every window, ascending.

    Returns:
        Speech [f] and speakers [f, 3], probabilities from 0 to 1 on the grid of the piece.
    """
    frames = classes.shape[1]
    firsts = [start // FRAME_STEP_SAMPLES for start in starts]
    total = firsts[-1] + frames
    speech = np.zeros(total, np.float32)
    speakers = np.zeros((total, SPEAKER_COUNT), np.float32)
    counts = np.zeros(total, np.float32)
    for window, first in zip(classes, firsts, strict=True):
        here = slice(first, first + frames)
        local = window @ POWERSET
        # Where nothing was laid down yet, the zeros agree with every numbering alike.
        _, order = linear_sum_assignment(speakers[here].T @ local, maximize=True)
        speakers[here] += local[:, order]
        speech[here] += 1.0 - window[:, 0]
        counts[here] += 1.0
    return speech / counts, speakers / counts[:, np.newaxis]


def most_probable_speakers(speakers: Floats) -> npt.NDArray[np.bool_]:
    """Who talks in every frame: as many as are expected, those who are the most probable.

    pyannote's rule (Bredin, pyannote.audio 2.1 speaker diarization pipeline, Interspeech 2023),
    with probabilities where pyannote counts decisions. Where windows disagree about who of two
    talks, neither may be likelier than not, although somebody surely does; such speech, overlap
    above all, would be missed if every speaker had to pass the threshold alone.

    Args:
        speakers: [f, 3] probability of every speaker.

    Returns:
        [f, 3] one truth value per frame and speaker.
    """
    expected = np.floor(speakers.sum(axis=1, keepdims=True) + THRESHOLD)
    ranks = np.argsort(np.argsort(-speakers, axis=1, kind="stable"), axis=1, kind="stable")
    return ranks < expected


def active_regions(active: npt.NDArray[np.bool_], duration_s: float) -> Floats:
    """Times of the runs of active frames.

    A change lies halfway between the centres of the two frames that differ. No centre lies
    in the first and last 31 ms: the outermost frames speak for them.

    Args:
        active: [f] one truth value per frame.
        duration_s: what the regions are clipped to.

    Returns:
        [r, 2] start and end in seconds, sorted and disjoint.
    """
    changes = np.diff(active.astype(np.int8), prepend=0, append=0)
    frames = np.stack([np.flatnonzero(changes == 1), np.flatnonzero(changes == -1)], axis=1)
    times = (frames - 0.5) * FRAME_STEP_SAMPLES + FRAME_FIELD_SAMPLES / 2
    times[frames == 0] = 0.0
    times[frames == len(active)] = np.inf
    regions = np.clip(times / SAMPLE_RATE_HZ, 0.0, duration_s).astype(np.float32)
    return regions[regions[:, 1] > regions[:, 0]]


def bridge_pauses(
    active: npt.NDArray[np.bool_], max_pause_s: float = MAX_PAUSE_IN_TURN_S
) -> npt.NDArray[np.bool_]:
    """Fill a speaker's short silences in which nobody else talks.

    Args:
        active: [f, speakers] one truth value per frame and speaker.
        max_pause_s: the longest silence that is filled.

    Returns:
        A copy with the silences filled.
    """
    bridged = active.copy()
    anybody = active.any(axis=1)
    limit = int(max_pause_s * SAMPLE_RATE_HZ / FRAME_STEP_SAMPLES)
    for speaker in range(active.shape[1]):
        spoken = np.flatnonzero(active[:, speaker])
        gaps = np.flatnonzero((np.diff(spoken) > 1) & (np.diff(spoken) <= limit + 1))
        for first, last in zip(spoken[gaps] + 1, spoken[gaps + 1], strict=True):
            if not anybody[first:last].any():
                bridged[first:last, speaker] = True
    return bridged


def _cut(waveform: Floats, starts: Sequence[int]) -> Floats:
    """[w, 160000] windows of a piece."""
    padded = np.pad(waveform, (0, max(starts[-1] + WINDOW_SAMPLES - len(waveform), 0)))
    return np.stack([padded[start : start + WINDOW_SAMPLES] for start in starts])


def _activity(speech: Floats, speakers: Floats, sample_count: int) -> Activity:
    duration_s = sample_count / SAMPLE_RATE_HZ
    bridged = bridge_pauses(most_probable_speakers(speakers))
    rows = [
        np.insert(region, 2, speaker)
        for speaker in range(SPEAKER_COUNT)
        for region in active_regions(bridged[:, speaker], duration_s)
    ]
    turns = np.array(sorted(rows, key=tuple), np.float32).reshape(-1, 3)
    return Activity(active_regions(speech > THRESHOLD, duration_s), turns)
