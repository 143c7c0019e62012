"""ONNX Runtime sessions: one thread, spinning off, on the device that Triton chose."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from voiceman.errors import WeightsError

log = logging.getLogger(__name__)

Provider = str | tuple[str, dict[str, Any]]


class OnnxModel:
    """One ONNX graph, ready to run: named arrays in, named arrays out.

    Attributes:
        outputs: the names of the graph's outputs, in its order.
    """

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.outputs = tuple(str(output.name) for output in session.get_outputs())

    def __call__(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float32]]:
        """Run the graph: one array per input name; all outputs by name."""
        values = self._session.run(None, inputs)
        return dict(zip(self.outputs, map(np.asarray, values), strict=True))


def open_model(path: Path, args: Mapping[str, str] | None = None) -> OnnxModel:
    """Open an ONNX file on the device of a Triton instance.

    Several models share the cores, each in a process of its own. So a session gets one
    thread, which sleeps while it waits: ONNX Runtime's default is one spinning thread per core
    and session, which starves the neighbours.

    Args:
        path: the .onnx file.
        args: what Triton gives to `initialize` (`model_instance_kind`,
            `model_instance_device_id`); None: the CPU.

    Raises:
        WeightsError: there is no such file, or ONNX Runtime cannot read it.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: missing; run voiceman-export")
    try:
        session = ort.InferenceSession(
            str(path), session_options(), providers=providers(args or {})
        )
    except Exception as err:  # ONNX Runtime's errors have no common base below Exception
        raise WeightsError(f"{path}: cannot be loaded ({err}); run voiceman-export") from err
    return OnnxModel(session)


def session_options() -> ort.SessionOptions:
    """Options of a session with one thread that does not spin."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # The arena keeps what the largest batch ever needed: 800 MB over the models of one server.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def providers(args: Mapping[str, str]) -> list[Provider]:
    """Execution providers for a Triton instance, best first; the CPU is always the last.

    The CPU build of ONNX Runtime has no CUDA provider: the model then runs on the CPU, with
    the same results, and says so once in the log.
    """
    if args.get("model_instance_kind") != "GPU":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        log.warning("this build of ONNX Runtime has no CUDA provider: running on the CPU")
        return ["CPUExecutionProvider"]
    device = int(args.get("model_instance_device_id", "0"))
    return [("CUDAExecutionProvider", {"device_id": device}), "CPUExecutionProvider"]
