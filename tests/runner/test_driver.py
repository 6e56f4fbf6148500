"""Small tasks share calls; one that fails its call costs no other its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from routereval.datasets import Selection
from routereval.errors import LimitError, WorkerError
from routereval.policies import PolicySpec
from routereval.progress import Activity
from routereval.results import ResultStore
from routereval.runner import driver
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


class PunctualCrew(Crew):
    """Works at once and here; begins no task of a call after a second, by a clock that only its work moves.

    Parameters
    ----------
    cost : seconds that a run takes, by the router's parameter p and the seed.
    """

    workers, gpus, call_seconds = 1, 0, 1.0

    def __init__(self, cost: Callable[[float, int], float], *, workers: int = 1):
        self._cost, self.workers = cost, workers
        self.clock = 0.0
        self.calls: list[list[tuple[float, int]]] = []
        """The p and seed of each run that it was sent."""

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        began, done = self.clock, []
        self.calls.append([(task.specs[0].params["p"], task.seed) for task in tasks])
        for task, run in zip(tasks, self.calls[-1], strict=True):
            if not done or self.clock - began < self.call_seconds:
                done += perform_each([task])
                self.clock += self._cost(*run)
        future: Future[Any] = Future()
        future.set_result(done)
        return future

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        return list(future.result())

    def running(self) -> list[Activity]:
        return []


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


def runs_by(
    crew: PunctualCrew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ps: Sequence[float] = (0.5,)
) -> list[tuple[float, int]]:
    """The p and seed of every run that is stored when r_o has run with thirty seeds."""
    monkeypatch.setattr(driver, "time", SimpleNamespace(monotonic=lambda: crew.clock))
    selection = Selection(Synthetic(SPEC).data, (("all_strong", 3),))
    tasks = plan([selection], [PolicySpec.parse(f"r_o:p={p}").build() for p in ps], seeds=range(30))
    with ResultStore(tmp_path / "r.sqlite") as store:
        execute(tasks, store, executor=crew)
        return sorted((run.spec.params["p"], run.spec.seed) for run in store.runs())


def test_what_a_call_had_no_time_for_is_done_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first two promise calls of many; then each takes longer than a call shall.
    crew = PunctualCrew(lambda p, seed: 0.001 if seed < 2 else 2.0)
    assert runs_by(crew, tmp_path, monkeypatch) == [(0.5, seed) for seed in range(30)]
    # 28 wait, then 21: a quarter of them, as there is one worker.
    assert [[seed for _, seed in call] for call in crew.calls[:4]] == [[0], [1], [*range(2, 9)], [*range(9, 14)]]
    later = [seed for call in crew.calls[4:] for _, seed in call]
    assert max(later.index(seed) for seed in (3, 10)) < later.index(14)


def test_runs_share_a_call_with_their_own_kind_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = PunctualCrew(lambda p, seed: 0.001 if p == 0.5 else 10.0)
    assert len(runs_by(crew, tmp_path, monkeypatch, ps=(0.5, 0.9))) == 60
    # The quick ones say nothing about the slow ones, though one router has both.
    assert [call for call in crew.calls if len(call) > 1 and call[-1][0] == 0.9] == []
    assert [len(call) for call in crew.calls if call[0][0] == 0.5] == [1, 1, 14, 11, 3]


def test_no_call_takes_so_many_runs_that_other_workers_have_none_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = PunctualCrew(lambda p, seed: 0.001, workers=2)
    assert len(runs_by(crew, tmp_path, monkeypatch)) == 30
    # At most an eighth of what waits, as there are two workers: of 26, 23, 21, 19, then 17, 15, 14, ...
    assert [len(call) for call in crew.calls] == [1, 1, 1, 1, 3, 2, 2, 2, 2, *[1] * 15]


def test_a_call_begins_nothing_more_when_its_time_is_over() -> None:
    tasks = thirty_runs()
    assert len(perform_each(tasks, seconds=0.0)) == 1
    assert len(perform_each(tasks)) == 30
