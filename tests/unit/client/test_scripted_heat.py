"""Boxes that would settle at 90 to 100 °C never pass 85 °C, and lose little for it."""

import pytest

from perf.scripted_heat import draw_box, simulate
from voiceman_client.heat import HeatSettings, Mode

ALLOWED = {
    (Mode.NORMAL, Mode.WARM),
    (Mode.WARM, Mode.NORMAL),
    (Mode.NORMAL, Mode.COOLING),
    (Mode.WARM, Mode.COOLING),
    (Mode.COOLING, Mode.NORMAL),
    (Mode.NORMAL, Mode.STOPPED),
    (Mode.WARM, Mode.STOPPED),
    (Mode.COOLING, Mode.STOPPED),
    (Mode.STOPPED, Mode.NORMAL),
}


@pytest.mark.parametrize("kind", ["window", "queue", "concave"])
@pytest.mark.parametrize("seed", range(20))
def test_a_box_stays_below_85_within_15_percent_of_the_best(kind, seed):
    box = draw_box(seed, kind)
    course = simulate(box, seed, hours=1.0)
    assert course.peak_celsius <= 85.0
    assert course.throughput >= 0.85 * box.best


@pytest.mark.parametrize("seed", range(20))
def test_transitions_keep_the_hysteresis(seed):
    course = simulate(draw_box(seed, "concave"), seed, hours=1.0)
    before = Mode.NORMAL
    for transition in course.transitions:
        assert transition.before is before
        assert (before, transition.after) in ALLOWED
        if transition.after is Mode.COOLING:
            assert transition.temperature_celsius >= 80.0
        if before in {Mode.COOLING, Mode.STOPPED} and transition.after is Mode.NORMAL:
            assert transition.temperature_celsius < 70.0
        before = transition.after


def test_these_boxes_would_pass_85_without_control():
    never = HeatSettings(
        warm_celsius=999, cool_celsius=999, stop_celsius=999, hold_celsius=999, longest_drain_s=999
    )
    for seed in range(20):
        assert simulate(draw_box(seed), seed, never, hours=0.5).peak_celsius > 88.0


def test_the_best_controller_holds_79():
    box = draw_box(3)
    working = box.best * box.places
    assert box.settles_celsius(working) == pytest.approx(79.0)
