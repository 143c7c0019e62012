"""What the server says, as an error of our own."""

import pytest
from tritonclient.utils import InferenceServerException

from voiceman.errors import DeadlineExceededError, ServerUnreachableError
from voiceman_client.transport import _RETRIED, to_error


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("StatusCode.UNAVAILABLE", "Request timeout expired", DeadlineExceededError),
        ("StatusCode.INTERNAL", "whisper: the deadline passed 2 s ago", DeadlineExceededError),
        ("StatusCode.UNAVAILABLE", "failed to connect to all addresses", ServerUnreachableError),
    ],
)
def test_a_request_that_came_too_late_is_no_lost_server(status, message, kind):
    error = to_error(InferenceServerException(message, status), "host:1", "forensic", 60.0)
    assert type(error) is kind
    assert isinstance(error, _RETRIED) == (kind is ServerUnreachableError)
