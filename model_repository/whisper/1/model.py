"""Triton model `whisper`: speech to text, answered late and out of order by its own engine."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
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
from voiceman.serving.whisper.window import Window, WindowResult

MODEL = MODELS["whisper"]
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    """Hands windows to the engine; `execute` blocks while the engine's line is full.

    So the backlog stays in Triton's queue, where its metrics and policies see it.
    """

    def initialize(self, args: Mapping[str, str]) -> None:
        on_gpu = args["model_instance_kind"] == "GPU" and torch.cuda.is_available()
        device = torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        settings = EngineSettings(
            slots=int(parameter(args, "slots")),
            line=int(parameter(args, "line")),
            threads=int(os.environ.get("VOICEMAN_WHISPER_THREADS") or _half_the_cores()),
        )
        torch.set_num_threads(settings.threads)
        self._engine = Engine(load_checkpoint(weights_folder(args)), settings, device)
        self._metrics = EngineMetrics(self._engine)

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            try:
                future = self._engine.submit(_window(read_inputs(request, MODEL)))
            except Exception as err:  # noqa: BLE001  # must not take the batch with it
                sender.send(error_response(err), flags=FINAL)
            else:
                future.add_done_callback(partial(self._answer, sender))
            self._metrics.publish()

    def finalize(self) -> None:
        self._engine.close()

    def _answer(self, sender: pb_utils.ResponseSender, future: Future[WindowResult]) -> None:
        err = future.exception()
        if isinstance(err, Exception):
            sender.send(error_response(err), flags=FINAL)
        else:
            sender.send(response(_outputs(future.result()), MODEL), flags=FINAL)
        self._metrics.publish()


def _half_the_cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) // 2)


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


class EngineMetrics:
    """The engine's state on /metrics; rows / steps is the mean occupancy."""

    def __init__(self, engine: Engine) -> None:
        counters, kinds = engine.counters, pb_utils.MetricFamily
        table: list[tuple[str, str, int, Callable[[], float]]] = [
            ("slots_total", "Slots", kinds.GAUGE, lambda: engine.settings.slots),
            ("slots_busy", "Slots with a window", kinds.GAUGE, engine.busy),
            ("waiting", "Windows in the line", kinds.GAUGE, engine.waiting),
            ("windows_total", "Windows answered", kinds.COUNTER, lambda: counters.windows),
            ("steps_total", "Decoder steps", kinds.COUNTER, lambda: counters.steps),
            ("rows_total", "Rows in all steps", kinds.COUNTER, lambda: counters.rows),
        ]
        self._lock = threading.Lock()
        # A family that is garbage collected takes its metrics with it.
        self._families = [
            pb_utils.MetricFamily(f"voiceman_whisper_{name}", text, kind)
            for name, text, kind, _ in table
        ]
        self._metrics = [
            (family.Metric(), kind == kinds.COUNTER, value)
            for family, (_, _, kind, value) in zip(self._families, table, strict=True)
        ]

    def publish(self) -> None:
        """Copy the engine's numbers; any thread may."""
        with self._lock:
            for metric, is_counter, value in self._metrics:
                if is_counter:
                    metric.increment(value() - metric.value())
                else:
                    metric.set(value())
