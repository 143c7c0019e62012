"""How loaded the server is, by its metrics page.

Triton's own pages count what waits for a model; the line and the slots of Whisper's engine stand
beside them, see `voiceman.serving.whisper.metrics`.
"""

import asyncio
import http.client
import logging
import re
from collections import defaultdict
from dataclasses import dataclass

log = logging.getLogger(__name__)

METRICS_PORT = 8002  # of a server with its default ports
_TIMEOUT_S = 2.0
_MAX_PAGE_BYTES = 4 << 20  # ours has some 50 kB; a page without an end is none of ours
# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$")
_PENDING = "nv_inference_pending_request_count"
_LINE = "voiceman_whisper_waiting"
_SLOTS = "voiceman_whisper_slots_total"
_GPU_USED, _GPU_TOTAL = "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"


@dataclass(frozen=True)
class ServerLoad:
    """What the server says of itself.

    Attributes:
        waiting: windows that nobody works on yet: in the engine's line, and in the longest
            queue before a model (a window may stand in several, one for each voice model).
        slots: windows that the engine decodes at once; None: it does not say.
        gpu_memory_share: 0 to 1, of the fullest GPU; None: the server has none, or cannot say
            (NVML on GB10).
    """

    waiting: int
    slots: int | None
    gpu_memory_share: float | None


def read_load(page: str) -> ServerLoad:
    """Read a metrics page.

    Raises:
        ValueError: it is none of a Triton server's.
    """
    samples: dict[str, dict[str, float]] = defaultdict(dict)
    for line in page.splitlines():
        if found := _SAMPLE.match(line.strip()):
            samples[found[1]][found[2] or ""] = float(found[3])
    if _PENDING not in samples:
        raise ValueError(f"no {_PENDING} in it")
    queue = max(samples[_PENDING].values())
    totals = samples[_GPU_TOTAL]
    shares = [used / totals[gpu] for gpu, used in samples[_GPU_USED].items() if totals.get(gpu)]
    slots = sum(samples[_SLOTS].values())
    return ServerLoad(
        waiting=int(queue + sum(samples[_LINE].values())),
        slots=int(slots) or None,
        gpu_memory_share=max(shares, default=None),
    )


class MetricsPage:
    """The page at an address; a run goes on without it where it cannot be read."""

    def __init__(self, address: str) -> None:
        """Read nothing yet.

        Args:
            address: host:port of the server's metrics.
        """
        self._address = address
        self._said = False

    async def load(self) -> ServerLoad | None:
        """What the page says; None: it cannot be read, which is said once."""
        try:
            return read_load(await asyncio.to_thread(self._read))
        except (OSError, http.client.HTTPException, ValueError) as err:
            if not self._said:
                self._said = True
                log.warning(
                    "%s: the server's metrics cannot be read (%s); windows in flight go by what "
                    "waits here alone",
                    self._address,
                    err,
                )
            return None

    def _read(self) -> str:
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise http.client.HTTPException(f"status {answer.status}")
            return answer.read(_MAX_PAGE_BYTES).decode()
        finally:
            connection.close()


def metrics_address(server: str) -> str:
    """Where the metrics of a server at host:port of gRPC are by default."""
    return f"{server.rpartition(':')[0]}:{METRICS_PORT}"
