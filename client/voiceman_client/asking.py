"""The two questions about a recording: what is heard in a window, and what all of it comes to."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.errors import PastDeadlineError, VoicemanError
from voiceman.options import WindowOptions
from voiceman_client.options import SubmitOptions
from voiceman_client.planning import LocalTurn, Window
from voiceman_client.result import Heard
from voiceman_client.transport import Arrays, Server, read_array, read_text
from voiceman_client.window_answer import WindowAnswer

_WORTH_ASKING_S = 1.0


async def hear(
    server: Server, window: Window, options: SubmitOptions, patterns: str, timeout_s: float
) -> WindowAnswer:
    """Send a window through `forensic`.

    Args:
        server: where it is.
        window: of a recording.
        options: of the run.
        patterns: users' crime-language patterns as text; empty: none.
        timeout_s: until the answer must be there.

    Raises:
        ServerError, InvalidRequestError: see `voiceman_client.transport`; says which window.
    """
    wanted = WindowOptions(
        initial_prompt=options.initial_prompt,
        hotwords=options.hotwords,
        patterns=patterns,
        timeout_s=timeout_s,
        deadline_unix_s=time.time() + timeout_s,
    )
    late_s = time.monotonic() + timeout_s
    try:
        try:
            answer = await server.infer(
                "forensic", _window_inputs(window, options, wanted), timeout_s
            )
        except PastDeadlineError:
            left_s = late_s - time.monotonic()
            if left_s < _WORTH_ASKING_S:
                raise
            # The server's clock is another than this machine's, or one of them was set just now.
            wanted = replace(wanted, timeout_s=left_s, deadline_unix_s=0.0)
            answer = await server.infer("forensic", _window_inputs(window, options, wanted), left_s)
    except VoicemanError as err:
        at = f"window {window.span.start_s:.1f} to {window.span.end_s:.1f} s"
        raise type(err)(f"{at}: {err}") from err
    embeddings = read_array(answer, "SPEAKER_EMBEDDING").reshape(-1, SPEAKER_EMBEDDING_SIZE)
    return WindowAnswer(read_text(answer, "EVIDENCE"), embeddings)


def _window_inputs(window: Window, options: SubmitOptions, wanted: WindowOptions) -> Arrays:
    return {
        "WAVEFORM": window.waveform,
        "TURNS": window.turns,
        "LANGUAGE": options.language,
        "OPTIONS": json.dumps(asdict(wanted)),
    }


async def sum_up(
    server: Server,
    heard: Sequence[Heard],
    turns: Sequence[LocalTurn],
    options: SubmitOptions,
    timeout_s: float,
) -> str:
    """Tell the speakers of a recording apart and score it: the SUMMARY of `recording_summary`.

    Args:
        server: where it is.
        heard: the answers about all windows, at least one.
        turns: of the whole recording.
        options: of the run.
        timeout_s: until the answer must be there.

    Raises:
        ServerError, InvalidRequestError: see `voiceman_client.transport`.
    """
    wanted = {
        "window_starts": [item.span.start_s for item in heard],
        "channels": [item.channel for item in heard],
        "speakers": options.speakers,
        "min_speakers": options.min_speakers,
        "max_speakers": options.max_speakers,
        "turns": turns,
    }
    inputs = {
        "WINDOW_EVIDENCE": [item.evidence_text for item in heard],
        "SPEAKER_EMBEDDING": np.concatenate([item.embeddings for item in heard]),
        "RECORDING_OPTIONS": json.dumps(wanted),
    }
    answer = await server.infer("recording_summary", inputs, timeout_s)
    return read_text(answer, "SUMMARY")
