"""What a step and an encoder pass must move and compute at least: the paper floor."""

from voiceman.serving.whisper.checkpoint import Dimensions


def decoder_bytes(sizes: Dimensions, item_bytes: int) -> int:
    """Weights that every step reads once, however many rows it has: layers and output layer.

    A layer holds self-attention (4 d²), query and output of the cross-attention (2 d²; its keys
    and values were projected with the encoder) and feed-forward (8 d²). Biases, norms and the
    rows of embeddings are left out: less than 1 %.
    """
    layers = sizes.decoder_layers * 14 * sizes.width**2
    return (layers + sizes.vocabulary * sizes.width) * item_bytes


def cross_cache_bytes(sizes: Dimensions, item_bytes: int) -> int:
    """Keys and values of the sound that a step reads for each row."""
    return sizes.decoder_layers * 2 * sizes.audio_positions * sizes.width * item_bytes


def self_cache_bytes(sizes: Dimensions, length: int, item_bytes: int) -> int:
    """Keys and values of `length` text positions that a step reads for each row."""
    return sizes.decoder_layers * 2 * length * sizes.width * item_bytes


def step_bytes(sizes: Dimensions, rows: int, length: int, item_bytes: int) -> int:
    """What a step of some rows reads."""
    row = cross_cache_bytes(sizes, item_bytes) + self_cache_bytes(sizes, length, item_bytes)
    return decoder_bytes(sizes, item_bytes) + rows * row


def encoder_flops(sizes: Dimensions) -> int:
    """Operations (a multiplication and an addition are two) to encode one window.

    Convolutions over 2a and a frames, layers with 12 d² weights and attention over all pairs of
    positions, and the projection of every decoder layer's keys and values.
    """
    positions, width = sizes.audio_positions, sizes.width
    convolutions = 2 * 3 * (2 * positions * sizes.mel_bins * width + positions * width**2)
    layer = 2 * positions * 12 * width**2 + 4 * positions**2 * width
    projections = sizes.decoder_layers * 2 * positions * 2 * width**2
    return convolutions + sizes.encoder_layers * layer + projections
