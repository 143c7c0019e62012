"""transformers' Whisper with the same random weights: the oracle, and the one to compare with."""

import time
from functools import partial

import torch
from torch import Tensor
from torch._dynamo.utils import counters
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from perf.gpu_check.device import clean_up, forget_peak, peak_memory
from perf.gpu_check.findings import Findings
from perf.gpu_check.models import (
    END_OF_TEXT,
    LANGUAGES,
    START_OF_PREVIOUS,
    START_OF_TRANSCRIPT,
    TRANSCRIBE,
    Size,
    random_checkpoint,
)
from perf.gpu_check.setting import WINDOW_S, Clock, Setting
from voiceman.serving.lanes import settle
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.features import MEL_FRAMES


def build_peer(
    checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype
) -> WhisperForConditionalGeneration:
    """The model of a checkpoint on a device."""
    sizes = checkpoint.dimensions
    config = WhisperConfig(
        vocab_size=sizes.vocabulary,
        num_mel_bins=sizes.mel_bins,
        d_model=sizes.width,
        encoder_layers=sizes.encoder_layers,
        encoder_attention_heads=sizes.encoder_heads,
        encoder_ffn_dim=4 * sizes.width,
        decoder_layers=sizes.decoder_layers,
        decoder_attention_heads=sizes.decoder_heads,
        decoder_ffn_dim=4 * sizes.width,
        decoder_start_token_id=START_OF_TRANSCRIPT,
        bos_token_id=END_OF_TEXT,
        eos_token_id=END_OF_TEXT,
        pad_token_id=END_OF_TEXT,
    )
    with torch.device(device):
        model = WhisperForConditionalGeneration(config).to(dtype).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in checkpoint.tensors:
                parameter.copy_(checkpoint.tensors[name])
    model.tie_weights()
    model.generation_config = _generation(checkpoint)
    return model


def _generation(checkpoint: Checkpoint) -> GenerationConfig:
    """How it decodes: by the same rules."""
    special = checkpoint.special
    config = GenerationConfig(
        decoder_start_token_id=special.start_of_transcript,
        bos_token_id=special.end_of_text,
        eos_token_id=special.end_of_text,
        pad_token_id=special.end_of_text,
        suppress_tokens=list(special.suppressed),
        begin_suppress_tokens=list(special.suppressed_at_begin),
        max_initial_timestamp_index=special.max_initial_timestamp,
        no_timestamps_token_id=special.no_timestamps,
        prev_sot_token_id=START_OF_PREVIOUS,
    )
    config.is_multilingual = True
    config.lang_to_id = {f"<|{code}|>": token for code, token in LANGUAGES.items()}
    config.task_to_id = {"transcribe": TRANSCRIBE, "translate": TRANSCRIBE - 1}
    return config


def generate(
    model: WhisperForConditionalGeneration,
    log_mel: Tensor,
    tokens: int,
    *,
    timestamps: bool = False,
    cache: str | None = None,
) -> list[list[int]]:
    """Greedy decoding of log-mel spectrograms [b, mel_bins, 3000]; prompt and end left out."""
    with torch.inference_mode():
        sequences = model.generate(
            log_mel.to(model.dtype),
            language="en",
            task="transcribe",
            return_timestamps=timestamps,
            max_new_tokens=tokens,
            force_unique_generate_call=True,
            num_beams=1,
            do_sample=False,
            cache_implementation=cache,
        )
    prompt = {START_OF_TRANSCRIPT, TRANSCRIBE, model.generation_config.no_timestamps_token_id}
    generated: list[list[int]] = []
    for sequence in sequences.tolist():
        begin = max((at + 1 for at, token in enumerate(sequence[:4]) if token in prompt), default=0)
        generated.append([token for token in sequence[begin:] if token != END_OF_TEXT])
    return generated


def compare(setting: Setting, name: str, clock: Clock, findings: Findings) -> None:
    """Measure generate, plain and with a static cache that torch compiles."""
    device, size = setting.device, setting.sizes[name]
    model = build_peer(random_checkpoint(size, device, endless=True), device, torch.bfloat16)
    ways = {"dynamic cache": None, "static cache, compiled": "static"}
    for way, cache in ways.items():
        for batch in setting.peer_batches:
            if clock.left_s() < 5:
                findings.note(f"{way}, {batch}", "not measured: no time was left")
                continue
            run = partial(_measure, setting, model, size, batch, cache)
            findings.attempt(f"{way}, {batch}", run)
            clean_up(device)


def _measure(
    setting: Setting,
    model: WhisperForConditionalGeneration,
    size: Size,
    batch: int,
    cache: str | None,
) -> dict[str, object]:
    """Two runs, of which the first compiles."""
    device = setting.device
    forget_peak(device)
    log_mel = torch.randn(batch, size.dimensions.mel_bins, MEL_FRAMES, device=device)
    times_s: list[float] = []
    generated: list[list[int]] = []
    for _ in range(2):
        start_s = time.perf_counter()
        generated = generate(model, log_mel, setting.tokens, cache=cache)
        settle(device)
        times_s.append(time.perf_counter() - start_s)
    return {
        "batch": batch,
        "rtfx": WINDOW_S * batch / times_s[1],
        "first_run_s": times_s[0],
        "second_run_s": times_s[1],
        "tokens": min(map(len, generated)),
        "compiled_graphs": _compiled_graphs(),
        "peak_memory": peak_memory(device),
    }


def _compiled_graphs() -> int:
    """How many graphs torch has compiled in this process; 0: it ran uncompiled."""
    return int(counters["stats"]["unique_graphs"])
