"""Triton model `whisper`: speech to text, answered late and out of order by its own engine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import triton_python_backend_utils as pb_utils

from voiceman.analysis.coverage import detected_speech
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, to_float32
from voiceman.contracts import MODELS
from voiceman.options import parse_window_options
from voiceman.profile import is_reproducible
from voiceman.serving.gpu_temperature import GpuTemperatures
from voiceman.serving.processor import instance_device
from voiceman.serving.requests import (
    Inputs,
    Outputs,
    error_response,
    parameter,
    read_inputs,
    response,
    weights_folder,
)
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.metrics import EngineMetrics
from voiceman.serving.whisper.window import Window, WindowResult

MODEL = MODELS["whisper"]
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    """Hands windows to the engine; `execute` blocks while the engine's line is full.

    So the backlog stays in Triton's queue, where its metrics and policies see it. A batch that
    Triton has made is taken whole: in the line its windows are counted and may be cancelled.
    """

    def initialize(self, args: Mapping[str, str]) -> None:
        device = instance_device(args)
        settings = EngineSettings(
            slots=int(parameter(args, "slots")),
            line=int(parameter(args, "line")),
            workers=_cpu_workers() if device.type == "cpu" else 1,
            precision=_precision(parameter(args, "precision"), device),
            fixed=is_reproducible(),
        )
        torch.set_num_threads(1)
        self._engine = Engine(load_checkpoint(weights_folder(args)), settings, device)
        self._metrics = EngineMetrics(self._engine)
        self._temperatures = GpuTemperatures()

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        for number, request in enumerate(requests):
            sender = request.get_response_sender()
            try:
                window = _window(read_inputs(request, MODEL))
                future = self._engine.submit(window, sender.is_cancelled, wait=number == 0)
            except Exception as err:  # noqa: BLE001  # must not take the batch with it
                sender.send(error_response(err), flags=FINAL)
            else:
                future.add_done_callback(partial(self._answer, sender))
            self._metrics.publish()

    def finalize(self) -> None:
        self._engine.close()
        self._metrics.close()
        self._temperatures.close()

    def _answer(self, sender: pb_utils.ResponseSender, future: Future[WindowResult]) -> None:
        try:
            self._metrics.publish()  # before the answer: whoever has it finds it counted
            answer = response(_outputs(future.result()), MODEL)
        except Exception as err:  # noqa: BLE001  # whatever fails, the caller gets an answer
            answer = error_response(err)
        sender.send(answer, flags=FINAL)


def _precision(configured: str, device: torch.device) -> str:
    chosen = os.environ.get("VOICEMAN_WHISPER_PRECISION") or configured
    if chosen != "auto":
        return chosen
    return "int8" if device.type == "cpu" else "bf16"


def _cpu_workers() -> int:
    """By default half of the cores: the other models work on the other half meanwhile."""
    half = len(os.sched_getaffinity(0)) // 2
    return int(os.environ.get("VOICEMAN_WHISPER_THREADS") or max(1, half))


def _window(inputs: Inputs) -> Window:
    """A window of its own: Triton reuses the memory of a request after `execute`."""
    waveform = to_float32(cast("Int16Waveform", inputs["WAVEFORM"]))  # a copy
    turns = cast("npt.NDArray[np.float32] | None", inputs.get("TURNS"))
    return Window(
        waveform,
        cast("str", inputs.get("LANGUAGE", "")),
        parse_window_options(cast("str", inputs.get("OPTIONS", ""))),
        detected_speech(turns, len(waveform) / SAMPLE_RATE_HZ),
    )


def _outputs(result: WindowResult) -> Outputs:
    return {
        "TRANSCRIPT": json.dumps(result.transcript, ensure_ascii=False),
        "CROSS_ATTENTION": result.cross_attention,
    }
