"""A run under heat control: log, warnings, report, and what is in flight."""

import asyncio
import itertools
import json
import logging
import resource
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from voiceman.errors import ConfigurationError
from voiceman_client import heat_watch, temperature_log
from voiceman_client.admission import InFlight
from voiceman_client.heat import HeatSettings, Mode
from voiceman_client.heat_watch import HeatWatch, watching
from voiceman_client.reading import Reading
from voiceman_client.sensors import NoSensor
from voiceman_client.temperature_log import TemperatureLog


class Script:
    """A sensor that reads from a list, 5 s apart; the last value stays."""

    name = "script"

    def __init__(self, *temperatures):
        self._values = itertools.chain(temperatures, itertools.repeat(temperatures[-1]))
        self._times = itertools.count(0, 5)

    def read(self):
        celsius = next(self._values)
        missing = {} if celsius is not None else {"temperature_celsius": "no answer"}
        return Reading(float(next(self._times)), celsius, utilisation=0.5, missing=missing)


def watch_all(sensor, looks, **options):
    """A watch after so many looks, and its window in flight."""
    flight = InFlight(16, clock=itertools.count(0.0, 5.0).__next__)
    watch = HeatWatch(flight, sensor, HeatSettings(), **options)

    asyncio.run(look(watch, looks))
    return watch, flight


async def look(watch, looks):
    for _ in range(looks):
        await watch.look()


@contextmanager
def files_of_at_most(size_bytes):
    """No file can grow further, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heeded = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heeded)


def test_what_is_in_flight_follows_the_temperature():
    for celsius, slots in [(40, 16), (80, 8), (86, 0)]:
        _, flight = watch_all(Script(celsius), 1)
        assert flight.admission.slots == slots


def test_every_reading_is_a_line_of_the_log(tmp_path):
    path = tmp_path / "temperature.log"
    watch_all(Script(40, 40), 2, path=path)
    watch_all(Script(81), 1, path=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["temperature_celsius"] for line in lines] == [40, 40, 81]
    assert [line["mode"] for line in lines] == ["normal", "normal", "cooling"]
    assert lines[2]["share"] == 0.5
    assert lines[0]["time"].endswith("Z")
    assert lines[0]["utilisation"] == 0.5


def test_a_full_disk_stops_the_log_and_not_the_run(tmp_path, caplog):
    watch, _ = watch_all(Script(40), 3, path=tmp_path / "missing" / "temperature.log")
    assert watch.report()["readings"] == 3
    assert caplog.text.count("temperatures cannot be written") == 1


def test_a_disk_that_has_room_again_gets_every_line_whole(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "temperature.log"
    watch, _ = watch_all(Script(40, 41, 42, 43), 1, path=path)
    with files_of_at_most(path.stat().st_size + 10):  # the first bytes of a line fit
        asyncio.run(look(watch, 2))
    assert len(path.read_text().splitlines()) == 1
    asyncio.run(look(watch, 1))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["temperature_celsius"] for line in lines] == [40, 41, 42, 43]
    assert caplog.text.count("temperatures cannot be written") == 1
    assert caplog.text.count("temperatures are written again") == 1


def test_above_80_is_warned_of_once_for_each_crossing(caplog):
    watch_all(Script(79.8, 81, 82, 79, 81, 75, 69, 69, 75, 79.5, 81), 11)
    assert caplog.text.count("above 80") == 2


def test_transitions_are_in_the_report_and_cooling_is_a_warning(caplog):
    caplog.set_level(logging.INFO)
    watch, _ = watch_all(Script(79.9, 80.1, 75, 69, 69), 5)
    report = watch.report()
    assert [(t["before"], t["after"]) for t in report["transitions"]] == [
        ("normal", "warm"),
        ("warm", "cooling"),
        ("cooling", "normal"),
    ]
    assert report["max_celsius"] == 80.1
    assert report["mean_celsius"] == pytest.approx(74.6)
    assert report["mean_utilisation"] == 0.5
    assert report["seconds"] == {"warm": 5.0, "cooling": 10.0, "normal": 5.0}
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warned[0] == "cooling: 80 °C, limit 80; 50% of the window in flight"
    json.dumps(report)


def test_a_lost_sensor_is_said_and_reported(caplog):
    watch, flight = watch_all(Script(60, None, None), 3)
    (lost,) = (record for record in caplog.records if "sensor lost" in record.message)
    assert lost.message == "blind: sensor lost: no answer; 50% of the window in flight"
    assert lost.levelname == "WARNING"
    assert watch.report()["missing"] == {"temperature_celsius": "no answer"}
    assert flight.admission.slots == 8


def test_wrong_temperatures_are_no_figures():
    watch, _ = watch_all(Script(60, 255), 2)
    assert watch.report()["max_celsius"] == 60


def test_where_no_gpu_can_come_it_says_so_once_and_looks_no_more(tmp_path, caplog):
    caplog.set_level(logging.INFO)

    async def run():
        flight = InFlight(16)
        path = tmp_path / "temperature.log"
        async with watching(flight, NoSensor(), HeatSettings(), path=path) as watch:
            await asyncio.sleep(0)
            async with flight.window(30.0):
                assert flight.admission.in_flight == 1
        return watch

    watch = asyncio.run(run())
    assert watch.state.mode is Mode.UNWATCHED
    said = [(record.levelname, record.message) for record in caplog.records]
    assert said == [("INFO", "no heat control: no sensor: switched off")]
    assert watch.report()["readings"] == 1
    assert not (tmp_path / "temperature.log").exists()


class Late:
    """A sensor of a machine whose GPU comes after so many looks."""

    name = "late"

    def __init__(self, *readings):
        self._readings = itertools.chain(readings, itertools.repeat(readings[-1]))
        self._times = itertools.count(0.0, 60.0)

    def read(self):
        reading = next(self._readings)
        if isinstance(reading, Exception):
            raise reading
        return replace(reading, time_s=next(self._times))


NO_GPU = Reading(0.0, has_gpu=False, may_appear=True)


def looks_at(sensor, looks):
    """The modes after so many looks, and the seconds slept before each."""

    async def run():
        flight = InFlight(16, clock=itertools.count(0.0, 60.0).__next__)
        modes, slept, done = [], [], asyncio.Event()

        async def sleep(seconds):
            modes.append(watch.state.mode)
            slept.append(seconds)
            if len(modes) == looks:
                done.set()
                await asyncio.Event().wait()

        async with watching(flight, sensor, HeatSettings(), sleep=sleep) as watch:
            await asyncio.wait_for(done.wait(), 30)
            return modes, slept, flight.admission.slots

    return asyncio.run(run())


def test_a_gpu_whose_driver_comes_late_is_watched_from_then_on(caplog):
    caplog.set_level(logging.INFO)
    sensor = Late(NO_GPU, NO_GPU, Reading(0.0, 40.0), Reading(0.0, 86.0))
    modes, slept, slots = looks_at(sensor, 4)
    assert modes == [Mode.UNWATCHED, Mode.UNWATCHED, Mode.NORMAL, Mode.STOPPED]
    assert slept == [60.0, 60.0, 5.0, 5.0]
    assert slots == 0
    assert caplog.text.count("heat control from now on: normal: 40 °C") == 1


def test_a_look_that_tells_nothing_is_no_gpu():
    """A server without a GPU that starts again, or a page that does not come in time."""
    modes, _, slots = looks_at(Late(NO_GPU, Reading(0.0, has_gpu=None), OSError(), NO_GPU), 4)
    assert set(modes) == {Mode.UNWATCHED}
    assert slots == 16


def test_a_gpu_that_comes_without_a_temperature_is_handled_as_configured():
    modes, _, slots = looks_at(Late(NO_GPU, Reading(0.0)), 2)
    assert modes == [Mode.UNWATCHED, Mode.BLIND]
    assert slots == 8


def test_the_policy_stop_refuses_to_begin_without_a_temperature():
    async def run(sensor):
        async with watching(InFlight(16), sensor, HeatSettings(policy="stop")):
            pytest.fail("began")

    for sensor in (NoSensor(), Script(None)):
        with pytest.raises(ConfigurationError, match="heat policy is stop"):
            asyncio.run(run(sensor))


def test_it_looks_every_5_s_and_whoever_waits_is_let_in_when_it_has_cooled():
    async def run():
        flight = InFlight(16)
        slept = []

        async def sleep(seconds):
            slept.append(seconds)
            await asyncio.sleep(0)

        async with (
            watching(flight, Script(86, 80, 72, 69, 60), HeatSettings(), sleep=sleep) as watch,
            flight.window(30.0),
        ):
            assert watch.state.mode is Mode.NORMAL
        return slept

    slept = asyncio.run(run())
    assert len(slept) >= 3
    assert set(slept) == {5.0}


def test_a_sensor_that_hangs_is_a_lost_one_and_is_asked_once_only():
    answer = threading.Event()
    asked = []

    class Hangs(Script):
        def read(self):
            asked.append(1)
            answer.wait(60)
            return super().read()

    async def run():
        flight = InFlight(16, clock=itertools.count(0.0, 2.5).__next__)
        watch = HeatWatch(flight, Hangs(40), HeatSettings(), answer_within_s=0.0)
        for _ in range(3):
            await watch.look()
        answer.set()
        return watch.state, flight.admission.slots

    state, slots = asyncio.run(run())
    assert (state.mode, slots, len(asked)) == (Mode.BLIND, 8, 1)
    assert "does not answer within" in state.trust.why


def test_a_sensor_that_breaks_is_a_lost_one():
    class Breaks(Script):
        def read(self):
            raise AttributeError("no such function in this driver")

    watch, flight = watch_all(Breaks(40), 1)
    assert (watch.state.mode, flight.admission.slots) == (Mode.BLIND, 8)
    assert "no such function" in watch.report()["missing"]["temperature_celsius"]


def test_a_log_on_a_disk_that_hangs_holds_up_no_look(tmp_path, monkeypatch):
    goes_on = threading.Event()
    path = tmp_path / "temperature.log"
    append = TemperatureLog._append

    def hang(watch):
        goes_on.wait(60)
        append(watch)

    monkeypatch.setattr(TemperatureLog, "_append", hang)
    monkeypatch.setattr(temperature_log, "_WRITE_WITHIN_S", 0.0)

    async def run():
        flight = InFlight(16, clock=itertools.count(0.0, 5.0).__next__)
        watch = HeatWatch(flight, Script(40, 60, 86), HeatSettings(), path=path)
        for _ in range(3):
            await asyncio.wait_for(watch.look(), 10)
        stopped = flight.admission.slots
        goes_on.set()
        return stopped

    assert asyncio.run(run()) == 0
    assert len(path.read_text().splitlines()) == 3


def test_a_sensor_is_read_while_all_other_threads_wait_for_a_disk():
    goes_on = threading.Event()

    async def run():
        waiting = [asyncio.create_task(asyncio.to_thread(goes_on.wait, 60)) for _ in range(64)]
        await asyncio.sleep(0.1)
        flight = InFlight(16, clock=itertools.count(0.0, 5.0).__next__)
        watch = HeatWatch(flight, Script(40), HeatSettings(), answer_within_s=10.0)
        await watch.look()
        goes_on.set()
        await asyncio.gather(*waiting)
        return watch.state.mode

    assert asyncio.run(asyncio.wait_for(run(), 30)) is Mode.NORMAL


@pytest.mark.parametrize(("celsius", "slots"), [(40, 8), (86, 0)])
def test_heat_control_that_breaks_leaves_half_at_most(caplog, monkeypatch, celsius, slots):
    async def run():
        flight = InFlight(16)
        broke = asyncio.Event()

        async def sleep(_):
            if "heat control failed" in caplog.text:
                broke.set()
                await asyncio.Event().wait()

        async with watching(flight, Script(celsius), HeatSettings(), sleep=sleep):
            monkeypatch.setattr(heat_watch, "step", None)
            await broke.wait()
            return flight.admission.slots

    assert asyncio.run(run()) == slots
