"""What the server says, as an error of our own."""

import pytest
from tritonclient.utils import InferenceServerException

from voiceman.errors import (
    DeadlineExceededError,
    PastDeadlineError,
    QueueFullError,
    ServerError,
    ServerUnreachableError,
)
from voiceman_client.transport import _RETRIED, to_error


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
