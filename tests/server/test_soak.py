"""What server and client hold is the same after work as before: the short form of `make soak`."""

import os
import shutil

import psutil
import pytest

from perf.faults.processes import Client, wait_until
from perf.resting import read_held, regions
from perf.thirty_recordings import cut_recordings
from voiceman.server.stubs import find_stubs
from voiceman_client import Client as PythonClient
from voiceman_export.registries import ProgramMissingError

ROUNDS = 2
SETTLED_S = 20.0


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        cut_recordings(folder, 1, (1.0, 2.0))
    except ProgramMissingError as err:
        pytest.skip(str(err))
    return folder


def held(server, pids):
    """Descriptors and processes of both sides at this moment, and regions of shared memory."""
    stubs = {stub.model: stub.process for stub in find_stubs(server.process.pid)}
    processes = {"server": psutil.Process(server.process.pid), "client": psutil.Process(), **stubs}
    ours = (f"{server.prefix}.", *(f"voiceman-audio-{pid}-" for pid in pids))
    return {
        "descriptors": {name: read_held(one).descriptors for name, one in processes.items()},
        "processes": {
            name: sorted(child.pid for child in one.children(recursive=True))
            for name, one in processes.items()
        },
        "regions": regions(lambda name: name.startswith(ours)),
    }


def work(server, recordings, results):
    """A batch of a client in this process, and a `submit` that ends; returns its process id."""
    with PythonClient(server.grpc_url) as client:
        outcomes = list(client.process_batch(sorted(recordings.iterdir())))
    assert [outcome.error for outcome in outcomes] == [None]
    submit = Client(recordings, results, server.grpc_url, server.ports.metrics)
    assert submit.process.wait(120) == 0, submit.said.read_text()
    shutil.rmtree(results)
    return submit.process.pid


def test_rounds_of_work_leave_nothing_open_running_or_shared(server, recordings, tmp_path):
    pids = [os.getpid()]
    pids.append(work(server, recordings, tmp_path / "first"))  # what is opened once stays open
    before = None

    def is_steady():
        nonlocal before
        earlier, before = before, held(server, pids)
        return before == earlier

    assert wait_until(is_steady, SETTLED_S, every_s=1.0)
    for number in range(ROUNDS):
        pids.append(work(server, recordings, tmp_path / str(number)))
    # What ends may take a moment, and who watches a server asks it something now and then.
    wait_until(lambda: held(server, pids) == before, SETTLED_S, every_s=0.5)
    assert held(server, pids) == before
