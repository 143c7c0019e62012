"""What sensors report, what they cannot, and which one a run uses."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fake_nvml import FakeGpu, FakeNvml, Memory, NVMLError, gb10

from voiceman.errors import ConfigurationError
from voiceman_client.sensors import MetricsSensor, NoSensor, NvmlSensor, choose_sensor

# As Triton 2.51 writes it, and voiceman's temperature beside it.
TRITON_PAGE = """\
# HELP nv_gpu_utilization GPU utilization rate [0.0 - 1.0)
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-a"} 0.5
nv_gpu_utilization{gpu_uuid="GPU-b"} 0.9
# HELP nv_gpu_memory_used_bytes GPU used memory, in bytes
# TYPE nv_gpu_memory_used_bytes gauge
nv_gpu_memory_used_bytes{gpu_uuid="GPU-a"} 1000
nv_gpu_memory_used_bytes{gpu_uuid="GPU-b"} 2000
nv_gpu_memory_total_bytes{gpu_uuid="GPU-a"} 4000
nv_gpu_memory_total_bytes{gpu_uuid="GPU-b"} 4000
# HELP nv_cpu_utilization CPU utilization rate [0.0 - 1.0]
# TYPE nv_cpu_utilization gauge
nv_cpu_utilization 0.1
"""
TEMPERATURES = """\
# HELP voiceman_gpu_temperature_celsius Temperature of the GPU
# TYPE voiceman_gpu_temperature_celsius gauge
voiceman_gpu_temperature_celsius{gpu_uuid="GPU-a"} 61
voiceman_gpu_temperature_celsius{gpu_uuid="GPU-b"} 72
"""


def test_everything_that_nvml_knows():
    reading = NvmlSensor(FakeNvml(FakeGpu(celsius=66)), lambda: 7.0).read()
    assert (reading.time_s, reading.temperature_celsius) == (7.0, 66.0)
    assert (reading.sm_clock_mhz, reading.power_w, reading.utilisation) == (1500.0, 60.0, 0.9)
    assert (reading.memory_used_bytes, reading.memory_total_bytes) == (1 << 30, 4 << 30)
    assert reading.missing == {}


def test_the_hottest_of_several_counts():
    nvml = FakeNvml(FakeGpu(celsius=50), FakeGpu(celsius=77, sm_clock=900), FakeGpu(celsius=None))
    reading = NvmlSensor(nvml).read()
    assert (reading.temperature_celsius, reading.sm_clock_mhz) == (77.0, 900.0)


def test_of_several_the_fullest_memory_counts():
    nvml = FakeNvml(FakeGpu(celsius=50, memory=Memory(9, 10)), FakeGpu(memory=Memory(1, 10)))
    reading = NvmlSensor(nvml).read()
    assert (reading.memory_used_bytes, reading.memory_total_bytes) == (9, 10)
    page = MetricsSensor("http://gpu:8002/metrics", fetch=lambda _: TRITON_PAGE)
    assert page.read().memory_share == 0.5


def test_gb10_reports_the_memory_of_the_machine(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 60 kB\n")
    reading = NvmlSensor(FakeNvml(gb10()), meminfo=tmp_path / "meminfo").read()
    assert (reading.memory_used_bytes, reading.memory_total_bytes) == (40 * 1024, 100 * 1024)
    assert reading.missing == {}
    assert reading.memory_is_machines


def test_every_field_may_be_missing_and_says_why(tmp_path):
    gpu = gb10(celsius=None, sm_clock=None, power_mw=None, utilisation=None)
    reading = NvmlSensor(FakeNvml(gpu), meminfo=tmp_path / "none").read()
    assert reading.has_gpu
    assert reading.missing.keys() == {
        "temperature_celsius",
        "sm_clock_mhz",
        "power_w",
        "utilisation",
        "memory_used_bytes",
        "memory_total_bytes",
    }
    assert reading.missing["power_w"] == "NVML: Not Supported"


@pytest.mark.parametrize(("broken", "has_gpu"), [(12, False), (9, False), (999, True)])
def test_without_driver_there_is_no_gpu_and_with_a_broken_one_there_is(broken, has_gpu, tmp_path):
    reading = NvmlSensor(FakeNvml(broken=broken), devices=tmp_path).read()
    assert reading.temperature_celsius is None
    assert reading.has_gpu is has_gpu
    assert not NvmlSensor(FakeNvml()).read().has_gpu


def test_a_gpu_whose_driver_is_there_without_nvml_is_one_whose_sensor_is_lost(tmp_path):
    (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidiactl").touch()
    assert NvmlSensor(FakeNvml(broken=12), devices=tmp_path).read().has_gpu
    (tmp_path / "nvidia0").unlink()
    assert not NvmlSensor(FakeNvml(broken=12), devices=tmp_path).read().has_gpu


def test_a_gpu_may_come_where_the_driver_or_its_library_is(tmp_path):
    def may_appear(*gpus, broken, driver):
        (tmp_path / "driver").mkdir(exist_ok=True)
        driver = tmp_path / "driver" if driver else tmp_path / "none"
        sensor = NvmlSensor(FakeNvml(*gpus, broken=broken), devices=tmp_path, driver=driver)
        reading = sensor.read()
        assert reading.has_gpu is False
        return reading.may_appear

    assert not may_appear(broken=12, driver=False)  # no library: most machines without a GPU
    assert may_appear(broken=12, driver=True)
    assert may_appear(broken=9, driver=False)
    assert may_appear(broken=None, driver=False)
    assert page("nv_cpu_utilization 0.1\n").read().may_appear
    assert not NoSensor().read().may_appear


def test_a_gpu_that_was_lost_is_looked_for_anew():
    gpu = FakeGpu(celsius=NVMLError(15))
    nvml = FakeNvml(gpu)
    sensor = NvmlSensor(nvml)
    assert sensor.read().temperature_celsius is None
    nvml.gpus = (FakeGpu(celsius=44),)
    assert sensor.read().temperature_celsius == 44.0


def test_this_machine_needs_no_fake_to_be_asked():
    reading = NvmlSensor().read()
    assert reading.temperature_celsius is not None or reading.missing["temperature_celsius"]


def page(text):
    return MetricsSensor("http://box:8002/metrics", lambda: 1.0, lambda _: text)


def test_the_metrics_page_of_a_remote_server():
    reading = page(TRITON_PAGE + TEMPERATURES).read()
    assert (reading.temperature_celsius, reading.utilisation) == (72.0, 0.9)
    assert reading.memory_used_bytes == 2000.0


def test_dcgm_exporter_is_understood():
    reading = page('DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a"} 58\n').read()
    assert reading.temperature_celsius == 58.0


def test_triton_alone_reports_gpus_but_no_temperature():
    reading = page(TRITON_PAGE).read()
    assert reading.has_gpu
    assert "voiceman_gpu_temperature_celsius" in reading.missing["temperature_celsius"]


def test_a_server_without_gpu_is_none():
    assert not page("nv_cpu_utilization 0.1\n").read().has_gpu


@pytest.mark.parametrize("value", ["NaN", "nan"])
def test_a_temperature_that_is_no_number_is_missing(value):
    text = f'voiceman_gpu_temperature_celsius{{gpu_uuid="GPU-a"}} {value}\n'
    assert page(TRITON_PAGE + text).read().temperature_celsius is None


def test_a_broken_page_is_missing_not_fatal():
    reading = page('voiceman_gpu_temperature_celsius{gpu="0" 5 5 5').read()
    assert reading.temperature_celsius is None
    assert reading.has_gpu is None


def test_pages_are_fetched_and_failures_are_said():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/metrics"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(TEMPERATURES.encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{server.server_port}"
        assert MetricsSensor(f"{at}/metrics").read().temperature_celsius == 72.0
        missing = MetricsSensor(f"{at}/other").read().missing
        assert "404" in missing["temperature_celsius"]
        server.shutdown()
    assert "refused" in MetricsSensor(f"{at}/metrics").read().missing["temperature_celsius"]


@pytest.mark.parametrize("server", ["127.0.0.1:8001", "localhost:8001", "[::1]:8001"])
def test_a_server_here_is_read_through_nvml(server):
    assert isinstance(choose_sensor("auto", server), NvmlSensor)


def test_a_server_elsewhere_is_read_through_its_metrics_page():
    assert choose_sensor("auto", "box:9001").name == "http://box:8002/metrics"
    assert choose_sensor("auto", "[fd00::1]:9001").name == "http://[fd00::1]:8002/metrics"
    assert choose_sensor("auto", "box:9001", "box:9002").name == "http://box:9002/metrics"


def test_a_sensor_can_be_chosen():
    assert isinstance(choose_sensor("none", "box:1"), NoSensor)
    assert isinstance(choose_sensor("nvml", "box:1"), NvmlSensor)
    assert choose_sensor("https://box:9400/metrics", "x:1").name == "https://box:9400/metrics"
    with pytest.raises(ConfigurationError, match="allowed are auto"):
        choose_sensor("thermometer", "box:1")
