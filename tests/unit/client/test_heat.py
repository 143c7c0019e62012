"""The rules of heat: hysteresis, halving, look-ahead, lost sensors, a rate that falls."""

from dataclasses import replace

import pytest

from voiceman_client.admission import Flow
from voiceman_client.drift import Block
from voiceman_client.heat import HeatSettings, HeatState, Mode, slope_of, step
from voiceman_client.reading import Reading, Verdict

SETTINGS = HeatSettings()
FULL = Flow(1.0, Block(-1, 5.0, 80.0, 200.0, 7), 20.0)


def follow(temperatures, state=None, settings=SETTINGS, flow=FULL):
    """The states after each temperature, 5 s apart; None: the sensor did not answer."""
    state = state or HeatState()
    states = []
    start_s = (state.time_s + 5.0) if state.time_s is not None else 0.0
    for index, celsius in enumerate(temperatures):
        missing = {"temperature_celsius": "no answer"} if celsius is None else {}
        reading = Reading(start_s + 5.0 * index, celsius, missing=missing)
        state = step(state, reading, flow, settings)
        states.append(state)
    return states


def modes(states):
    return [state.mode for state in states]


def test_cold_is_full_speed():
    state = follow([40, 40, 41])[-1]
    assert (state.mode, state.share, state.pause_s) == (Mode.NORMAL, 1.0, 0.0)


def test_between_70_and_80_and_rising_at_most_three_quarters():
    states = follow([68, 69, 70, 71, 72, 73, 74])
    for state in states[2:]:
        assert state.mode is Mode.WARM
        assert 0.0 < state.share <= 0.75


def test_between_70_and_80_and_steady_more_than_three_quarters_are_allowed():
    states = follow([72] * 60)
    assert states[-1].mode is Mode.WARM
    assert states[-1].share > 0.75


def test_cooling_begins_at_80_and_ends_below_70():
    states = follow([79.6, 79.8, 80, 79, 75, 71, 70, 69])
    assert modes(states)[1:] == [Mode.WARM, *[Mode.COOLING] * 5, Mode.NORMAL]
    assert states[2].share == 0.5
    assert states[2].pause_s == 2.0
    assert states[-1].pause_s == 0.0
    told = [state.transition for state in states[2:] if state.transition]
    assert [(item.before, item.after) for item in told] == [
        (Mode.WARM, Mode.COOLING),
        (Mode.COOLING, Mode.NORMAL),
    ]
    assert told[0].time_s == 10.0
    assert told[0].temperature_celsius == 80
    assert "limit 80" in told[0].reason
    assert "below 70" in told[1].reason


def test_cooling_that_does_not_cool_halves_again():
    shares = [state.share for state in follow([80] * 16)]
    assert shares[0] == 0.5
    assert shares[7] == 0.25
    assert shares[-1] == 0.125


def test_nothing_from_85_until_below_70():
    states = follow([84, 85, 83, 80, 75, 70, 69])
    assert modes(states)[1:] == [*[Mode.STOPPED] * 5, Mode.NORMAL]
    assert {state.share for state in states[1:-1]} == {0.0}


def test_what_is_in_flight_would_carry_it_over_85_so_it_stops_before():
    states = follow([60, 68, 70, 70])
    assert modes(states)[1:] == [Mode.STOPPED, Mode.STOPPED, Mode.STOPPED]
    assert "in flight would make it" in states[1].transition.reason


def test_longer_work_in_flight_stops_earlier():
    short, long = replace(FULL, drain_s=2.0), replace(FULL, drain_s=40.0)
    climb = [70, 71.5, 73, 74.5]
    assert follow(climb, flow=short)[-1].mode is Mode.WARM
    assert follow(climb, flow=long)[-1].mode is Mode.STOPPED


def test_more_in_flight_than_ends_in_time_is_not_allowed():
    assert follow([40], flow=replace(FULL, drain_s=80.0))[-1].share == 0.5


def test_slope_is_by_least_squares_over_the_time_given():
    points = tuple((5.0 * i, 50.0 + i) for i in range(7))
    assert slope_of(points, 31.0) == pytest.approx(0.2)
    assert slope_of(points[:1], 31.0) == 0.0
    assert slope_of(((0.0, 0.0), *points[1:]), 16.0) == pytest.approx(0.2)


def test_one_missing_answer_changes_nothing_and_two_are_a_lost_sensor():
    states = follow([60, 60, None, None, None, 60])
    assert modes(states) == [*[Mode.NORMAL] * 3, Mode.BLIND, Mode.BLIND, Mode.NORMAL]
    assert states[2].trust.verdict is Verdict.HICCUP
    assert (states[3].share, states[3].pause_s) == (0.5, 2.0)
    assert states[3].transition.reason == "sensor lost: no answer"
    assert states[5].share > 0.75


@pytest.mark.parametrize(("policy", "share"), [("cautious", 0.5), ("ignore", 1.0), ("stop", 0.0)])
def test_a_lost_sensor_is_handled_as_configured(policy, share):
    state = follow([60, None, None], settings=HeatSettings(policy=policy))[-1]
    assert (state.mode, state.share) == (Mode.BLIND, share)


def test_a_gpu_without_a_thermometer_is_handled_as_configured_from_the_start():
    assert follow([None])[-1].mode is Mode.BLIND


def test_no_gpu_so_far_is_full_speed_and_said():
    missing = {"temperature_celsius": "NVML Shared Library Not Found"}
    state = step(HeatState(), Reading(0.0, missing=missing, has_gpu=False), FULL, SETTINGS)
    assert (state.mode, state.share) == (Mode.UNWATCHED, 1.0)
    assert "Library Not Found" in state.transition.reason


def test_a_gpu_that_vanishes_is_lost_not_absent():
    state = follow([60])[-1]
    for time_s in (5.0, 10.0):
        state = step(state, Reading(time_s, has_gpu=False), FULL, SETTINGS)
    assert state.mode is Mode.BLIND


def test_a_lost_sensor_never_allows_more_than_before():
    stopped = follow([84, 86, None, None])
    assert stopped[-1].share == 0.0
    cooling = follow([80] * 9)[-1]
    assert follow([None, None], cooling)[-1].share == cooling.share == 0.25


def test_stopped_and_blind_goes_on_after_it_must_have_cooled():
    states = follow([86] + [None] * 70)
    goes_on = next(state for state in states if state.share > 0.0)
    assert goes_on.time_s == 300.0
    assert (goes_on.mode, goes_on.share, goes_on.pause_s) == (Mode.BLIND, 0.5, 2.0)


def test_a_sensor_that_comes_back_warm_finds_it_cooling():
    states = follow([81, None, None, 75, 69])
    assert modes(states)[1:] == [Mode.COOLING, Mode.BLIND, Mode.COOLING, Mode.NORMAL]


@pytest.mark.parametrize("wrong", [-3, 0, 121, 255])
def test_impossible_temperatures_are_wrong(wrong):
    state = follow([60, wrong])[-1]
    assert (state.mode, state.trust.verdict) == (Mode.BLIND, Verdict.WRONG)
    assert f"{wrong} °C" in state.transition.reason


def test_a_jump_is_wrong_until_it_lasts():
    states = follow([40, 75, 75])
    assert [state.trust.verdict for state in states] == ["good", "wrong", "good"]


def test_a_value_that_never_moves_while_the_load_does_is_wrong():
    state = follow([55] * 60)[-1]
    assert state.trust.verdict is Verdict.GOOD  # a steady load may well be a steady temperature
    idle = replace(FULL, busy=0.0)
    states = follow([55] * 60, state, flow=idle)
    assert states[-1].trust.verdict is Verdict.WRONG
    assert "while the load changed" in states[-1].trust.why


def slower(flow, factor):
    return replace(flow, block=replace(flow.block, audio_s=factor * flow.block.audio_s))


def test_a_rate_that_falls_under_equal_load_is_treated_as_heat():
    states = follow([60] * 60)
    assert {state.mode for state in states} == {Mode.NORMAL}
    states = follow([60] * 30, states[-1], flow=slower(FULL, 0.6))
    cooling = next(state for state in states if state.mode is Mode.COOLING)
    assert "processing rate fell by 40%" in cooling.transition.reason
    assert (cooling.share, cooling.pause_s) == (0.5, 2.0)


def test_a_rate_that_stays_low_after_a_rest_is_what_it_can():
    state = follow([60] * 60)[-1]
    states = follow([60] * 400, state, flow=slower(FULL, 0.6))
    assert [s.mode for s in states].count(Mode.COOLING) == 12  # 60 s, once
    assert states[-1].mode is Mode.NORMAL


def test_a_rate_is_not_compared_with_that_of_another_load():
    state = follow([60] * 60)[-1]
    half = Flow(0.5, Block(-1, 5.0, 40.0, 60.0, 7), 20.0)
    assert {s.mode for s in follow([60, 61] * 50, state, flow=half)} == {Mode.NORMAL}
