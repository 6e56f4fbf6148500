"""Small tasks share calls; one that fails its call costs no other its result."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from routereval.datasets import Selection
from routereval.errors import LimitError, WorkerError
from routereval.policies import PolicySpec
from routereval.results import ResultStore
from routereval.runner.crews import Answer, Crew, DeathsError, LocalCrew
from routereval.runner.execute import execute
from routereval.runner.limits import Limits
from routereval.runner.perform import perform_each
from routereval.runner.plan import Task, plan
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("tiny", prompts=40, models=30, dimensions=4, sizes=(3,))
BAD_SEED = 12


class BrittleCrew(Crew):
    """Works at once and here; a call with the bad seed in it fails as a whole."""

    workers, gpus, call_seconds = 1, 0, 60.0

    def __init__(self, error: Exception):
        self._error = error
        self.calls: list[list[int]] = []

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        self.calls.append([task.seed for task in tasks])
        future: Future[Any] = Future()
        if BAD_SEED in self.calls[-1]:
            future.set_exception(self._error)
        else:
            future.set_result(perform_each(tasks))
        return future

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        error = future.exception()
        return future.result() if error is None else [error] * len(tasks)  # type: ignore[list-item]


class DyingCrew(BrittleCrew):
    """Its scheduler, which is not ours, has tried a call on several workers, or had it wait for others."""

    def __init__(self, deaths: list[int]):
        super().__init__(WorkerError("nobody asks for it"))
        self._deaths = iter(deaths)

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        self.calls.append([task.seed for task in tasks])
        future: Future[Any] = Future()
        deaths = next(self._deaths, None)
        if deaths is None:
            future.set_result(perform_each(tasks))
        else:
            future.set_exception(DeathsError("they died", deaths))
        return future


def thirty_runs() -> list[Task]:
    selection = Selection(Synthetic(SPEC).data, (("all_strong", 3),))
    return plan([selection], [PolicySpec.parse("best_single").build()], seeds=range(30))


@pytest.mark.parametrize(
    ("error", "attempts"), [(WorkerError("it died"), 3), (LimitError("too long"), 1), (MemoryError("no more"), 1)]
)
def test_what_fails_a_call_that_runs_share_fails_none_but_itself(
    tmp_path: Path, error: Exception, attempts: int
) -> None:
    crew = BrittleCrew(error)
    with ResultStore(tmp_path / "r.sqlite") as store:
        execute(thirty_runs(), store, executor=crew)
        failed = {run.spec.seed: run.error for run in store.runs() if run.error is not None}
        assert len(store.runs()) == 30
    assert list(failed) == [BAD_SEED]
    assert str(error) in str(failed[BAD_SEED])
    (shared,) = (call for call in crew.calls if BAD_SEED in call and len(call) > 1)
    # Where a worker died, the call it shared was its first attempt.
    assert crew.calls.count([BAD_SEED]) == attempts
    assert all(crew.calls.count([seed]) == 1 for seed in shared if seed != BAD_SEED)


@pytest.mark.parametrize(
    ("deaths", "error"),
    [
        # Tried by the scheduler on four workers: that is enough.
        ([4], "WorkerError: they died; so it went 4 times"),
        ([1, 1, 1, 1], "WorkerError: they died; so it went 4 times"),
        # Waiting at workers that die is not dying, unless there is no end of it.
        ([0] * 15 + [1, 1, 1], None),
        ([0] * 16, "WorkerError: they died; so it went 16 times"),
    ],
)
def test_deaths_of_workers_are_counted_as_often_as_they_happened(
    tmp_path: Path, deaths: list[int], error: str | None
) -> None:
    crew = DyingCrew(deaths)
    with ResultStore(tmp_path / "r.sqlite") as store:
        execute(thirty_runs()[:1], store, executor=crew)
        assert [run.error for run in store.runs()] == [error]
    assert len(crew.calls) == len(deaths) + (error is None)


def test_runs_share_no_call_where_each_has_limits() -> None:
    assert LocalCrew(1, Limits(timeout=5)).call_seconds == 0
    assert LocalCrew(1, Limits()).call_seconds > 0
