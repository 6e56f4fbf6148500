"""Tasks for a GPU go to workers that have one, and keep no others waiting."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import routereval as rv
from routereval.datasets import Selection
from routereval.errors import ClusterError
from routereval.results import ResultStore
from routereval.runner.crews import Answer, Crew
from routereval.runner.dask_crew import DaskCrew
from routereval.runner.execute import execute
from routereval.runner.perform import perform_each
from routereval.runner.plan import Task, plan
from routereval.runner.splitting import needs_gpu
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("tiny", prompts=40, models=30, dimensions=4, sizes=(3,))


@dataclass
class Placed:
    """A router that may want a device."""

    columnwise: ClassVar[bool] = False
    device: str = "cuda"

    def fit(self, train: Any, val: Any = None) -> Placed:
        self.m_ = len(train.model_ids)
        return self

    def predict(self, queries: Any) -> rv.Prediction:
        return rv.Prediction(np.zeros((len(queries), self.m_)))


@dataclass
class Neural(Placed):
    """One that takes a GPU if there is one, as those of ``routers.neural`` do."""

    device: str = ""


Neural.__module__ = "somebodys.neural.router"


def tasks_of(*routers: Any, seeds: int = 1) -> list[Task]:
    return plan([Selection(Synthetic(SPEC).data, (("all_strong", 3),))], routers, seeds=range(seeds))


class SlowGpu(Crew):
    """Three workers, one of which has a GPU: all that others can do is done before its first task is."""

    workers, call_seconds = 3, 0.0

    def __init__(self, others: int):
        self.others = others
        self.waiting: list[tuple[Future[Any], Sequence[Task]]] = []
        self.most = self.looks = 0

    @property
    def gpus(self) -> int:
        self.looks += 1
        assert self.looks < 100, "workers without a GPU have nothing to do"
        return 1

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, tasks))
        self.others -= needs_gpu(tasks[0]) is False
        on_gpu = [needs_gpu(one[0]) is not False for _, one in self.waiting]
        self.most = max(self.most, sum(on_gpu))
        for (done, what), keep in zip(list(self.waiting), on_gpu, strict=True):
            if not keep or not self.others:
                self.waiting.remove((done, what))
                done.set_result(perform_each(what))
        return future

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        return list(future.result())


def test_tasks_that_wait_for_a_gpu_keep_no_other_worker_waiting(tmp_path: Path) -> None:
    crew = SlowGpu(others=8)
    with ResultStore(tmp_path / "r.sqlite") as store:
        execute(tasks_of(Placed(), Neural(), Placed("cpu"), seeds=8), store, executor=crew)
        assert [run.error for run in store.runs()] == [None] * 24
    # One more than the one GPU can do at a time.
    assert crew.most == 2


class FakeClient:
    """Workers that declare so many GPUs; it notes how calls are handed in."""

    id = "fake"

    def __init__(self, *gpus: int):
        self.workers = {f"tcp://{i}": {"nthreads": 1, "resources": {"GPU": n}} for i, n in enumerate(gpus)}
        self.submitted: list[dict[str, Any]] = []
        self.futures: dict[str, Any] = {}

    def get_executor(self, **how: Any) -> Any:
        return SimpleNamespace(submit=self._submit)

    def _submit(self, *call: Any, **how: Any) -> Future[Any]:
        self.submitted.append(how)
        return Future()

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": self.workers}

    def subscribe_topic(self, topic: str, handler: Any) -> None: ...


def test_on_a_cluster_with_a_gpu_it_is_asked_for_by_who_wants_one_and_by_who_takes_one() -> None:
    client = FakeClient(0, 1, 0)
    crew = DaskCrew(client)
    assert (crew.workers, crew.gpus) == (3, 1)
    for task in tasks_of(Placed(), Neural(), Placed("cpu")):
        crew.start([task])
    assert [how.get("resources") for how in client.submitted] == [{"GPU": 1}, {"GPU": 1}, None]


def test_a_worker_with_a_gpu_does_first_what_only_it_can_do() -> None:
    with_gpu, without = FakeClient(0, 1, 0), FakeClient(0, 0)
    for client in (with_gpu, without):
        crew = DaskCrew(client)
        for task in tasks_of(Placed("cpu"), Placed(), Neural()):
            crew.start([task])
    # Dask's default is 0, and a higher one comes first.
    assert [how.get("priority", 0) for how in with_gpu.submitted] == [0, 1, 1]
    assert [how.get("priority", 0) for how in without.submitted] == [0, 0]


def test_without_a_gpu_who_wants_one_fails_with_what_to_do_and_who_would_take_one_does_without() -> None:
    client = FakeClient(0, 0)
    wants, takes = (DaskCrew(client).start([task]) for task in tasks_of(Placed(), Neural()))
    with pytest.raises(ClusterError, match="no worker of the cluster declares one; start one with"):
        wants.result()
    assert [how.get("resources") for how in client.submitted] == [None]
    assert not takes.done()


def test_a_cluster_that_grows_is_given_what_keeps_all_its_workers_busy() -> None:
    client = FakeClient(0)
    assert DaskCrew(client).workers == 1
    assert DaskCrew(client, workers=64).workers == 64
