"""A disk that is full, or fails, at any change that a run makes to it: nothing is lost or torn.

`disk_faults.c` fails the n-th change, once or from there on, with ENOSPC or EIO, in Python's own
code, in C, and in SQLite. A run that meets it ends well or says what to do; the next one, and one
that answers from the cache, give the same bytes as a run that met nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import disk_runs
import pytest

HERE = Path(disk_runs.__file__).parent
# Every change in every way takes a quarter of an hour: DISK_FAULTS_STEP=1.
STEP = int(os.environ.get("DISK_FAULTS_STEP", "37"))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The preloaded library that makes changes fail."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: install gcc to have disks fail")
    path = tmp_path_factory.mktemp("faults") / "disk_faults.so"
    source = HERE / "disk_faults.c"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-o", path, source, "-ldl"],
        check=True,
    )
    return path


@pytest.mark.timeout(3600)
def test_a_disk_fault_at_any_change_costs_nothing_but_time(library, recordings, tmp_path):
    done = subprocess.run(
        [sys.executable, disk_runs.__file__, library, tmp_path, str(STEP), *recordings[:2]],
        env=os.environ
        | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    tried = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line for line in tried if line["wrong"]] == []
    hit = {line["failed"].partition(" ")[0] for line in tried if line["failed"]}
    assert {"write", "pwrite", "fdatasync"} <= hit
    assert len(tried) >= 4 * 100 / STEP
