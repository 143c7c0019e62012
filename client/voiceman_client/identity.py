"""What results depend on beside the recording, as one hash."""

import hashlib
import json
from typing import Any

import numpy as np

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE as _SIZE
from voiceman.evidence import ModelWeights
from voiceman_client.transport import Server, read_array, read_text

_SILENCE = np.zeros(16_000, np.int16)  # 1 s, as in the models' warm-up
# What Whisper writes of silence may be long, and unlikely enough to be written again.
_BRIEFLY = json.dumps({"temperatures": [0.0], "max_new_tokens": 8})


def sha256_of_json(value: object) -> str:
    """SHA-256 of a value as JSON with sorted keys and no spaces, as UTF-8."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def weights_in_use(
    server: Server, language: str, timeout_s: float
) -> dict[str, ModelWeights]:
    """The weights that the server's models work with, by model.

    A second of silence is sent, because only answers say them.

    Args:
        server: to ask.
        language: of the run; an aligner's weights are told for a named language only.
        timeout_s: for each of two requests.

    Raises:
        ServerError: the server failed; see `voiceman.errors`.
    """
    found = await server.infer("voice_activity", {"WAVEFORM": _SILENCE}, timeout_s)
    inputs: dict[str, Any] = {"WAVEFORM": _SILENCE, "LANGUAGE": language, "OPTIONS": _BRIEFLY}
    heard = await server.infer("forensic", inputs, timeout_s)
    evidence = read_text(heard, "EVIDENCE")
    inputs = {
        "WINDOW_EVIDENCE": [evidence],
        "SPEAKER_EMBEDDING": read_array(heard, "SPEAKER_EMBEDDING").reshape(-1, _SIZE),
        "RECORDING_OPTIONS": json.dumps({"window_starts": [0.0]}),
    }
    summary = read_text(await server.infer("recording_summary", inputs, timeout_s), "SUMMARY")
    weights: dict[str, ModelWeights] = {}
    for answer in (evidence, summary):
        weights |= json.loads(answer).get("models", {})
    # Last, as in results: what a model says of itself counts.
    return weights | {"voice_activity": json.loads(read_text(found, "VOICE_ACTIVITY_WEIGHTS"))}
