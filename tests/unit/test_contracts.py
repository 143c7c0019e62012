"""The hand-written configs say what the contract table says, and Triton 2.51 can read them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message
from tritonclient.grpc import model_config_pb2

from voiceman.contracts import FORENSIC, FORENSIC_STEPS, MODELS, Model, Tensor

REPOSITORY = Path(__file__).parents[2] / "model_repository"
MAX_BATCH_SIZE = 64
COMPOSING = [model.name for model in MODELS.values() if model is not FORENSIC]
# Where requests come in: the first step of the ensemble, and the models called by themselves.
ENTRANCES = ["whisper", "voice_activity", "recording_summary"]
TRITON_DTYPES = {"INT16": "TYPE_INT16", "FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}

# Triton refuses a config with a field it does not know. 2.51 knows all of these.
KNOWN_TO_TRITON_2_51 = {
    "ModelConfig": {
        "name",
        "platform",
        "backend",
        "max_batch_size",
        "input",
        "output",
        "instance_group",
        "dynamic_batching",
        "ensemble_scheduling",
        "model_warmup",
        "parameters",
    },
    "ModelInput": {"name", "data_type", "dims", "allow_ragged_batch", "optional"},
    "ModelOutput": {"name", "data_type", "dims"},
    "ModelInstanceGroup": {"count", "kind"},
    "ModelDynamicBatching": {"max_queue_delay_microseconds", "default_queue_policy"},
    "ModelQueuePolicy": {"max_queue_size", "timeout_action", "default_timeout_microseconds"},
    "ModelEnsembling": {"step"},
    "ModelEnsembling.Step": {"model_name", "model_version", "input_map", "output_map"},
    "ModelWarmup": {"name", "batch_size", "inputs"},
    "ModelWarmup.Input": {"data_type", "dims", "zero_data"},
    "ModelParameter": {"string_value"},
}


def read_config(name: str):
    text = (REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def fields_in_use(message: Message) -> Iterator[tuple[str, str]]:
    """(message type, field name) of everything that a config sets, at any depth."""
    for field, value in message.ListFields():
        owner = field.containing_type.full_name.removeprefix("inference.")
        yield owner, field.name
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            items = value.values()
        else:
            items = value if isinstance(value, list) or hasattr(value, "add") else [value]
        for item in items:
            if isinstance(item, Message):
                yield from fields_in_use(item)


def as_config(tensor: Tensor) -> tuple[str, str, tuple[int, ...]]:
    return tensor.name, TRITON_DTYPES[tensor.dtype], tensor.dims


def as_read(tensor) -> tuple[str, str, tuple[int, ...]]:
    dtype = model_config_pb2.DataType.Name(tensor.data_type)
    return tensor.name, dtype, tuple(tensor.dims)


def test_every_folder_of_the_repository_is_a_model_of_the_contract():
    assert {folder.name for folder in REPOSITORY.iterdir()} == set(MODELS)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_config_names_the_tensors_of_the_contract(model: Model):
    config = read_config(model.name)

    assert config.name == model.name
    assert [as_read(tensor) for tensor in config.input] == [as_config(t) for t in model.inputs]
    assert [as_read(tensor) for tensor in config.output] == [as_config(t) for t in model.outputs]
    assert [t.optional for t in config.input] == [t.optional for t in model.inputs]


@pytest.mark.parametrize("name", MODELS)
def test_config_sets_only_what_triton_2_51_reads(name: str):
    unknown = {
        (owner, field)
        for owner, field in fields_in_use(read_config(name))
        if field not in KNOWN_TO_TRITON_2_51.get(owner, ())
    }

    assert not unknown


@pytest.mark.parametrize("name", COMPOSING)
def test_requests_of_different_lengths_share_a_batch(name: str):
    """Every input with a free dimension is ragged; a fixed one needs no flag."""
    ragged = {t.name: t.allow_ragged_batch for t in read_config(name).input}

    assert ragged == {t.name: -1 in t.dims for t in MODELS[name].inputs}


@pytest.mark.parametrize("name", COMPOSING)
def test_composing_model_batches(name: str):
    config = read_config(name)

    assert config.backend == "python"
    assert config.max_batch_size == MAX_BATCH_SIZE
    assert config.HasField("dynamic_batching")
    assert [group.count for group in config.instance_group] == [1]


@pytest.mark.parametrize("name", COMPOSING)
def test_queues_are_bounded_where_requests_come_in(name: str):
    """Inner steps have no policy: it would make Triton's batcher miss wake-ups."""
    batching = read_config(name).dynamic_batching
    policy = batching.default_queue_policy

    assert batching.HasField("default_queue_policy") == (name in ENTRANCES)
    if name in ENTRANCES:
        assert policy.max_queue_size > MAX_BATCH_SIZE
        assert policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT
        assert policy.default_timeout_microseconds > 0


@pytest.mark.parametrize("name", COMPOSING)
def test_warm_up_sends_every_input_in_its_shape(name: str):
    """Readiness waits for the warm-up, so the first real request pays for no loading."""
    (warm_up,) = read_config(name).model_warmup
    tensors = MODELS[name].inputs

    assert warm_up.batch_size == 1
    assert set(warm_up.inputs) == {tensor.name for tensor in tensors}
    for tensor in tensors:
        sent = warm_up.inputs[tensor.name]
        assert model_config_pb2.DataType.Name(sent.data_type) == TRITON_DTYPES[tensor.dtype]
        assert len(sent.dims) == len(tensor.dims)
        for size, contract in zip(sent.dims, tensor.dims, strict=True):
            assert size == contract or (contract == -1 and size > 0)


def test_ensemble_takes_its_steps_from_the_contract_in_order():
    config = read_config("forensic")
    steps = config.ensemble_scheduling.step

    assert config.platform == "ensemble"
    assert config.max_batch_size == MAX_BATCH_SIZE
    assert [step.model_name for step in steps] == [model.name for model in FORENSIC_STEPS]
    assert {step.model_version for step in steps} == {-1}  # the latest


def test_every_edge_of_the_ensemble_joins_equal_tensors():
    """A step reads what the request or an earlier step wrote, of the same type and dims."""
    config = read_config("forensic")
    written = {t.name: (as_read(t)[1:], t.optional) for t in config.input}
    for step in config.ensemble_scheduling.step:
        model = read_config(step.model_name)
        assert set(step.input_map) == {tensor.name for tensor in model.input}
        assert set(step.output_map) == {tensor.name for tensor in model.output}
        for tensor in model.input:
            edge, may_be_absent = written[step.input_map[tensor.name]]
            assert edge == as_read(tensor)[1:], f"{step.model_name}.{tensor.name}"
            assert tensor.optional or not may_be_absent, f"{step.model_name}.{tensor.name}"
        for tensor in model.output:
            assert step.output_map[tensor.name] not in written, "written twice"
            written[step.output_map[tensor.name]] = (as_read(tensor)[1:], False)
    for tensor in config.output:
        assert written[tensor.name] == (as_read(tensor)[1:], False)
