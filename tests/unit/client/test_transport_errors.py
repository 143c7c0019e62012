"""What the server says, as an error of our own."""

import asyncio

import pytest
from tritonclient.utils import InferenceServerException

from voiceman.errors import (
    DeadlineExceededError,
    PastDeadlineError,
    QueueFullError,
    ServerError,
    ServerUnreachableError,
)
from voiceman_client import transport
from voiceman_client.transport import _RETRIED, Server, to_error


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("StatusCode.UNAVAILABLE", "Request timeout expired", DeadlineExceededError),
        ("StatusCode.INTERNAL", "whisper: the deadline passed 2 s ago", PastDeadlineError),
        ("StatusCode.UNAVAILABLE", "failed to connect to all addresses", ServerUnreachableError),
    ],
)
def test_a_request_that_came_too_late_is_no_lost_server(status, message, kind):
    error = to_error(InferenceServerException(message, status), "host:1", "forensic", 60.0)
    assert type(error) is kind
    assert isinstance(error, _RETRIED) == (kind is ServerUnreachableError)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("StatusCode.RESOURCE_EXHAUSTED", "too many requests", QueueFullError),
        ("StatusCode.UNAVAILABLE", "Exceeds maximum queue size", QueueFullError),
        (
            "StatusCode.RESOURCE_EXHAUSTED",
            "Received message larger than max (67108865 vs. 67108864)",
            ServerError,
        ),
    ],
)
def test_a_server_that_has_no_room_is_asked_again_and_a_message_too_large_is_not(
    status, message, kind
):
    error = to_error(InferenceServerException(message, status), "host:1", "forensic", 60.0)
    assert type(error) is kind
    assert isinstance(error, _RETRIED) == (kind is QueueFullError)


@pytest.mark.parametrize(
    ("error", "is_answered"), [(QueueFullError("full"), True), (ServerUnreachableError(""), False)]
)
def test_a_full_queue_is_waited_for_longer_than_a_server_that_is_away(
    monkeypatch, error, is_answered
):
    """Until the request's own deadline: what was refused is sent again, and never dropped."""
    monkeypatch.setattr(transport, "_FIRST_DELAY_S", 0.01)
    refusals = 6

    async def attempt(model, inputs, timeout_s):
        nonlocal refusals
        refusals -= 1
        if refusals > 0:
            raise error
        return "answer"

    async def ask():
        server = Server("127.0.0.1:1", away_s=0.05)
        monkeypatch.setattr(server, "_attempt", attempt)
        try:
            return await server.infer("forensic", {}, 60.0)
        finally:
            server.close()

    if is_answered:
        assert asyncio.run(ask()) == "answer"
    else:
        with pytest.raises(ServerUnreachableError):
            asyncio.run(ask())
