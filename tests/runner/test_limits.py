"""Amounts of memory and of time as people write them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from routereval.errors import LimitError, ParameterError
from routereval.runner.limits import Limits, bytes_of, memory_of, readable
from routereval.runner.pool import WorkerPool

HOLDS = "kept = b'x' * {size}; print('has it', flush=True); input()"
STARTS = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("4G", 4 * 10**9), ("1.5GiB", 1_610_612_736), ("64 kb", 64_000), ("17", 17)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "4X", "-1GB", "4GBB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="no amount of memory; expected something like 500MB"):
        bytes_of(text)


def test_sizes_are_written_as_people_read_them() -> None:
    assert [readable(size) for size in (999, 64_000, 1_530_000, 2.5e9, 7e12)] == [
        "999 bytes", "64 kB", "1.53 MB", "2.5 GB", "7e+03 GB"
    ]  # fmt: skip


@pytest.mark.parametrize("limits", [{"timeout": 0.0}, {"timeout": float("nan")}, {"memory": 0}])
def test_a_limit_of_nothing_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="expected more than 0"):
        Limits(**limits)  # type: ignore[arg-type]


def test_memory_is_what_a_process_has_to_itself() -> None:
    before = memory_of(os.getpid())
    kept = np.ones(10_000_000)
    assert 70e6 < memory_of(os.getpid()) - before < 120e6
    assert kept[0] == 1
    assert memory_of(2**22 + 1) == 0


@pytest.fixture
def holding():
    """Starts a process that starts one which has so much memory; both are ended."""
    started = []

    def start(size: int) -> None:
        words = [sys.executable, "-c", STARTS, HOLDS.format(size=size)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "has it\n"

    yield start
    for process in started:
        process.communicate("\n")


def test_what_a_child_of_a_child_has_counts(holding) -> None:
    before = memory_of(os.getpid())
    holding(100_000_000)
    # Two interpreters come with it.
    assert 100e6 < memory_of(os.getpid()) - before < 160e6


def test_a_run_is_ended_for_the_memory_of_what_it_started(tmp_path, eventually, is_running) -> None:
    pids = tmp_path / "pids"
    child = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); x = b'x' * 600_000_000; time.sleep(20)"

    def run() -> None:
        subprocess.run([sys.executable, "-c", child], check=True)

    # A worker process by itself has a third of that.
    with WorkerPool(1, limits=Limits(memory=600_000_000)) as pool:
        with pytest.raises(LimitError, match="of memory; at most 600 MB were allowed"):
            pool.submit(run).result(timeout=60)
        eventually(lambda: not is_running(int(pids.read_text())), 5)
