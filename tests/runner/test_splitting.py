"""What shares a fit stays together, unless workers would idle; the largest comes first."""

from __future__ import annotations

import pytest

from routereval.datasets import Datasets
from routereval.policies import PolicySpec
from routereval.runner.plan import Task, plan
from routereval.runner.splitting import cost, halves, label, needs_gpu, singles, split_for


def tasks_of(*routers: str, target: str = "demo_math/*/*") -> list[Task]:
    return plan(Datasets().select([target]), [PolicySpec.parse(text).build() for text in routers])


def keys(tasks: list[Task]) -> list[str]:
    return sorted(spec.key for task in tasks for spec in task.specs)


def test_one_worker_gets_every_fit_whole() -> None:
    tasks = tasks_of("knn", "kmeans")
    assert [len(task.pools) for task in tasks] == [12, 12]
    assert sorted(len(task.pools) for task in split_for(tasks, 1)) == [12, 12]


def test_a_single_fit_is_divided_so_that_no_worker_idles() -> None:
    tasks = tasks_of("knn")
    divided = split_for(tasks, 2)
    assert len(divided) >= 2
    assert keys(divided) == keys(tasks)
    # Three pools of 100 models can be dealt to two workers as 200 and 100, and the rest evens that out.
    models = sorted(sum(m for _, m in task.pools) for task in divided)
    assert models[-1] <= 0.7 * sum(models)


def test_fits_are_kept_where_there_are_enough_of_them_for_every_worker() -> None:
    tasks = tasks_of("knn", "knn:k=3", "knn:k=7", "knn:k=9")
    assert [len(task.pools) for task in split_for(tasks, 2)] == [12] * 4


def test_the_largest_comes_first() -> None:
    tasks = split_for(tasks_of("oracle", "mlp", "knn"), 2)
    costs = [cost(task) for task in tasks]
    assert costs == sorted(costs, reverse=True)
    assert tasks[0].specs[0].scenario.endswith("/100")
    assert tasks[0].specs[0].router == "mlp"
    assert tasks[-1].specs[0].router == "oracle"


def test_halves_and_singles_are_the_same_runs() -> None:
    (task,) = tasks_of("knn")
    first, second = halves(task)
    assert keys([first, second]) == keys([task]) == keys(singles(task))
    assert {len(one.pools) for one in singles(task)} == {1}


def test_a_label_says_the_router_and_where() -> None:
    (task,) = tasks_of("knn", target="demo_math/*/3")
    assert label(task) == "knn on demo_math, 3 pools"
    assert label(singles(task)[0]) == "knn on demo_math/all_strong/3"


def test_who_computes_on_a_gpu_is_known_by_its_device() -> None:
    pytest.importorskip("torch")
    wanted = {text: needs_gpu(tasks_of(text)[0]) for text in ("mlc:device=cuda", "mlc:device=cpu", "mlc", "knn")}
    assert wanted == {"mlc:device=cuda": True, "mlc:device=cpu": False, "mlc": None, "knn": False}
