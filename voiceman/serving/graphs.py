"""Recording work once and replaying it: CUDA graphs; on the CPU work stays what it is.

A step of a small batch is a few hundred kernels of microseconds each, and launching them one
by one takes the host longer than computing them takes the device. A graph launches them all.

What holds for recorded work (https://docs.pytorch.org/docs/stable/notes/cuda.html): fixed
shapes, tensors at fixed addresses, no synchronisation with the host. Its temporaries live in a
memory pool. Graphs may share one only if no two of them ever run at the same time, so every
lane has a pool of its own and its graphs are replayed in that lane alone.
"""

from collections.abc import Callable

import torch

from voiceman.serving.lanes import Lane

Work = Callable[[], None]
Record = Callable[[Work], Work]

# Libraries choose kernels and allocate workspaces when they first meet a shape; none of this
# may happen during the recording.
_RUNS_BEFORE = 2

# Held back while they do: memory must run out in the runs before and not in the recording, which
# would leave torch's allocator in disarray (https://github.com/pytorch/pytorch/pull/180395).
_MARGIN_BYTES = 2**28


def recorder(lane: Lane) -> Record:
    """What turns work into its replay in a lane; all its recordings share one memory pool.

    Recordings must end together: torch frees a stream's cuBLAS workspace with the first of its
    graphs (https://github.com/pytorch/pytorch/issues/193402).
    """
    stream = lane.stream
    if stream is None:
        return lambda work: work
    pool = torch.cuda.graph_pool_handle()

    def record(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        # Warmed up in this very stream: a cuBLAS workspace belongs to a stream, and one that the
        # streams of two lanes shared would be overwritten by both at once. The stream is current
        # around the recording too, so that it is left even when a recording breaks off.
        with torch.cuda.stream(stream):
            margin = torch.empty(_MARGIN_BYTES, dtype=torch.uint8, device=lane.device)
            for _ in range(_RUNS_BEFORE):
                work()
            del margin
            # Other threads of the process may go on allocating.
            with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
                work()
        return graph.replay

    return record
