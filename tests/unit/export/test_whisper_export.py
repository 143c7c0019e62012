"""Whisper from each of its formats becomes the same Hugging Face folder, ready to generate."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from voiceman.errors import WeightsError
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman_export import ctranslate2, whisper_reference
from voiceman_export import whisper as whisper_export
from voiceman_export.models import export_model

HEADS = 2
ALIGNMENT_HEADS = [[1, 0], [1, 1]]


def ctranslate2_variables(model) -> dict[str, np.ndarray]:
    """The model's weights as CTranslate2's converter lays them out."""
    state = {name: value.numpy() for name, value in model.model.state_dict().items()}
    variables: dict[str, np.ndarray] = {}

    def linear(target: str, *sources: str) -> None:
        weights = [state[f"{source}.weight"] for source in sources]
        zeros = np.zeros(len(weights[0]), np.float32)
        biases = [state.get(f"{source}.bias", zeros) for source in sources]
        variables[f"{target}/weight"] = np.concatenate(weights)
        variables[f"{target}/bias"] = np.concatenate(biases)

    def norm(target: str, source: str) -> None:
        variables[f"{target}/gamma"] = state[f"{source}.weight"]
        variables[f"{target}/beta"] = state[f"{source}.bias"]

    for number in (1, 2):
        linear(f"encoder/conv{number}", f"encoder.conv{number}")
    for side in ("encoder", "decoder"):
        positions = state[f"{side}.embed_positions.weight"]
        variables[f"{side}/position_encodings/encodings"] = positions
        variables[f"{side}/num_heads"] = np.array(HEADS, np.int16)
        norm(f"{side}/layer_norm", f"{side}.layer_norm")
        for layer in range(2):
            source, target = f"{side}.layers.{layer}", f"{side}/layer_{layer}"
            own = [f"{source}.self_attn.{kind}_proj" for kind in "qkv"]
            linear(f"{target}/self_attention/linear_0", *own)
            linear(f"{target}/self_attention/linear_1", f"{source}.self_attn.out_proj")
            norm(f"{target}/self_attention/layer_norm", f"{source}.self_attn_layer_norm")
            if side == "decoder":
                cross = f"{source}.encoder_attn"
                linear(f"{target}/attention/linear_0", f"{cross}.q_proj")
                linear(f"{target}/attention/linear_1", f"{cross}.k_proj", f"{cross}.v_proj")
                linear(f"{target}/attention/linear_2", f"{cross}.out_proj")
                norm(f"{target}/attention/layer_norm", f"{source}.encoder_attn_layer_norm")
            linear(f"{target}/ffn/linear_0", f"{source}.fc1")
            linear(f"{target}/ffn/linear_1", f"{source}.fc2")
            norm(f"{target}/ffn/layer_norm", f"{source}.final_layer_norm")
    variables["decoder/embeddings/weight"] = state["decoder.embed_tokens.weight"]
    return variables


def write_ctranslate2(path: Path, variables: dict[str, np.ndarray], version: int = 6) -> None:
    codes = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    content = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<I", 3)
    content += struct.pack("<I", len(variables))
    for name, value in variables.items():
        content += text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        content += struct.pack("<BI", codes[value.dtype.name], value.nbytes) + value.tobytes()
    content += struct.pack("<I", 1)
    content += text("decoder/projection/weight") + text("decoder/embeddings/weight")
    path.write_bytes(content)


def openai_state(model) -> dict[str, torch.Tensor]:
    """The model's weights under OpenAI's names."""
    renames = {
        "encoder.layer_norm": "encoder.ln_post",
        "decoder.layer_norm": "decoder.ln",
        "embed_positions.weight": "positional_embedding",
        "embed_tokens": "token_embedding",
        ".layers.": ".blocks.",
        "self_attn_layer_norm": "attn_ln",
        "encoder_attn_layer_norm": "cross_attn_ln",
        "final_layer_norm": "mlp_ln",
        "self_attn": "attn",
        "encoder_attn": "cross_attn",
        "q_proj": "query",
        "k_proj": "key",
        "v_proj": "value",
        "out_proj": "out",
        "fc1": "mlp.0",
        "fc2": "mlp.2",
    }
    state = {}
    for name, value in model.model.state_dict().items():
        for theirs, openai in renames.items():
            name = name.replace(theirs, openai)  # noqa: PLW2901
        state[name] = value
    return state


@pytest.fixture(scope="module")
def ctranslate2_folder(whisper, tokenizer_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ctranslate2")
    write_ctranslate2(folder / "model.bin", ctranslate2_variables(whisper))
    (folder / "config.json").write_text(json.dumps({"alignment_heads": ALIGNMENT_HEADS}))
    shutil.copy(tokenizer_file, folder)
    return folder


@pytest.fixture(scope="module")
def openai_folder(whisper, tokenizer_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("openai")
    dims = {"n_audio_head": HEADS, "n_text_head": HEADS}
    checkpoint = {"dims": dims, "model_state_dict": openai_state(whisper)}
    torch.save(checkpoint, folder / "tiny.pt")
    shutil.copy(tokenizer_file, folder)
    return folder


@pytest.fixture(scope="module")
def hub_folder(whisper, tokenizer_file, tmp_path_factory) -> Path:
    """A snapshot as the hub would give it."""
    folder = tmp_path_factory.mktemp("hub")
    whisper.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    shutil.copy(tokenizer_file, folder)
    # Fine-tuned models often say no more than this.
    (folder / "generation_config.json").write_text('{"_from_model_config": true}')
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    log_mel = torch.randn(1, 80, 3000, generator=generator, dtype=torch.float64)
    return log_mel, torch.tensor([[50258, 50264, 50359, 300, 400, 500]])


@pytest.mark.parametrize("form", ["ctranslate2", "openai", "hub"])
def test_every_format_gives_the_same_model(form, whisper, repository, request):
    source = request.getfixturevalue(f"{form}_folder")
    folder = export_model(repository, "whisper", str(source)).folder
    exported = WhisperForConditionalGeneration.from_pretrained(folder)
    expected = whisper.state_dict()
    found = exported.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("form", ["ctranslate2", "openai"])
def test_the_reference_reads_the_source_as_transformers_reads_the_export(form, whisper, request):
    reference = whisper_reference.load(request.getfixturevalue(f"{form}_folder"))
    log_mel, tokens = example()
    with torch.inference_mode():
        expected = whisper.double()(log_mel, decoder_input_ids=tokens).logits
        whisper.float()
        found = reference.logits(log_mel, tokens)
    assert torch.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("form", ["ctranslate2", "hub"])
def test_an_export_knows_how_to_generate(form, repository, request):
    source = request.getfixturevalue(f"{form}_folder")
    folder = export_model(repository, "whisper", str(source)).folder
    settings = json.loads((folder / "generation_config.json").read_text())
    assert "_from_model_config" not in settings
    assert settings["lang_to_id"]["<|ko|>"] == 50264
    assert settings["task_to_id"] == {"transcribe": 50359, "translate": 50358}
    assert settings["no_timestamps_token_id"] == 50363
    assert settings["begin_suppress_tokens"] == [32, 50257]
    assert settings["alignment_heads"] == ALIGNMENT_HEADS
    assert {50258, 50358, 50359, 50360, 50361, 50362}.issubset(settings["suppress_tokens"])
    assert 50264 not in settings["suppress_tokens"]
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    log_mel, _ = example()
    tokens = model.generate(
        log_mel.float(), language="ko", return_timestamps=True, max_new_tokens=4
    )
    assert tokens[0, 0] >= 50364


def test_a_distilled_model_gets_heads_that_it_has(hub_folder, repository, tmp_path):
    """It ships the list of the larger model that it was made from."""
    source = shutil.copytree(hub_folder, tmp_path / "distilled")
    theirs = {"alignment_heads": [[7, 0], [25, 6]]}
    (source / "generation_config.json").write_text(json.dumps(theirs))
    folder = export_model(repository, "whisper", str(source)).folder
    assert load_checkpoint(folder).alignment_heads == tuple(map(tuple, ALIGNMENT_HEADS))


def test_an_english_model_gets_openai_s_vocabulary_and_detects_no_language(
    english_whisper, vocabulary, repository, tmp_path, monkeypatch
):
    dims = {"n_audio_head": HEADS, "n_text_head": HEADS}
    checkpoint = {"dims": dims, "model_state_dict": openai_state(english_whisper)}
    torch.save(checkpoint, tmp_path / "tiny.en.pt")
    monkeypatch.setattr(whisper_export, "fetch", lambda name: vocabulary)
    folder = export_model(repository, "whisper", str(tmp_path / "tiny.en.pt")).folder
    settings = json.loads((folder / "generation_config.json").read_text())
    assert "lang_to_id" not in settings
    assert settings["no_timestamps_token_id"] == 50362
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    log_mel = example()[0].float()
    first = model(log_mel, decoder_input_ids=torch.tensor([[50257]])).logits[0, 0]
    tokens = model.generate(log_mel, return_timestamps=True, max_new_tokens=4)
    assert tokens[0, 0] == 50363 + first[50363 : 50363 + 51].argmax()


def test_int8_weights_are_scaled_back(whisper, tmp_path):
    variables = ctranslate2_variables(whisper)
    name = "encoder/layer_0/ffn/linear_0/weight"
    weight = variables[name]
    scale = 127 / np.abs(weight).max(axis=1)
    variables[name] = np.round(weight * scale[:, None]).astype(np.int8)
    variables[f"{name}_scale"] = scale.astype(np.float32)
    write_ctranslate2(tmp_path / "model.bin", variables)
    found = ctranslate2.read(tmp_path / "model.bin")
    error = np.abs(found[name].numpy() - weight).max(axis=1)
    assert (error <= 0.51 / scale).all()
    assert f"{name}_scale" not in found


def test_what_cannot_be_whisper_is_refused(whisper, tmp_path):
    variables = ctranslate2_variables(whisper)
    write_ctranslate2(tmp_path / "old.bin", variables, version=5)
    with pytest.raises(WeightsError, match="format 5"):
        ctranslate2.read(tmp_path / "old.bin")
    variables["encoder/layer_0/self_attention/linear_0/bias"][16:32] = 1
    with pytest.raises(WeightsError, match="keys have a bias"):
        ctranslate2.to_hugging_face(ctranslate2_tensors(variables))
    (tmp_path / "cut.bin").write_bytes((tmp_path / "old.bin").read_bytes()[:3])
    with pytest.raises(WeightsError, match="cut off"):
        ctranslate2.read(tmp_path / "cut.bin")


def ctranslate2_tensors(variables: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in variables.items()}


def test_openai_s_vocabulary_merges_the_lowest_rank_first(tokenizer_file):
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    hell = tokenizer.token_to_id("hell")
    assert tokenizer.encode("hello", add_special_tokens=False).ids == [hell, ord("o")]
    korean = "여보세요"
    tokens = tokenizer.encode(korean, add_special_tokens=False).ids
    assert tokens == list(korean.encode())
    assert tokenizer.decode(tokens) == korean


def test_a_hub_name_is_loaded_by_the_hub_s_own_code_offline(hub_folder, repository, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = tmp_path / "hub" / "models--someone--whisper-tiny-ko"
    shutil.copytree(hub_folder, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    command = [Path(sys.executable).parent / "voiceman-export", "whisper"]
    command += ["--checkpoint", "someone/whisper-tiny-ko", "--model-repository", repository]
    subprocess.run(command, env={**os.environ, **offline}, check=True, timeout=120)
    manifest = json.loads((repository / "whisper/1/weights/manifest.json").read_text())
    assert manifest["name"] == "someone/whisper-tiny-ko"
    assert manifest["version"].startswith(commit)
    assert manifest["licence"] == "apache-2.0"
