"""The core catalogue gives the same results however it is run, and the same choices with other threads and BLAS."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routereval.data.folders import write_folder
from routereval.datasets import Datasets
from routereval.policies import PolicySpec, expanded
from routereval.results import ResultStore, StoredRun
from routereval.runner.execute import execute
from routereval.runner.plan import Task, plan
from routereval.sources.synthetic import Synthetic, SyntheticSpec

LAST_BITS = 1e-4
"""By how much a predicted score, or the entropy of one, may differ that was added up in another order."""
DEAR = ("auto", "forest", "mlp", "rorf", "satzilla")
"""Half of the time of the core; to Dask workers, which do in a process what others do, the others are given."""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[Task]:
    """Every router of the core on two pools of a tiny benchmark."""
    folder = tmp_path_factory.mktemp("data")
    data = Synthetic(SyntheticSpec("tiny", prompts=120, models=8, dimensions=16, sizes=(3,))).data
    write_folder(folder / "tiny", data)
    routers = [PolicySpec.parse(name).build() for name in expanded(["core"])]
    return plan(Datasets(folder).select(["tiny/all_strong/3", "tiny/all_weak/3"]), routers)


def done(tasks: Sequence[Task], file: Path, **how: Any) -> dict[str, StoredRun]:
    """The runs of these tasks, by key; all that went well."""
    with ResultStore(file) as store:
        execute(tasks, store, **how)
        runs = {run.spec.key: run for run in store.runs()}
    assert {run.error for run in runs.values()} == {None}
    assert len(runs) == sum(len(task.specs) for task in tasks)
    return runs


def of_one_pool(tasks: Sequence[Task]) -> list[Task]:
    """Half of the runs: columnwise routers lose the company of the other pool."""
    return [part for task in tasks if (part := task.without({s.key for s in task.specs if "weak" in s.scenario}))]


@pytest.fixture(scope="module")
def here(tasks: list[Task], tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoredRun]:
    """What this process makes of them, one after another, with one thread."""
    return done(tasks, tmp_path_factory.mktemp("here") / "r.sqlite")


def assert_same(one: StoredRun, other: StoredRun, within: float = 0.0) -> None:
    """Compare what was chosen, exactly, and what was predicted, within so much."""
    about = f"{one.spec.router} on {one.spec.scenario}"
    assert one.outcome is not None
    assert other.outcome is not None
    np.testing.assert_array_equal(one.outcome.choices, other.outcome.choices, err_msg=about)
    np.testing.assert_array_equal(one.outcome.share, other.outcome.share, err_msg=about)
    assert one.outcome.columns.keys() == other.outcome.columns.keys()
    for name, values in one.outcome.columns.items():
        # Exact but for what is made of predicted scores; what the chosen model scored is a fact.
        near = within if name in ("entropy", "predicted") else 0.0
        np.testing.assert_allclose(values, other.outcome.columns[name], rtol=0, atol=near, err_msg=f"{about}: {name}")
    if not within:
        np.testing.assert_equal(one.metrics, other.metrics)
        np.testing.assert_equal(one.intervals, other.intervals)


def test_two_workers_give_the_results_of_one_process(
    tasks: list[Task], here: dict[str, StoredRun], tmp_path: Path
) -> None:
    there = done(tasks, tmp_path / "r.sqlite", jobs=2)
    for key, run in here.items():
        assert_same(run, there[key])


def test_dask_workers_give_the_results_of_one_process(
    tasks: list[Task], here: dict[str, StoredRun], tmp_path: Path, dask_here: Any
) -> None:
    cheap = [task for task in tasks if task.specs[0].router not in DEAR]
    there = done(cheap, tmp_path / "r.sqlite", executor=dask_here.get_executor())
    for key, run in there.items():
        assert_same(here[key], run)
    assert {run.spec.router for run in there.values()} | {*DEAR} == {run.spec.router for run in here.values()}


def test_another_order_gives_the_same_results(tasks: list[Task], here: dict[str, StoredRun], tmp_path: Path) -> None:
    some = of_one_pool(tasks)
    random.Random(0).shuffle(some)
    for key, run in done(some, tmp_path / "r.sqlite").items():
        assert_same(here[key], run)


def test_more_threads_and_another_blas_change_last_bits_and_no_choice(
    tasks: list[Task], here: dict[str, StoredRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What OpenBLAS takes for processors of 2008: other kernels, which add up in another order.
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    for key, run in done(of_one_pool(tasks), tmp_path / "r.sqlite", jobs=2, threads=2).items():
        assert_same(here[key], run, within=LAST_BITS)
