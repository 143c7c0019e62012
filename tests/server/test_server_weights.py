"""A real server says with a second of silence which weights its answers rest on."""

import asyncio
import json
from dataclasses import replace

import numpy as np

from voiceman.audio import MAX_WINDOW_SAMPLES
from voiceman_client.answers import Answers
from voiceman_client.result import Heard
from voiceman_client.server_load import MetricsPage
from voiceman_client.server_weights import ServerWeights
from voiceman_client.transport import Server, read_array, read_text
from voiceman_client.windows import Span

TIMEOUT_S = 300.0


async def answers_of(server: Server) -> Answers:
    """All answers about a recording of one window of noise."""
    noise = np.random.default_rng(0).normal(0, 2000, MAX_WINDOW_SAMPLES // 3).astype(np.int16)
    window = {"WAVEFORM": noise, "TURNS": np.array([[0.0, 5.0]]), "LANGUAGE": "ko"}
    answer = await server.infer("forensic", window, TIMEOUT_S)
    text, embeddings = read_text(answer, "EVIDENCE"), read_array(answer, "SPEAKER_EMBEDDING")
    recording = {"WINDOW_EVIDENCE": [text], "SPEAKER_EMBEDDING": embeddings}
    summary = read_text(await server.infer("recording_summary", recording, TIMEOUT_S), "SUMMARY")
    found = await server.infer("voice_activity", {"WAVEFORM": noise}, TIMEOUT_S)
    weights = json.loads(read_text(found, "VOICE_ACTIVITY_WEIGHTS"))
    heard = Heard(Span(0, len(noise)), None, json.loads(text), text, embeddings)
    return Answers((heard,), (), summary, {"voice_activity": weights})


def test_answers_hold_on_the_server_that_gave_them_and_not_with_other_weights(server):
    async def ask() -> tuple[bool, bool]:
        client = Server(server.grpc_url)
        try:
            fresh = await answers_of(client)
            assert {"whisper", "recording_summary", "voice_activity"} <= set(fresh.all_weights)
            weights = ServerWeights(client, TIMEOUT_S)
            other = {"voice_activity": fresh.weights["voice_activity"] | {"sha256": "0" * 64}}
            return (
                await weights.still_hold(fresh),
                await weights.still_hold(replace(fresh, weights=other)),
            )
        finally:
            client.close()

    assert asyncio.run(ask()) == (True, False)


def test_the_metrics_page_tells_slots_and_what_waits(server):
    load = asyncio.run(MetricsPage(server.metrics_url).load())
    assert load is not None
    assert load.slots == 8
    assert load.waiting >= 0
