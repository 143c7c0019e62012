"""What `make soak` calls growth."""

import random

from perf.resting import Held
from perf.soak_verdict import LASTING, LEAST_ROUNDS, MOST_AUDIO_REGIONS, Course, judge

ROUNDS, EVERY_S = 60, 60.0
MB = 1_000_000


def course(memory, descriptors=lambda number: 20, rounds=ROUNDS):
    """Rounds of one process that holds what these say of each."""
    return Course(
        times_s=[number * EVERY_S for number in range(rounds)],
        held={
            "whisper": [
                Held(round(memory(number)), descriptors(number), 5) for number in range(rounds)
            ]
        },
        processes=[12] * rounds,
        regions=[9] * rounds,
        audio_regions=[6] * rounds,
    )


def noisy(number, sd_mb=2.0):
    return 500 * MB + random.Random(number).gauss(0, sd_mb * MB)


def test_memory_that_only_trembles_is_no_growth():
    assert judge(course(noisy)) == []


def test_memory_that_grows_in_the_warm_up_alone_is_no_growth():
    assert judge(course(lambda number: noisy(number) + 100 * MB * min(number, 10))) == []


def test_memory_that_grows_with_every_round_is():
    (wrong,) = judge(course(lambda number: noisy(number) + 0.5 * MB * number))
    assert wrong.startswith("whisper: memory grew by ")


def test_less_than_an_allocator_takes_at_a_time_is_not():
    assert judge(course(lambda number: 500 * MB + 4096 * number)) == []
    assert judge(course(lambda number: 500 * MB + 40960 * number))


def test_too_few_rounds_tell_nothing_and_are_no_success():
    assert judge(course(noisy, rounds=LEAST_ROUNDS)) == []
    (wrong,) = judge(course(noisy, rounds=LEAST_ROUNDS - 1))
    assert "too few" in wrong


def test_one_more_of_anything_is_too_many():
    late = ROUNDS - 10
    assert judge(course(noisy, descriptors=lambda number: 20 + (number > late)))
    for series in ("processes", "regions"):
        rounds = course(noisy)
        getattr(rounds, series)[-1] += 1
        assert judge(rounds)
    rounds = course(noisy)
    rounds.audio_regions[-1] = MOST_AUDIO_REGIONS + 1
    assert judge(rounds)


def test_regions_that_the_lasting_client_needs_later_are_no_lost_descriptors():
    late = ROUNDS - 10
    rounds = course(noisy, descriptors=lambda number: 20 + 2 * (number > late))
    rounds.held = {LASTING: rounds.held["whisper"]}
    assert judge(rounds)
    rounds.audio_regions = [6 + (number > late) for number in range(ROUNDS)]
    assert judge(rounds) == []
