"""Power modes set what a GPU can do, say what it cannot, and put back what was found."""

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_nvml import FakeGpu, FakeNvml, NVMLError, gb10

from voiceman.errors import ConfigurationError, EnvironmentCheckError
from voiceman_client import power_command
from voiceman_client.cli import main
from voiceman_client.power import restore, set_mode


def test_gb10_has_its_clock_locked_and_the_rest_is_said(tmp_path):
    nvml = FakeNvml(box := gb10())
    lines = set_mode("power-saver", nvml, tmp_path / "state")
    assert box.locked == (0, 1800)
    assert lines == [
        "GPU-0: clock: up to 1800 of 3000 MHz (no power limit can be set here)",
        "GPU-0: fan: cannot be set here",
    ]
    restore(nvml, tmp_path / "state")
    assert box.locked is None


@pytest.mark.parametrize(
    ("mode", "limit_mw", "fan"),
    [
        ("performance", 120_000, [100, True]),
        ("balanced", 80_000, [75, True]),
        ("power-saver", 60_000, [40, False]),
    ],
)
def test_power_limit_and_fan_where_there_are_any(tmp_path, mode, limit_mw, fan):
    nvml = FakeNvml(card := FakeGpu())
    set_mode(mode, nvml, tmp_path / "state")
    assert (card.limit_mw, card.fans, card.locked) == (limit_mw, [fan], None)


def test_what_was_found_first_is_put_back_after_several_modes(tmp_path):
    nvml = FakeNvml(card := FakeGpu(limit_mw=90_000, fans=[[33, True], [40, False]]))
    for mode in ("performance", "power-saver", "balanced"):
        set_mode(mode, nvml, tmp_path / "state")
    restore(nvml, tmp_path / "state")
    assert (card.limit_mw, card.fans) == (90_000, [[33, True], [40, False]])
    with pytest.raises(ConfigurationError, match="no power mode was set"):
        restore(nvml, tmp_path / "state")


def test_without_rights_nothing_changes_and_the_reason_is_said(tmp_path):
    for gpu in (FakeGpu(), gb10()):
        nvml = FakeNvml(gpu, root=False)
        with pytest.raises(EnvironmentCheckError, match="run it as root"):
            set_mode("balanced", nvml, tmp_path / "state")
        assert nvml.changes == 0
        assert not (tmp_path / "state").exists()


def test_a_failure_half_way_leaves_every_gpu_as_it_was(tmp_path):
    def gone(gpu, fan, speed):
        raise NVMLError(FakeNvml.NVML_ERROR_GPU_IS_LOST)

    nvml = FakeNvml(card := FakeGpu())
    nvml.nvmlDeviceSetFanSpeed_v2 = gone
    with pytest.raises(EnvironmentCheckError, match="left as it was found"):
        set_mode("balanced", nvml, tmp_path / "state")
    assert card.limit_mw == 100_000
    assert not (tmp_path / "state").exists()


def test_a_state_that_cannot_be_kept_changes_nothing(tmp_path):
    nvml = FakeNvml(gb10())
    with pytest.raises(ConfigurationError, match="nothing could be put back"):
        set_mode("balanced", nvml, tmp_path / "missing" / "state")
    assert nvml.changes == 0
    (tmp_path / "state").write_text("[]")
    with pytest.raises(ConfigurationError, match="not written by"):
        restore(nvml, tmp_path / "state")


def test_a_full_disk_takes_nothing_of_what_was_found(tmp_path, monkeypatch):
    nvml = FakeNvml(card := FakeGpu(limit_mw=90_000))
    set_mode("power-saver", nvml, tmp_path / "state")

    def write_half(path, text):
        path.write_bytes(text[: len(text) // 2].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_half)
        with pytest.raises(ConfigurationError, match="No space left"):
            set_mode("balanced", nvml, tmp_path / "state")
    restore(nvml, tmp_path / "state")
    assert card.limit_mw == 90_000


def test_a_gpu_that_cannot_do_anything_says_so(tmp_path):
    lines = set_mode("balanced", FakeNvml(gb10(lockable=False)), tmp_path / "state")
    assert lines[0] == "GPU-0: power limit and clock: cannot be set here"


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(power_command, "pynvml", FakeNvml(box := gb10()))
    state = ["--state", str(tmp_path / "state")]
    done = CliRunner().invoke(main, ["power", "--mode", "balanced", *state])
    assert (done.exit_code, box.locked) == (0, (0, 2400))
    assert CliRunner().invoke(main, ["power", "--restore", *state]).exit_code == 0
    assert box.locked is None
    again = CliRunner().invoke(main, ["power", "--restore", *state])
    assert (again.exit_code, again.stdout) == (1, "")
    assert CliRunner().invoke(main, ["power"]).exit_code == 2
    assert CliRunner().invoke(main, ["power", "--restore", "--mode", "balanced"]).exit_code == 2


def test_without_a_gpu_the_command_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(power_command, "pynvml", FakeNvml(broken=12))
    done = CliRunner().invoke(main, ["power", "--mode", "balanced"])
    assert done.exit_code == 1
    assert "need an NVIDIA GPU" in done.stderr
