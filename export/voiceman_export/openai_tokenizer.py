"""Build Whisper's tokenizer.json from the vocabulary that openai-whisper ships.

OpenAI's checkpoints come without a tokenizer. openai-whisper keeps two vocabularies of
byte-level BPE as tiktoken ranks, to which it adds the special tokens in a fixed order.
"""

import base64
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from voiceman.errors import WeightsError

# In the order of their tokens; Cantonese came with large-v3.
_LANGUAGE_CODES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no "
    "th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw "
    "gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl "
    "mg as tt haw ln ha ba jw su yue"
)
_LANGUAGES_BY_VOCABULARY = {51864: 99, 51865: 99, 51866: 100}
_MULTILINGUAL_FILE = "multilingual.tiktoken"
_ENGLISH_FILE = "gpt2.tiktoken"


def build(vocabulary_size: int, folder: Path) -> Tokenizer:
    """Build the tokenizer of a model.

    Args:
        vocabulary_size: the model's, 51864 for the English-only models.
        folder: holds gpt2.tiktoken and multilingual.tiktoken.

    Raises:
        WeightsError: no model of OpenAI's has this vocabulary.
    """
    if vocabulary_size not in _LANGUAGES_BY_VOCABULARY:
        raise WeightsError(
            f"a vocabulary of {vocabulary_size} tokens is none of OpenAI's "
            f"({', '.join(map(str, _LANGUAGES_BY_VOCABULARY))}); put its tokenizer.json beside "
            "the checkpoint"
        )
    english = vocabulary_size == min(_LANGUAGES_BY_VOCABULARY)
    ranks = _read_ranks(folder / (_ENGLISH_FILE if english else _MULTILINGUAL_FILE))
    vocabulary = {_printable(token): rank for token, rank in ranks.items()}
    bpe = models.BPE(vocab=vocabulary, merges=_merges(ranks))
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    languages = _LANGUAGE_CODES.split()[: _LANGUAGES_BY_VOCABULARY[vocabulary_size]]
    names = [
        "endoftext",
        "startoftranscript",
        *languages,
        *("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"),
    ]
    tokens = [AddedToken(f"<|{name}|>", special=True, normalized=False) for name in names]
    tokenizer.add_special_tokens(tokens)
    return tokenizer


def _read_ranks(path: Path) -> dict[bytes, int]:
    """One token for each line: base64 and its rank."""
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    # The multilingual file has one token that is empty; it is never encoded.
    return {base64.b64decode(fields[0]): int(fields[1]) for fields in lines if len(fields) == 2}


def _merges(ranks: dict[bytes, int]) -> list[tuple[str, str]]:
    """The pairs whose merging gives each token, in the order of merging.

    tiktoken merges whichever adjacent pair makes the token of lowest rank, so every way to cut
    a token in two known tokens is a merge; among those of one token the lowest ranks go first.
    """
    merges: list[tuple[int, int, int]] = []
    tokens = {rank: token for token, rank in ranks.items()}
    for token, rank in ranks.items():
        cuts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        merges += [(rank, ranks[a], ranks[b]) for a, b in cuts if a in ranks and b in ranks]
    return [(_printable(tokens[a]), _printable(tokens[b])) for _, a, b in sorted(merges)]


def _byte_alphabet() -> dict[int, str]:
    """The character that byte-level BPE writes for each byte (GPT-2's table).

    Printable characters of Latin-1 stand for themselves, the others for those from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(0x100 + position) for position, byte in enumerate(others)
    }


_ALPHABET = _byte_alphabet()


def _printable(token: bytes) -> str:
    return "".join(_ALPHABET[byte] for byte in token)
