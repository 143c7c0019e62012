"""Windows, frame grid and turns around the segmentation network."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.segmentation import (
    FRAME_FIELD_SAMPLES,
    FRAME_STEP_SAMPLES,
    POWERSET,
    SPEAKER_COUNT,
    WINDOW_SAMPLES,
    active_regions,
    bridge_pauses,
    find_activity,
    join_windows,
    most_probable_speakers,
    window_starts,
)
from voiceman.errors import InvalidRequestError

FRAMES = (WINDOW_SAMPLES - FRAME_FIELD_SAMPLES) // FRAME_STEP_SAMPLES + 1
STEP_S = FRAME_STEP_SAMPLES / 16_000
# What the stand-in below hears: every level of the sound is one class of the powerset.
LEVEL = 1_000


def hearing_levels(windows: np.ndarray) -> np.ndarray:
    """A network that reads the class off the level at the centre of each frame."""
    centres = np.arange(FRAMES) * FRAME_STEP_SAMPLES + FRAME_FIELD_SAMPLES // 2
    classes = np.rint(windows[:, centres] * 32_768 / LEVEL).astype(int)
    return np.log(np.eye(7, dtype=np.float32)[classes] + 1e-6)


def sound(seconds: float, *spans: tuple[float, float, int]) -> np.ndarray:
    waveform = np.zeros(round(seconds * 16_000), np.int16)
    for start, end, level in spans:
        waveform[round(start * 16_000) : round(end * 16_000)] = level * LEVEL
    return waveform


def test_the_network_gives_589_frames_for_10_s():
    assert FRAMES == 589


def test_turns_of_two_speakers_who_overlap():
    piece = sound(20, (3.0, 7.0, 1), (7.0, 8.0, 4), (8.0, 14.0, 2))
    found = find_activity([piece], hearing_levels)[0]
    np.testing.assert_allclose(found.speech, [[3.0, 14.0]], atol=STEP_S)
    np.testing.assert_allclose(found.turns[:, :2], [[3.0, 8.0], [7.0, 14.0]], atol=STEP_S)
    assert found.turns[0, 2] != found.turns[1, 2]


def test_speech_reaches_both_ends_of_a_piece():
    found = find_activity([sound(3.21, (0.0, 3.21, 1))], hearing_levels)[0]
    np.testing.assert_allclose(found.speech, [[0.0, 3.21]])


def test_silence_has_neither_speech_nor_turns():
    found = find_activity([sound(1.0)], hearing_levels)[0]
    assert found.speech.shape == (0, 2)
    assert found.turns.shape == (0, 3)


def test_pieces_that_share_a_batch_do_not_change_each_other():
    pieces = [sound(s, (0.5, s / 2, 1), (s / 2, s, 3)) for s in (2.0, 9.99, 10.01, 33.0)]
    together = find_activity(pieces, hearing_levels)
    for piece, found in zip(pieces, together, strict=True):
        alone = find_activity([piece], hearing_levels)[0]
        np.testing.assert_array_equal(found.speech, alone.speech)
        np.testing.assert_array_equal(found.turns, alone.turns)


@pytest.mark.parametrize(("samples", "message"), [(399, r"24\.9 ms.*25"), (4_800_001, "300 s")])
def test_pieces_of_the_wrong_length_are_refused_with_numbers(samples, message):
    with pytest.raises(InvalidRequestError, match=message):
        find_activity([np.zeros(samples, np.int16)], hearing_levels)


@given(st.integers(400, 4_800_000))
def test_windows_cover_every_sample_on_the_frame_grid(samples):
    starts = window_starts(samples)
    assert starts[0] == 0
    assert all(start % FRAME_STEP_SAMPLES == 0 for start in starts)
    assert all(0 < b - a <= WINDOW_SAMPLES // 2 for a, b in pairwise(starts))
    assert starts[-1] + WINDOW_SAMPLES >= samples
    assert starts[-1] < max(samples - WINDOW_SAMPLES, 0) + FRAME_STEP_SAMPLES


@given(st.integers(0, 2**32 - 1), st.permutations(range(SPEAKER_COUNT)))
def test_windows_that_number_the_speakers_differently_are_joined(seed, renumbered):
    random = np.random.default_rng(seed)
    starts = window_starts(20 * 16_000)
    grid = random.integers(0, 7, starts[-1] // FRAME_STEP_SAMPLES + FRAMES)
    classes = np.zeros((len(starts), FRAMES, 7), np.float32)
    for window, start in enumerate(starts):
        here = grid[start // FRAME_STEP_SAMPLES :][:FRAMES]
        local = POWERSET[here]
        if window % 2:
            local = local[:, list(renumbered)]
        numbers = (local[:, None, :] == POWERSET).all(axis=2).argmax(axis=1)
        classes[window, np.arange(FRAMES), numbers] = 1.0
    speech, speakers = join_windows(classes, starts)
    np.testing.assert_allclose(speakers, POWERSET[grid], atol=1e-6)
    np.testing.assert_allclose(speech, grid > 0, atol=1e-6)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_regions_are_sorted_disjoint_and_inside_the_piece(active, duration_s):
    regions = active_regions(np.array(active), duration_s)
    assert (regions >= 0).all()
    assert (regions <= np.float32(duration_s)).all()
    assert (np.diff(regions.reshape(-1)) >= 0).all()
    assert (regions[:, 1] > regions[:, 0]).all()


def test_only_short_silences_in_which_nobody_speaks_are_bridged():
    active = np.zeros((100, SPEAKER_COUNT), bool)
    active[[*range(0, 10), *range(20, 30), *range(80, 90)], 0] = True
    active[[*range(40, 50), *range(60, 70)], 1] = True
    active[50:60, 2] = True
    bridged = bridge_pauses(active, max_pause_s=0.2)
    assert bridged[:30, 0].all()
    assert not bridged[30:80, 0].any()
    np.testing.assert_array_equal(bridged[:, 1:], active[:, 1:])


def test_as_many_speakers_talk_as_are_expected():
    probabilities = np.array(
        [
            (0.45, 0.4, 0.1),  # windows disagree about who, not about whether
            (0.9, 0.4, 0.3),
            (0.2, 0.2, 0.05),
            (0.6, 0.3, 0.5),
            (0.0, 0.0, 0.5),
        ],
        np.float32,
    )
    np.testing.assert_array_equal(
        most_probable_speakers(probabilities),
        [(1, 0, 0), (1, 1, 0), (0, 0, 0), (1, 0, 0), (0, 0, 1)],
    )
