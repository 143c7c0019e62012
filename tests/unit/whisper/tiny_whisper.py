"""A Whisper of a few kilobytes with random weights, and transformers as the oracle."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from voiceman.audio import Waveform

CPU = torch.device("cpu")
SPECIALS = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|ko|>", "<|ja|>"]
SPECIALS += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
SPECIALS += ["<|nospeech|>", "<|notimestamps|>"]
FIRST_SPECIAL = 256  # one text token per byte
IDS = {name: FIRST_SPECIAL + index for index, name in enumerate(SPECIALS)}
FIRST_TIMESTAMP = FIRST_SPECIAL + len(SPECIALS)
TIMESTAMP_HANDICAP, END_BONUS = 2.0, 2.0  # logits


def byte_tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE({character: index for index, character in enumerate(alphabet)}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def generation_config(multilingual: bool) -> GenerationConfig:
    config = GenerationConfig(
        alignment_heads=[[0, 1], [1, 0]],
        begin_suppress_tokens=[32, IDS["<|endoftext|>"]],
        suppress_tokens=[1, 2, 7, *range(IDS["<|startoftranscript|>"], FIRST_TIMESTAMP - 1)],
        decoder_start_token_id=IDS["<|startoftranscript|>"],
        eos_token_id=IDS["<|endoftext|>"],
        pad_token_id=IDS["<|endoftext|>"],
        max_initial_timestamp_index=50,
        no_timestamps_token_id=IDS["<|notimestamps|>"],
        prev_sot_token_id=IDS["<|startofprev|>"],
    )
    config.is_multilingual = multilingual
    if multilingual:
        config.lang_to_id = {name: IDS[name] for name in SPECIALS[2:5]}
        config.task_to_id = {name: IDS[f"<|{name}|>"] for name in ("translate", "transcribe")}
    return config


def make_checkpoint(folder: Path, seed: int = 4, multilingual: bool = True, **sizes: int) -> Path:
    """Random weights, wide enough apart that the argmax is not a matter of rounding."""
    torch.manual_seed(seed)
    tiny = {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "num_mel_bins": 80,
    }
    config = WhisperConfig(
        vocab_size=FIRST_TIMESTAMP + 1501,
        **(tiny | sizes),
        init_std=0.25,
        decoder_start_token_id=IDS["<|startoftranscript|>"],
        eos_token_id=IDS["<|endoftext|>"],
        pad_token_id=IDS["<|endoftext|>"],
        bos_token_id=IDS["<|endoftext|>"],
    )
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        decoder = model.model.decoder
        # Tied embeddings repeat their input; strong positions keep the tokens changing.
        decoder.embed_positions.weight.normal_(std=1.0)
        # One direction of the last hidden state is constant. Along it the 1,501 timestamps lie
        # low, so that together they do not drown the text, and end of text lies high.
        decoder.layer_norm.bias[0] = 1.0
        decoder.embed_tokens.weight[FIRST_TIMESTAMP:, 0] -= TIMESTAMP_HANDICAP
        decoder.embed_tokens.weight[IDS["<|endoftext|>"], 0] += END_BONUS
    model.generation_config = generation_config(multilingual)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@dataclass(frozen=True)
class Oracle:
    """transformers' greedy decoding of one window."""

    model: WhisperForConditionalGeneration
    features: WhisperFeatureExtractor

    @classmethod
    def load(cls, folder: Path) -> "Oracle":
        model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        return cls(model.eval(), WhisperFeatureExtractor.from_pretrained(folder))

    def tokens(
        self,
        waveform: Waveform,
        timestamps: bool,
        language: str | None = None,
        limit: int = 100,
        prompt: list[int] | None = None,
    ) -> list[int]:
        """What it generates behind the prompt, end of text left out."""
        mel = self.features(waveform, sampling_rate=16000, return_tensors="pt").input_features
        config = self.model.generation_config
        with torch.inference_mode():
            sequence = self.model.generate(
                mel,
                return_timestamps=timestamps,
                language=language,
                # Without it transformers leaves the task out of a detected language's prompt.
                task="transcribe" if config.is_multilingual else None,
                max_new_tokens=limit,
                prompt_ids=None if prompt is None else torch.tensor(prompt),
                force_unique_generate_call=True,
                num_beams=1,
                do_sample=False,
            )[0].tolist()
        tasks = config.task_to_id.values() if config.is_multilingual else ()
        ends = [config.decoder_start_token_id, *tasks, config.no_timestamps_token_id]
        begin = max((i + 1 for i, token in enumerate(sequence) if token in ends), default=0)
        return [token for token in sequence[begin:] if token != config.eos_token_id]
