"""The check of a GPU, rehearsed where there is none."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from perf.gpu_check import (
    __main__,
    attention,
    costs,
    machine,
    parity,
    peer,
    pressure,
    speed,
    voices,
)
from perf.gpu_check.findings import Findings
from perf.gpu_check.models import LARGE_V3, SMALL, TURBO, RandomTensors, Size, weight_shapes
from perf.gpu_check.parts import GRACE_S, PARTS, WHOLE_S, Part, part_command, run_all, run_part
from perf.gpu_check.report import add_shares, markdown
from perf.gpu_check.setting import Clock, rehearsal
from perf.record import ROOT, write_result

# What a machine with a GPU need not have.
NOT_ASSUMED = ("av", "click", "grpc", "hypothesis", "jiwer", "psutil", "pynvml")
NOT_ASSUMED += ("pytriton", "rich", "scipy", "speechbrain", "tritonclient")

SHORT = {
    "m": "machine",
    "p": "parity",
    "s": "speed turbo bf16",
    "a": "attention",
    "o": "memory",
    "v": "voices",
    "t": "transformers turbo bf16",
}


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What every part finds on the CPU, as the command keeps it."""
    torch.set_num_threads(1)
    folder, setting = tmp_path_factory.mktemp("findings"), rehearsal()
    clock = Clock(time.monotonic() + 600)
    found = {name: Findings(folder / f"{name}.json") for name in SHORT}
    machine.look_at_machine(setting, clock, found["m"])
    parity.compare_tokens(setting, clock, found["p"])
    speed.measure_speed(setting, "turbo", "bf16", clock, found["s"])
    attention.compare_kernels(setting, clock, found["a"])
    pressure.press(setting, clock, found["o"])
    peer.compare(setting, "turbo", clock, found["t"])
    voices.compare_voices(setting, clock, found["v"])
    return {
        name: {"state": "done", "seconds": 1.0, "findings": json.loads(path.read_text())}
        for name, path in ((SHORT[short], folder / f"{short}.json") for short in SHORT)
    }


def test_no_part_meets_an_error(rehearsed: dict[str, dict]) -> None:
    for result in rehearsed.values():
        assert result["findings"]
        assert "error" not in json.dumps(result)
        assert "not measured" not in json.dumps(result)


def test_the_random_model_hears_what_transformers_hears(rehearsed: dict[str, dict]) -> None:
    found = rehearsed["parity"]["findings"]
    windows = found["windows"]
    assert found["different texts among the windows"] == windows
    for name in ("fp32, recorded, against eager", "fp32 against transformers"):
        assert found[name]["equal_windows"] == windows
    in_flight = found["fp32, in flight, against eager"]
    assert in_flight["equal_windows"] == in_flight["windows"] > 0
    assert 0.5 < found["bf16, recorded, against fp32"]["equal_tokens"] <= 1


def test_every_window_is_decoded_to_the_same_length(rehearsed: dict[str, dict]) -> None:
    setting = rehearsal()
    cells = rehearsed["speed turbo bf16"]["findings"]
    assert list(cells) == [str(slots) for slots in setting.batches]
    assert all(cell["tokens"] == [setting.tokens] for cell in cells.values())
    for cell in rehearsed["transformers turbo bf16"]["findings"].values():
        assert cell["tokens"] == setting.tokens


def test_padded_voices_are_those_of_every_utterance_alone(rehearsed: dict[str, dict]) -> None:
    cells = rehearsed["voices"]["findings"]
    assert list(cells) == list(rehearsal().voices)
    for cell in cells.values():
        assert cell["transformers, fp32"] < 1e-4
        assert cell["padded and recorded, fp32"] < 1e-4
        assert cell["padded and recorded, bfloat16"] < 0.1


def test_all_tables_can_be_written(
    rehearsed: dict[str, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf.record.RESULTS", tmp_path)
    shares = add_shares(rehearsed, rehearsal().tokens)
    assert set(shares) == {"speed turbo bf16, 1", "speed turbo bf16, 2"}
    text = markdown(rehearsed, shares)
    assert "| turbo bf16 | 2 of 2 |" in text
    assert "error" not in text
    path = write_result("gpu-check", "command", {"parts": rehearsed}, text, "Whisper on a GPU")
    assert json.loads(path.read_text())["results"]["parts"] == rehearsed


def test_the_command_writes_what_it_has_so_far(
    rehearsed: dict[str, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf.record.RESULTS", tmp_path)
    __main__._write({"machine": rehearsed["machine"]})
    __main__._write(rehearsed)
    results = json.loads(next(tmp_path.glob("*-gpu-check.json")).read_text())["results"]
    assert results["parts"] == rehearsed
    assert results["shares_of_the_floor"]


def test_figures_that_cannot_be_written_are_printed(
    rehearsed: dict[str, dict], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("perf.record.RESULTS", Path("/proc/nowhere"))
    __main__._write(rehearsed)
    assert json.loads(capsys.readouterr().out)["parts"] == rehearsed


def test_an_error_on_the_way_is_no_success(rehearsed: dict[str, dict]) -> None:
    well = rehearsed["parity"]
    assert __main__._is_well(well)
    assert not __main__._is_well({**well, "state": "cut after 60 s"})
    assert not __main__._is_well({"state": "done", "findings": {"1": {"error": ["full"]}}})


def test_tables_are_written_of_whatever_there_is(rehearsed: dict[str, dict]) -> None:
    failed = {"state": "ended with code 1", "seconds": 2.0, "log": ["RuntimeError: no"]}
    error = {"findings": {"1": {"error": ["Traceback", "OutOfMemoryError: full"]}}}
    for results in ({}, dict.fromkeys(rehearsed, failed), dict.fromkeys(rehearsed, error)):
        assert markdown(results, add_shares(results, 120))
    without_reach = {**rehearsed, "machine": failed}
    assert "| turbo bf16 | 2 of 2 |" in markdown(without_reach, add_shares(without_reach, 4))


@pytest.mark.parametrize(
    ("size", "decoder_mb", "cross_mb", "encoder_tflop"),
    [(TURBO, 316, 30.7, 2.31), (LARGE_V3, 1600, 246, 2.59)],
)
def test_costs_are_those_on_paper(
    size: Size, decoder_mb: float, cross_mb: float, encoder_tflop: float
) -> None:
    assert costs.decoder_bytes(size.dimensions, 2) / 1e6 == pytest.approx(decoder_mb, rel=0.01)
    assert costs.cross_cache_bytes(size.dimensions, 2) / 1e6 == pytest.approx(cross_mb, rel=0.01)
    # 2.27 of the encoder itself, the rest projects keys and values for the decoder's layers.
    assert costs.encoder_flops(size.dimensions) / 1e12 == pytest.approx(encoder_tflop, rel=0.01)
    alone = replace(size.dimensions, decoder_layers=0)
    assert costs.encoder_flops(alone) / 1e12 == pytest.approx(2.27, rel=0.01)


@pytest.mark.parametrize("size", [SMALL, TURBO, LARGE_V3], ids=lambda size: size.name)
def test_weights_are_named_and_shaped_as_in_transformers(size: Size) -> None:
    sizes = size.dimensions
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=sizes.vocabulary,
                num_mel_bins=sizes.mel_bins,
                d_model=sizes.width,
                encoder_layers=sizes.encoder_layers,
                decoder_layers=sizes.decoder_layers,
                encoder_attention_heads=sizes.encoder_heads,
                decoder_attention_heads=sizes.decoder_heads,
                encoder_ffn_dim=4 * sizes.width,
                decoder_ffn_dim=4 * sizes.width,
                pad_token_id=0,
            )
        )
    expected = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert weight_shapes(sizes) == expected


def test_random_weights_are_the_same_every_time() -> None:
    name = "model.decoder.layers.1.encoder_attn.q_proj.weight"
    first, second = (RandomTensors(SMALL.dimensions, torch.device("cpu"))[name] for _ in range(2))
    assert torch.equal(first, second)
    assert first.std().item() == pytest.approx(2 / 128**0.5, rel=0.05)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_part_that_hangs_or_dies_takes_no_other_with_it(tmp_path: Path) -> None:
    write = "import pathlib, sys; pathlib.Path({!r}).write_text('{{\"kept\": 1}}');"
    codes = {
        "hangs": write + "import time; time.sleep(600)",
        "dies": write + "import os; os.abort()",
        "fails": "raise ValueError('the cause')",
        "works": write,
    }
    parts = tuple(Part(name, 8.0 if name == "hangs" else 60.0, "", "") for name in codes)
    reports: list[int] = []

    def command(part: Part, path: Path, _: float) -> list[str]:
        return python(codes[part.name].format(str(path)))

    results = run_all(
        command, tmp_path, lambda so_far: reports.append(len(so_far)), parts=parts, whole_s=600
    )
    assert results["hangs"]["state"] == "cut after 8 s"
    assert results["dies"]["state"] == "ended with code -6"
    assert results["fails"]["state"] == "ended with code 1"
    assert results["fails"]["log"][-1] == "ValueError: the cause"
    assert results["works"]["state"] == "done"
    for name in ("hangs", "dies", "works"):
        assert results[name]["findings"] == {"kept": 1}
    assert reports == [1, 2, 3, 4]


def test_without_time_a_part_is_not_begun(tmp_path: Path) -> None:
    results = run_all(lambda *_: python("pass"), tmp_path, lambda _: None, whole_s=GRACE_S)
    assert {result["state"] for result in results.values()} == {"not run: no time was left"}


def test_all_parts_end_within_eight_minutes() -> None:
    start_up_s = 20
    assert WHOLE_S + start_up_s < 480
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_a_part_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    command = part_command(PARTS[0], path, 60.0, rehearse=True)
    subprocess.run(command, cwd=ROOT, check=True)
    assert json.loads(path.read_text())["reach"]["bytes_per_s"] > 0


def test_only_the_assumed_packages_are_needed(tmp_path: Path) -> None:
    modules = [f"perf.gpu_check.{part.module}" for part in PARTS] + ["perf.gpu_check.__main__"]
    code = f"import sys\nfor name in {NOT_ASSUMED}: sys.modules[name] = None\n"
    code += f"import importlib\nfor name in {modules}: importlib.import_module(name)\n"
    code += "from perf import record; from pathlib import Path\n"
    code += f"record.RESULTS = Path({str(tmp_path)!r})\n"
    code += "record.write_result('name', 'command', {}, '', 'title')\n"
    subprocess.run(python(code), cwd=ROOT, check=True)
    versions = json.loads(next(tmp_path.glob("*.json")).read_text())["versions"]
    assert versions["torch"] == torch.__version__


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_without_cuda_one_line_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "perf.gpu_check"], cwd=ROOT, capture_output=True, text=True,
        env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no CUDA GPU" in done.stderr


def test_an_error_becomes_the_finding(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "f.json")

    def fail() -> None:
        raise ValueError("the cause")

    assert not findings.attempt("broken", fail)
    assert findings.attempt("works", lambda: 7)
    kept = json.loads((tmp_path / "f.json").read_text())
    assert kept["works"] == 7
    assert kept["broken"]["error"][-1] == "ValueError: the cause"


def test_a_part_stops_when_its_time_is_over(tmp_path: Path) -> None:
    for part in PARTS:
        if part.function in {"press", "compare"}:
            run_part(part.name, tmp_path / "f.json", 0.0, rehearse=True)
            values = json.loads((tmp_path / "f.json").read_text()).values()
            assert all(value is None or "not measured" in value for value in values)


def test_the_rehearsal_is_of_the_same_shape_as_the_check() -> None:
    assert set(rehearsal().sizes) == {"turbo", "large-v3"}
    assert asdict(rehearsal().sizes["turbo"].dimensions).keys() == asdict(TURBO.dimensions).keys()
