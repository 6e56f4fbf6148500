"""A run computes with as many threads as it was told to, wherever it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from routereval.datasets import Datasets
from routereval.policies import PolicySpec
from routereval.results import ResultStore
from routereval.runner.execute import execute
from routereval.runner.limits import Limits
from routereval.runner.perform import perform
from routereval.runner.plan import Task, plan

SEES = """
import os
from faulty import Base, note
from threadpoolctl import threadpool_info

class Sees(Base):
    def act(self):
        blas = {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
        note(f"threads {blas} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('LOKY_MAX_CPU_COUNT')}")
"""


@pytest.fixture
def task(site: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    """A run of a router that notes how many threads it may use while it is fitted."""
    (site.folder / "sees.py").write_text(SEES)
    monkeypatch.syspath_prepend(str(site.folder))
    (found,) = plan(Datasets().select(["demo_math/all_strong/3"]), [PolicySpec.parse("sees:Sees").build()])
    yield found
    for module in ("sees", "faulty"):
        sys.modules.pop(module, None)


def here(task: Task, store: ResultStore, threads: int) -> None:
    store.put_all(perform(task, threads))


def in_threads(task: Task, store: ResultStore, threads: int) -> None:
    with ThreadPoolExecutor(1) as executor:
        execute([task], store, executor=executor, threads=threads)


def in_a_process(task: Task, store: ResultStore, threads: int) -> None:
    execute([task], store, limits=Limits(memory=8 * 10**9), threads=threads)


@pytest.mark.parametrize("how", [here, in_threads, in_a_process])
def test_a_fit_sees_the_number_of_threads_that_was_asked_for(
    site: Any, task: Task, how: Callable[[Task, ResultStore, int], None]
) -> None:
    for threads in (1, 2):
        with ResultStore(site.folder / f"{threads}.sqlite") as store:
            how(task, store, threads)
        assert set(site.errors(f"{threads}.sqlite").values()) == {None}
    assert site.log("threads") == [["threads", "{1}", "1", "1"], ["threads", "{2}", "2", "2"]]
