"""What Triton's metrics page says, and that a run goes on without it."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from voiceman_client.server_load import MetricsPage, ServerLoad, metrics_address, read_load

PAGE = """\
# HELP nv_inference_pending_request_count Instantaneous number of pending requests
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="whisper",version="1"} 7
nv_inference_pending_request_count{model="speaker_embedding",version="1"} 3
# TYPE voiceman_whisper_slots_total gauge
voiceman_whisper_slots_total 8
voiceman_whisper_slots_busy 8.000000
voiceman_whisper_waiting 4
voiceman_whisper_waited_seconds_total 1.5e+3
"""
GPU = """\
nv_gpu_memory_total_bytes{gpu_uuid="GPU-a"} 80000000000.000000
nv_gpu_memory_used_bytes{gpu_uuid="GPU-a"} 20000000000.000000
nv_gpu_memory_total_bytes{gpu_uuid="GPU-b"} 80000000000
nv_gpu_memory_used_bytes{gpu_uuid="GPU-b"} 60000000000
nv_gpu_memory_total_bytes{gpu_uuid="GPU-c"} 0
nv_gpu_memory_used_bytes{gpu_uuid="GPU-c"} 0
"""


def test_what_waits_in_the_longest_queue_and_in_the_engines_line_counts():
    assert read_load(PAGE) == ServerLoad(waiting=11, slots=8, gpu_memory_share=None)


def test_the_fullest_gpu_counts_and_one_that_cannot_say_does_not():
    assert read_load(PAGE + GPU).gpu_memory_share == 0.75


def test_a_server_without_our_engine_says_nothing_of_slots():
    page = 'nv_inference_pending_request_count{model="a",version="1"} 2\n'
    assert read_load(page) == ServerLoad(2, None, None)


@pytest.mark.parametrize("page", ["", "<html>", "nv_inference_count 3\n"])
def test_a_page_of_another_server_is_refused(page: str):
    with pytest.raises(ValueError, match="nv_inference_pending_request_count"):
        read_load(page)


def test_the_metrics_stand_beside_grpc():
    assert metrics_address("10.0.0.7:8001") == "10.0.0.7:8002"
    assert metrics_address("[::1]:9001") == "[::1]:8002"


@pytest.fixture
def page() -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """A server, and what it answers next."""
    answers: list[tuple[int, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_is_read_over_http(page: tuple[str, list[tuple[int, bytes]]]):
    address, answers = page
    answers.append((200, PAGE.encode()))
    assert asyncio.run(MetricsPage(address).load()) == ServerLoad(11, 8, None)


@pytest.mark.parametrize("answer", [(404, b""), (200, b"hello"), (200, b"\xff\xfe")])
def test_a_page_that_cannot_be_read_is_said_once(
    page: tuple[str, list[tuple[int, bytes]]],
    answer: tuple[int, bytes],
    caplog: pytest.LogCaptureFixture,
):
    address, answers = page
    answers.append(answer)
    metrics = MetricsPage(address)
    with caplog.at_level(logging.WARNING):
        assert [asyncio.run(metrics.load()) for _ in range(3)] == [None] * 3
    assert [record.message.count(address) for record in caplog.records] == [1]
    answers[0] = (200, PAGE.encode())
    assert asyncio.run(metrics.load())


def test_nobody_there_is_no_reason_to_stop():
    assert asyncio.run(MetricsPage("127.0.0.1:1").load()) is None
