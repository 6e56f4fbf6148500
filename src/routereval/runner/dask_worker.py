"""What a Dask worker does: each task in a process of its own pool, which is what a router may take down."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from functools import lru_cache

from routereval.errors import ClusterError, WorkerError
from routereval.results.database import versions
from routereval.runner.limits import Limits
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
            replies.append(pool.send(payload, what=what, weight=weight, loads=False).result())
        except WorkerError as error:
            replies.append(pickle.dumps((False, error)))
    return replies


@lru_cache(maxsize=1)
def _guard(limits: Limits, threads: int) -> WorkerPool:
    """The processes of this Dask worker, one for each of its threads."""
    from distributed import get_worker

    return WorkerPool(get_worker().state.nthreads, threads=threads, limits=limits)


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
