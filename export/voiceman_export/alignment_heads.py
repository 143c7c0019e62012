"""Which heads of Whisper's cross-attention follow the audio, for word times.

Published by OpenAI with openai-whisper, for each of its models. A checkpoint does not name
its model, so they are looked up by size. large-v1 and large-v2 have the same size and other
heads: they are left out, as is every model that is not OpenAI's.
"""

from transformers import WhisperConfig

AlignmentHeads = list[list[int]]

_PUBLISHED: dict[tuple[int, int], dict[int, str]] = {
    (4, 51864): {1: "0", 2: "0 5", 3: "0 1 2 3 4"},
    (4, 51865): {2: "2", 3: "0 2 3 4 5"},
    (6, 51864): {3: "3", 4: "7", 5: "1 5 7"},
    (6, 51865): {3: "1", 4: "2 3 7", 5: "1 2 4 6"},
    (12, 51864): {
        6: "6",
        7: "0 3 8",
        8: "2 5 7",
        9: "0 4 8 10",
        10: "0 1 2 3 6 11",
        11: "2 4",
    },
    (12, 51865): {5: "3 9", 8: "0 4 7 8", 9: "0 7 9", 10: "5"},
    (24, 51864): {
        11: "4",
        14: "1 12 14",
        15: "4",
        16: "0 4 9",
        17: "12 14",
        18: "7 10 15",
        20: "0 3 9 14",
        21: "12",
    },
    (24, 51865): {13: "15", 15: "4 15", 16: "1", 20: "0", 23: "4"},
    (32, 51866): {
        7: "0",
        10: "17",
        12: "18",
        13: "12",
        16: "1",
        17: "14",
        19: "11",
        21: "4",
        24: "1",
        25: "6",
    },
    (4, 51866): {2: "4 11", 3: "3 6 11 14"},
}


def alignment_heads(config: WhisperConfig) -> AlignmentHeads:
    """Pairs of layer and head for a model of this size.

    Returns:
        The published heads, looked up by decoder layers and vocabulary; where there are none,
        all heads of the upper half of the decoder, which is openai-whisper's default.
    """
    published = _PUBLISHED.get((config.decoder_layers, config.vocab_size))
    if published is not None:
        return [[layer, int(head)] for layer, heads in published.items() for head in heads.split()]
    upper_half = range(config.decoder_layers // 2, config.decoder_layers)
    heads = range(config.decoder_attention_heads)
    return [[layer, head] for layer in upper_half for head in heads]


def has_heads(config: WhisperConfig, heads: AlignmentHeads) -> bool:
    """Whether a decoder has all of these pairs of layer and head."""
    layers, width = config.decoder_layers, config.decoder_attention_heads
    return all(0 <= layer < layers and 0 <= head < width for layer, head in heads)
