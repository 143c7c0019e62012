"""The hottest GPU of a server on another machine, by a Prometheus metrics page.

Triton's own metrics page (2.51: `nv_gpu_utilization`, `nv_gpu_memory_*`, `nv_gpu_power_*`,
`nv_energy_consumption`) holds no temperature. It is read from `voiceman_gpu_temperature_celsius`,
which the model `whisper` adds to that page, or from `DCGM_FI_DEV_GPU_TEMP` where the address is
that of NVIDIA's DCGM exporter.
"""

import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from voiceman.errors import ConfigurationError
from voiceman_client.reading import Reading

TEMPERATURE_METRICS = ("voiceman_gpu_temperature_celsius", "DCGM_FI_DEV_GPU_TEMP")
MEMORY_METRICS = ("nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes")
_PAGE_TIMEOUT_S = 3.0  # less than the 5 s between readings


class MetricsSensor:
    """The hottest GPU on a Prometheus metrics page."""

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        fetch: Callable[[str], str] | None = None,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            url: http(s) address of the page.
            clock: a monotonic clock in s.
            fetch: gives the text of a page, or raises OSError.
        """
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"{url}: the address of a metrics page begins with http")
        self.name = url
        self._clock = clock
        self._fetch = fetch or _fetch

    def read(self) -> Reading:
        """What the page says; where it names GPUs without a temperature, `missing` says so."""
        now_s = self._clock()
        try:
            found = parse_metrics(self._fetch(self.name))
        except (OSError, ValueError, HTTPException) as err:
            why = f"{self.name}: {err}"
            return Reading(now_s, missing={"temperature_celsius": why}, has_gpu=None)
        celsius = next((found[name] for name in TEMPERATURE_METRICS if name in found), {})
        values = {gpu: value for gpu, value in celsius.items() if not math.isnan(value)}
        has_gpu = bool(celsius) or any(name.startswith("nv_gpu_") for name in found)
        used, total = _fullest(found)
        if not values:
            missing = {
                "temperature_celsius": f"{self.name}: none of {', '.join(TEMPERATURE_METRICS)}"
            }
            return Reading(
                now_s,
                memory_used_bytes=used,
                memory_total_bytes=total,
                missing=missing,
                has_gpu=has_gpu,
                may_appear=True,
            )
        gpu = max(values, key=lambda name: values[name])

        def of_gpu(name: str) -> float | None:
            every = found.get(name, {})
            return every.get(gpu, next(iter(every.values())) if len(every) == 1 else None)

        return Reading(
            time_s=now_s,
            temperature_celsius=values[gpu],
            sm_clock_mhz=of_gpu("DCGM_FI_DEV_SM_CLOCK"),
            power_w=of_gpu("nv_gpu_power_usage"),
            utilisation=of_gpu("nv_gpu_utilization"),
            memory_used_bytes=used,
            memory_total_bytes=total,
        )


def _fullest(found: Mapping[str, Mapping[str, float]]) -> tuple[float | None, float | None]:
    """Bytes in use, and of all, of the fullest GPU on a page."""
    used, totals = (found.get(name, {}) for name in MEMORY_METRICS)
    both = [(used[gpu], total) for gpu, total in totals.items() if total and gpu in used]
    return max(both, key=lambda pair: pair[0] / pair[1], default=(None, None))


def parse_metrics(page: str) -> Mapping[str, Mapping[str, float]]:
    """Samples of a Prometheus page about GPUs: name of the metric, GPU, value.

    Raises:
        ValueError: the page breaks the format.
    """
    from prometheus_client.parser import (  # noqa: PLC0415  # slow, and for remote servers only
        text_string_to_metric_families,
    )

    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = sample.labels
            gpu = labels.get("gpu_uuid") or labels.get("UUID") or labels.get("gpu")
            if gpu is not None:
                found.setdefault(sample.name, {})[gpu] = float(sample.value)
    return found


def _fetch(url: str) -> str:
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.netloc, timeout=_PAGE_TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path or '/'}{parts.query and '?' + parts.query}")
        page = connection.getresponse()
        if page.status != HTTPStatus.OK:
            raise OSError(f"HTTP status {page.status}")
        return page.read().decode("utf-8", errors="replace")
    finally:
        connection.close()
