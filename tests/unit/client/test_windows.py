"""Windows hold all speech, run from pause to pause, and never pass the server's limits."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voiceman.audio import (
    MAX_PIECE_SAMPLES,
    MAX_WINDOW_SAMPLES,
    MIN_WAVEFORM_SAMPLES,
    SAMPLE_RATE_HZ,
)
from voiceman_client.windows import Span, clip_turns, plan_pieces, plan_windows, stitch


def silence(seconds):
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)


def regions(*spans):
    return np.array(spans, np.float64).reshape(-1, 2)


def seconds(windows):
    return [(round(window.start_s, 2), round(window.end_s, 2)) for window in windows]


@given(st.integers(MIN_WAVEFORM_SAMPLES, 3 * 3600 * SAMPLE_RATE_HZ))
def test_pieces_cover_a_recording_with_overlap(samples):
    pieces = plan_pieces(samples)
    assert pieces[0].start == 0
    assert pieces[-1].end == samples
    assert all(
        MIN_WAVEFORM_SAMPLES <= piece.end - piece.start <= MAX_PIECE_SAMPLES for piece in pieces
    )
    assert all(left.end - right.start == 10 * SAMPLE_RATE_HZ for left, right in pairwise(pieces))


@given(st.lists(st.floats(0.2, 40), min_size=2, max_size=60))
def test_stitching_gives_back_what_was_cut_into_pieces(lengths):
    times = np.cumsum(lengths)[: len(lengths) // 2 * 2].reshape(-1, 2)
    pieces = plan_pieces(round((times[-1, 1] + 1) * SAMPLE_RATE_HZ))
    answers = []
    for piece in pieces:
        seen = np.clip(times, piece.start_s, piece.end_s) - piece.start_s
        answers.append(seen[seen[:, 1] > seen[:, 0]].astype(np.float32))
    stitched = stitch(pieces, answers)
    # Pauses of up to 0.2 s at a seam may close; everywhere else nothing changes.
    covered = sum(end - start for start, end in stitched)
    assert covered == pytest.approx(float((times[:, 1] - times[:, 0]).sum()), abs=0.3 * len(pieces))
    for start, end in times:
        assert any(s <= start + 2e-3 and end <= e + 2e-3 for s, e in stitched.tolist())


def test_simultaneous_turns_survive_a_seam():
    # Both speak through all that the pieces share, so nothing tells who goes on for how long:
    # either pairing is right, but every turn must be one and no speaker may be lost.
    pieces = plan_pieces(500 * SAMPLE_RATE_HZ)
    first = np.array([[280, 300, 0], [290, 300, 1]], np.float32)
    second = np.array([[0, 30, 1], [0, 20, 0]], np.float32)
    found = stitch(pieces, [first, second])
    assert found[:, 0].tolist() == [280, 290]
    assert sorted(found[:, 1].tolist()) == [310, 320]
    assert found[0, 2] != found[1, 2]


def test_crossing_turns_keep_their_speakers_over_a_seam():
    pieces = plan_pieces(400 * SAMPLE_RATE_HZ)
    first = np.array([[280, 300, 0], [286, 298, 1]], np.float32)
    second = np.array([[0, 8, 0], [0, 20, 1]], np.float32)
    found = stitch(pieces, [first, second])
    assert found.tolist() == [[280, 310, 0], [286, 298, 1]]


def test_speakers_who_change_at_a_seam_stay_two():
    pieces = plan_pieces(400 * SAMPLE_RATE_HZ)
    first = np.array([[280, 294.95, 0], [295.05, 300, 1]], np.float32)
    second = np.array([[0, 4.95, 1], [5.05, 20, 0]], np.float32)
    found = stitch(pieces, [first, second])
    np.testing.assert_allclose(found, [[280, 294.95, 0], [295.05, 310, 1]])


def test_a_speaker_whom_one_side_missed_takes_no_other_s_number():
    # Left, the first speaker alone is heard, right the second; they share 0.1 s.
    pieces = plan_pieces(400 * SAMPLE_RATE_HZ)
    first = np.array([[280, 293, 0]], np.float32)
    second = np.array([[2.9, 20, 0]], np.float32)
    assert stitch(pieces, [first, second])[:, 2].tolist() == [0, 1]


def timeline(rng):
    """Turns of 2 to 4 speakers, [k, 3], over one to four pieces; speakers overlap freely."""
    end_s = rng.uniform(250, 1100)
    turns = []
    for speaker in range(rng.integers(2, 5)):
        pauses_and_turns = rng.uniform((0.5, 0.3), (12, 12), (200, 2))
        times = np.cumsum(pauses_and_turns).reshape(-1, 2)
        turns += [(start, end, speaker) for start, end in times if end <= end_s]
    return np.array(sorted(turns)), round(end_s * SAMPLE_RATE_HZ)


def heard_in(piece, turns, order):
    """What a piece shows of turns, its speakers numbered by `order`."""
    seen = np.column_stack([np.clip(turns[:, :2], piece.start_s, piece.end_s), order])
    seen[:, :2] -= piece.start_s
    return seen[seen[:, 1] > seen[:, 0]].astype(np.float32)


@given(st.integers(0, 2**32 - 1))
def test_stitching_gives_back_who_spoke_when(seed):
    rng = np.random.default_rng(seed)
    turns, samples = timeline(rng)
    pieces = plan_pieces(samples)
    for left, right in pairwise(pieces):
        shared = heard_in(Span(right.start, left.end), turns, turns[:, 2])
        spoken = [shared[shared[:, 2] == speaker, :2] for speaker in range(4)]
        for a, b in combinations([times for times in spoken if len(times)], 2):
            # Who speak at just the same times cannot be told apart by them.
            assume(a.shape != b.shape or np.abs(a - b).max() > 1e-3)
    answers = []
    for piece in pieces:
        order = rng.permutation(4)
        answers.append(heard_in(piece, turns, order[turns[:, 2].astype(int)]))
    found = stitch(pieces, answers)

    assert found.shape == turns.shape
    np.testing.assert_allclose(
        np.sort(found[:, :2], axis=0), np.sort(turns[:, :2], axis=0), 0, 1e-3
    )
    for number in np.unique(found[:, 2]):
        spans = found[found[:, 2] == number, :2]
        equal = np.abs(spans[:, None] - turns[None, :, :2]).max(axis=2) < 1e-3
        assert any(equal[:, turns[:, 2] == speaker].any(axis=1).all() for speaker in range(4))


def test_a_speaker_keeps_the_number_over_a_seam_that_cuts_a_turn():
    pieces = plan_pieces(500 * SAMPLE_RATE_HZ)
    first = np.array([[280, 300, 2], [285, 289, 0]], np.float32)
    second = np.array([[0, 30, 1], [40, 50, 2], [60, 70, 1]], np.float32)
    found = stitch(pieces, [first, second])
    assert found[:, 2].tolist() == [0, 1, 2, 0]
    assert found[:, :2].tolist() == [[280, 320], [285, 289], [330, 340], [350, 360]]


def test_windows_end_at_pauses_and_are_as_long_as_fits():
    speech = regions((1, 9), (10, 19), (20, 29), (31, 40), (41, 50))
    assert seconds(plan_windows(speech, silence(60))) == [(0.8, 29.2), (30.8, 50.2)]


def test_margins_never_reach_into_other_speech():
    speech = regions((0, 20), (20.1, 40))
    assert seconds(plan_windows(speech, silence(40))) == [(0, 20.05), (20.05, 40)]


def test_speech_without_a_pause_is_cut_at_the_quietest_place():
    waveform = np.random.default_rng(0).integers(-5000, 5000, 50 * SAMPLE_RATE_HZ).astype(np.int16)
    waveform[27 * SAMPLE_RATE_HZ : 27 * SAMPLE_RATE_HZ + 1600] //= 100
    first, second = plan_windows(regions((0, 50)), waveform)
    assert 27.0 <= first.end_s <= 27.1
    assert second == Span(first.end, 50 * SAMPLE_RATE_HZ)


def test_no_speech_gives_no_windows():
    assert plan_windows(regions(), silence(10)) == []


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0.01, 50)), max_size=30),
    st.floats(0.03, 5),
)
def test_windows_hold_all_speech_within_the_limits(pauses_and_speech, tail):
    end, speech = 0.0, []
    for pause, length in pauses_and_speech:
        speech.append((end + pause, end + pause + length))
        end = speech[-1][1]
    waveform = silence(end + tail)
    windows = plan_windows(regions(*speech), waveform)
    for window in windows:
        assert MIN_WAVEFORM_SAMPLES <= window.end - window.start <= MAX_WINDOW_SAMPLES
        assert 0 <= window.start < window.end <= len(waveform)
    held = np.zeros(len(waveform), bool)
    for window in windows:
        held[window.start : window.end] = True
    for start, stop in speech:
        assert held[round(start * SAMPLE_RATE_HZ) : round(stop * SAMPLE_RATE_HZ)].all()


def test_turns_are_clipped_to_the_window():
    window = Span(10 * SAMPLE_RATE_HZ, 20 * SAMPLE_RATE_HZ)
    turns = clip_turns(regions((5, 12), (13, 14), (19, 25), (30, 31)), window)
    np.testing.assert_allclose(turns, [[0, 2], [3, 4], [9, 10]])
    assert turns.dtype == np.float32
    assert clip_turns(regions((30, 31)), window).shape == (0, 2)
