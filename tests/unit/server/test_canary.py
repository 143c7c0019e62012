"""Canary requests keep the contract of every model."""

import numpy as np
import pytest

from voiceman.contracts import MODELS, Model
from voiceman.server.canary import canary_tensor
from voiceman.server.settings import Ports

NUMPY_DTYPES = {"INT16": np.int16, "FP32": np.float32, "BYTES": np.object_}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_canary_fits_every_input(model: Model):
    for tensor in model.inputs:
        array = canary_tensor(tensor)

        assert array.dtype == NUMPY_DTYPES[tensor.dtype]
        assert array.shape[0] == 1
        for size, wanted in zip(array.shape[1:], tensor.dims, strict=True):
            assert size == wanted or (wanted == -1 and size > 0)


def test_canary_is_a_second_of_quiet_sound():
    (waveform,) = canary_tensor(MODELS["forensic"].inputs[0])

    assert len(waveform) == 16_000
    assert 100 < np.abs(waveform).max() < 1000


def test_automatic_ports_differ():
    ports = Ports.automatic().resolve("127.0.0.1")

    assert len({*ports.by_name().values()}) == len(ports.by_name())
    assert 0 not in ports.by_name().values()


def test_chosen_ports_are_kept():
    assert Ports(grpc=9001, http=0, metrics=9002).resolve("127.0.0.1").grpc == 9001
