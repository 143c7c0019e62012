"""One ECAPA-TDNN vector for every utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
import triton_python_backend_utils as pb_utils

from voiceman import contracts
from voiceman.analysis.embedding import Floats, embed_utterances
from voiceman.audio import Int16Waveform
from voiceman.manifest import read_manifest
from voiceman.serving.ecapa import load_ecapa
from voiceman.serving.guard import DIARIZATION, Guarded, guard_for
from voiceman.serving.processor import instance_device
from voiceman.serving.requests import Inputs, Outputs, answer, weights_folder
from voiceman.status import Status

CONTRACT = contracts.MODELS["speaker_embedding"]


class TritonPythonModel:
    """The Triton model; its work is `voiceman.analysis.embedding`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        torch.set_num_threads(1)
        folder, device = weights_folder(args), instance_device(args)
        self._manifest = read_manifest(folder)
        self._network = Guarded(
            load_ecapa(folder, device),
            guard_for("speaker_embedding", DIARIZATION, str(device)),
            None if device.type == "cpu" else partial(load_ecapa, folder),
        )

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        return answer(requests, CONTRACT, self._compute)

    def _compute(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        waveforms = [cast("Int16Waveform", inputs["WAVEFORM"]) for inputs in batch]
        utterances = [cast("Floats", inputs["UTTERANCES"]) for inputs in batch]
        turns = [cast("Floats | None", inputs.get("TURNS")) for inputs in batch]
        return [
            {
                "SPEAKER_EMBEDDING": found.vectors,
                "SPEAKER_EMBEDDING_STATUS": Status(
                    weights=f"{self._manifest.name} {self._manifest.version}",
                    utterances=found.missing,
                    sha256=self._manifest.sha256,
                ).to_json(),
            }
            for found in embed_utterances(waveforms, utterances, turns, self._network)
        ]
