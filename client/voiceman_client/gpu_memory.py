"""The GPU's memory, by what the temperature's sensor read last: nothing is asked twice."""

from voiceman.memory import Reading as MemoryReading
from voiceman_client.reading import Reading

OLD_S = 15.0  # three looks of heat control: what it read before says nothing of now


def gpu_memory(reading: Reading | None, now_s: float) -> MemoryReading | None:
    """How full the GPU's own memory is.

    Args:
        reading: the sensor's last one; None: there was none.
        now_s: on the clock of the reading.

    Returns:
        None: it is not known, the reading is old, or CPU and GPU share one memory, which the
        machine's own meter reads.
    """
    if reading is None or reading.memory_is_machines or now_s - reading.time_s > OLD_S:
        return None
    used, total = reading.memory_used_bytes, reading.memory_total_bytes
    return MemoryReading(int(used), int(total)) if used is not None and total else None
