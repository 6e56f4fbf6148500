"""What a Dask worker does: each task in a process of its own pool, which is what a router may take down."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from routereval.errors import ClusterError, WorkerError
from routereval.results.database import versions
from routereval.runner.limits import Limits
from routereval.runner.perform import perform
from routereval.runner.plan import Task
from routereval.runner.pool import WorkerPool


def perform_guarded(
    calls: Sequence[tuple[bytes, str, float]], expected: dict[str, str], limits: Limits, threads: int
) -> list[bytes]:
    """On a Dask worker: each call in a process of its own pool, and the pickle of what came of it."""
    mine = facts()
    if mine != expected:
        return [pickle.dumps((False, ClusterError(difference({"a worker": mine}, expected))))] * len(calls)
    pool = _guard(limits, threads)
    replies = []
    for payload, what, weight in calls:
        try:
            replies.append(pool.schedule_pickled(payload, what=what, weight=weight).result())
        except WorkerError as error:
            replies.append(pickle.dumps((False, error)))
    return replies


@lru_cache(maxsize=1)
def _guard(limits: Limits, threads: int) -> WorkerPool:
    """The processes of this Dask worker, one for each of its threads."""
    from distributed import get_worker

    return WorkerPool(get_worker().state.nthreads, threads=threads, limits=limits)


def pickled(task: Task, threads: int) -> bytes:
    """The call that does a task; the module of a router that no package brought travels along."""
    import cloudpickle

    module = sys.modules.get(type(task.policy).__module__)
    if module is None or not _is_loose(module) or module.__name__ in cloudpickle.list_registry_pickle_by_value():
        return bytes(cloudpickle.dumps((perform, (task, threads))))
    cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps((perform, (task, threads))))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_loose(module: Any) -> bool:
    """Whether a module is a file of somebody's rather than part of an installed package."""
    if "." in module.__name__ or module.__name__ == "__main__":
        return False
    file = getattr(module, "__file__", None) or ""
    return bool(file) and "site-packages" not in file and Path(os.__file__).parent not in Path(file).parents


def facts() -> dict[str, str]:
    """What must be the same here and there for results to be the same, and for what is sent to be understood."""
    return versions() | {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}


def difference(there: dict[str, dict[str, str]], here: dict[str, str]) -> str:
    """Which versions differ, by worker, as a sentence."""
    said = [
        f"{address} has {name} {found.get(name, 'none')}, here it is {value}"
        for address, found in sorted(there.items())
        for name, value in here.items()
        if found.get(name) != value
    ]
    more = f" and {len(said) - 5} more" if len(said) > 5 else ""
    return f"versions differ on the cluster: {'; '.join(said[:5])}{more}; install the same on every worker"
