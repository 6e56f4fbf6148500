"""What is done together and in which order: fits that serve many are kept, but not so that a worker idles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from routereval.halving import divided, two_sides
from routereval.policies import is_reference
from routereval.runner.plan import Task

# Seconds next to those of a router that is a matrix product or two, at one shape; only the order matters.
_WEIGHT = {
    "best_single": 0.1,
    "knn": 1.0,
    "kmeans": 3.0,
    "gmm": 3.0,
    "linear": 5.0,
    "boosting": 10.0,
    "svm": 50.0,
    "mirt": 10.0,
    "mf": 40.0,
    "mlp": 40.0,
    "forest": 50.0,
    "rorf": 50.0,
    "satzilla": 100.0,
    "auto": 30.0,
    "stack": 20.0,
    "uniroute_learned": 20.0,
}
_FOREIGN, _NEURAL, _OTHER = 10.0, 200.0, 4.0


def cost(task: Task) -> float:
    """How much work a task is next to others: prompts x models x what the router is known to take."""
    models = sum(m for _, m in task.pools)
    prompts = len(task.data.split.train) if task.train_size is None else task.train_size
    return _weight(task) * (prompts + 100) * (models + 10) * max(1, task.tune)


def needs_gpu(task: Task) -> bool | None:
    """Whether it computes on a GPU: yes where it was told to, None where it would if there is one."""
    device = getattr(task.policy, "device", None)
    if isinstance(device, str) and device:
        return device.startswith(("cuda", "mps"))
    return None if _is_neural(task) else False


def split_for(tasks: Sequence[Task], workers: int) -> list[Task]:
    """The same runs, the largest tasks first, none so large that the other workers would wait for it alone.

    A task whose pools share a fit is halved as long as it is more than a worker's share of all there is to do: its
    fit is done twice then, by workers that would have nothing to do.
    """
    parts = divided(tasks, workers, cost, lambda task: halves(task) if len(task.pools) > 1 else ())
    return sorted(parts, key=cost, reverse=True)


def halves(task: Task) -> tuple[Task, Task]:
    """Two tasks of about as many models each."""
    first, second = two_sides([m for _, m in task.pools])
    return _part(task, first), _part(task, second)


def singles(task: Task) -> list[Task]:
    """One task for each run."""
    return [_part(task, [i]) for i in range(len(task.pools))]


def label(task: Task) -> str:
    """What a task is, for people."""
    spec = task.specs[0]
    where = spec.scenario if len(task.specs) == 1 else f"{spec.benchmark}, {len(task.specs)} pools"
    return f"{spec.router} on {where}" + (f", seed {spec.seed}" if spec.seed else "")


def _part(task: Task, index: list[int]) -> Task:
    index = sorted(index)
    return replace(task, pools=tuple(task.pools[i] for i in index), specs=tuple(task.specs[i] for i in index))


def _weight(task: Task) -> float:
    if is_reference(task.policy):
        return 0.1
    if _is_neural(task):
        return _NEURAL
    name = task.specs[0].router
    return _WEIGHT.get(name, _FOREIGN if ":" in name else _OTHER)


def _is_neural(task: Task) -> bool:
    return ".neural." in type(task.policy).__module__
