"""Overlaps of turns, against counting on a grid."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.overlap import covered_s, find_overlaps

GRID = 60  # whole numbers of seconds, so that counting is exact
rows = st.lists(st.tuples(st.integers(0, GRID), st.integers(0, GRID)), max_size=12)


def counted(turns) -> np.ndarray:
    return np.array([sum(s <= i < e for s, e in turns) for i in range(GRID)]) >= 2


@given(rows)
def test_overlaps_are_where_two_turns_or_more_lie(turns):
    found = find_overlaps(np.array(turns, np.float32).reshape(-1, 2))
    assert (np.diff(found.reshape(-1)) >= 0).all()
    seen = np.zeros(GRID, bool)
    for start, end in found.astype(int):
        seen[start:end] = True
    np.testing.assert_array_equal(seen, counted(turns))


@given(rows, st.integers(0, GRID), st.integers(0, GRID))
def test_covered_time_is_counted_between_two_times(turns, one, other):
    overlaps = find_overlaps(np.array(turns, np.float32).reshape(-1, 2))
    before = covered_s(overlaps, np.array([min(one, other), max(one, other)], np.float32))
    expected = counted(turns)[min(one, other) : max(one, other)].sum()
    assert before[1] - before[0] == expected


def test_turns_that_touch_do_not_overlap():
    assert find_overlaps(np.array([(0, 1), (1, 2)], np.float32)).shape == (0, 2)
