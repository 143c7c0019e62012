"""When a silent model is stuck and when it is merely busy, and how soon one tries again."""

import pytest

from voiceman.server.pulse import IDLE_SHARE, WORKING_FACTOR, Pulse
from voiceman.server.recurrence import LONGEST_PAUSE_S, WINDOW_S, Recurrence

STUCK_AFTER_S = 100.0


def asked_pulse() -> Pulse:
    pulse = Pulse()
    assert pulse.look(7)
    pulse.asked(now_s=0.0, work_s=50.0)
    return pulse


def test_a_model_that_owes_nothing_is_never_stuck():
    pulse = Pulse()
    assert not pulse.is_stuck(1e9, 0.0, STUCK_AFTER_S)
    pulse.asked(0.0, 0.0)
    pulse.answered()
    assert not pulse.is_stuck(1e9, 0.0, STUCK_AFTER_S)


@pytest.mark.parametrize(("silent_s", "stuck"), [(99.9, False), (100.0, True)])
def test_an_idle_process_is_stuck_after_the_time_allowed(silent_s, stuck):
    assert asked_pulse().is_stuck(silent_s, 50.0, STUCK_AFTER_S) == stuck


def test_a_process_that_works_has_more_time():
    busy_s = 50.0 + IDLE_SHARE * STUCK_AFTER_S * WORKING_FACTOR
    pulse = asked_pulse()
    assert not pulse.is_stuck(STUCK_AFTER_S, busy_s, STUCK_AFTER_S)
    assert pulse.is_stuck(STUCK_AFTER_S * WORKING_FACTOR, busy_s, STUCK_AFTER_S)


def test_a_second_canary_does_not_start_the_clock_again():
    pulse = asked_pulse()
    pulse.asked(now_s=90.0, work_s=50.0)
    assert pulse.is_stuck(100.0, 50.0, STUCK_AFTER_S)


def test_only_the_requests_of_others_are_progress():
    """Triton counts a request of Whisper's as ended before it is answered, a canary too."""
    pulse = asked_pulse()
    assert not pulse.look(8)
    assert pulse.is_stuck(100.0, 50.0, STUCK_AFTER_S)
    assert pulse.look(9)
    assert not pulse.is_stuck(100.0, 50.0, STUCK_AFTER_S)


def test_a_count_that_begins_anew_is_progress():
    assert asked_pulse().look(0)


def test_failures_count_until_something_ends_well():
    pulse = asked_pulse()
    pulse.failed()
    pulse.failed()
    assert pulse.failures == 2
    assert not pulse.is_stuck(1e9, 50.0, STUCK_AFTER_S)
    pulse.answered()
    assert pulse.failures == 0


def test_what_recurs_waits_longer_and_longer():
    recurrence = Recurrence()
    assert recurrence.wait_until_s() == 0
    pauses: list[float] = []
    for now_s in range(8):
        assert recurrence.add(now_s) == now_s + 1
        pauses.append(max(0.0, recurrence.wait_until_s() - now_s))
    assert pauses == [0, 1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_what_lies_back_does_not_count():
    recurrence = Recurrence()
    recurrence.add(0.0)
    recurrence.add(1.0)
    assert recurrence.add(WINDOW_S) == 2
    assert recurrence.add(2 * WINDOW_S) == 1
