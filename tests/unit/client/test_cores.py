"""Which cores decode and which prepare, from what Linux says; the machines are made up of files."""

import os

import pytest

from voiceman_client.cores import Cores, read_cores

A725, X925, A78 = 0xD87, 0xD85, 0xD41
GB10 = [A725] * 5 + [X925] * 5 + [A725] * 5 + [X925] * 5
SLOW, FAST = (0, 1, 2, 3, 4, 10, 11, 12, 13, 14), (5, 6, 7, 8, 9, 15, 16, 17, 18, 19)


def machine(root, parts=None, capacities=(), implementer=0x41):
    """Files of a machine whose cores have these part numbers and capacities."""
    (root / "proc").mkdir()
    if parts is None:
        text = "".join(f"processor\t: {n}\nvendor_id\t: GenuineIntel\n\n" for n in range(4))
    else:
        text = "".join(
            f"processor\t: {number}\nBogoMIPS\t: 2000.00\nFeatures\t: fp asimd sve2\n"
            f"CPU implementer\t: {implementer:#04x}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: {part:#05x}\nCPU revision\t: 1\n\n"
            for number, part in enumerate(parts)
        )
    (root / "proc" / "cpuinfo").write_text(text)
    for number, capacity in enumerate(capacities):
        folder = root / f"sys/devices/system/cpu/cpu{number}"
        folder.mkdir(parents=True)
        (folder / "cpu_capacity").write_text(f"{capacity}\n")
    return root


def test_gb10_decodes_on_its_efficiency_cores(tmp_path):
    cores = read_cores(range(20), machine(tmp_path, GB10))
    assert cores == Cores(SLOW, FAST)
    assert cores.two_kinds
    assert cores.workers == 10


def test_part_numbers_count_more_than_capacities(tmp_path):
    """The two clusters of one kind of core have different clocks, and so different capacities."""
    capacities = [700] * 5 + [1000] * 5 + [718] * 5 + [1024] * 5
    assert read_cores(range(20), machine(tmp_path, GB10, capacities)) == Cores(SLOW, FAST)


def test_only_cores_that_may_be_used_are_used(tmp_path):
    root = machine(tmp_path, GB10)
    assert read_cores((3, 4, 5), root) == Cores((3, 4), (5,))
    alike = read_cores((0, 1), root)
    assert alike == Cores((0, 1), (0, 1))
    assert not alike.two_kinds


def test_unknown_parts_are_told_apart_by_capacity(tmp_path):
    root = machine(tmp_path, [A78] * 4 + [X925] * 2, [500, 500, 500, 500, 900, 1024])
    assert read_cores(range(6), root) == Cores((0, 1, 2, 3), (4, 5))


def test_the_same_numbers_of_another_maker_say_nothing(tmp_path):
    cores = read_cores(range(20), machine(tmp_path, GB10, implementer=0x51))
    assert not cores.two_kinds


@pytest.mark.parametrize("capacities", [(), (1024,) * 4, (0, 0, 0, 0), (500, 1024)])
def test_equal_cores_are_both_kinds(tmp_path, capacities):
    cores = read_cores(range(4), machine(tmp_path, None, capacities))
    assert cores == Cores((0, 1, 2, 3), (0, 1, 2, 3))
    assert cores.workers == 4


def test_many_equal_cores_make_ten_workers(tmp_path):
    assert read_cores(range(64), machine(tmp_path, None)).workers == 10


def test_a_machine_without_any_files_has_equal_cores(tmp_path):
    assert read_cores((0, 1), tmp_path) == Cores((0, 1), (0, 1))


def test_this_machine():
    cores = read_cores()
    assert set(cores.efficiency) | set(cores.performance) == os.sched_getaffinity(0)
