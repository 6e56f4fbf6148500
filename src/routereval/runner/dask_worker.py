"""What a Dask worker does: each task in a process beside it, which is what a router may take down.

Such a process ends with its task where the task is no longer wanted: where the driver took it back, or is gone.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Callable, Sequence

from routereval.errors import ClusterError, WorkerError
from routereval.results.database import versions
from routereval.runner.limits import Limits
from routereval.runner.process import Process


def perform_guarded(
    calls: Sequence[tuple[bytes, float]],
    expected: dict[str, str],
    limits: Limits,
    threads: int,
    topic: str,
    seconds: float,
) -> list[bytes]:
    """On a Dask worker: each call in a process of its own, and the pickle of what came of it.

    Those calls are left out that would begin after so many seconds, except the first.

    Parameters
    ----------
    calls : each pickled, and how many times the timeout it may take.
    topic : where the driver listens; it is told which task has begun, and where.
    """
    from distributed import get_worker
    from distributed.utils import sync

    worker = get_worker()
    key = worker.get_current_task()
    # Not worker.log_event, which does not wait until it is sent: the worker may die at once.
    sync(worker.loop, worker.scheduler.log_event, topic=topic, msg={"key": str(key), "worker": worker.address})
    mine = facts()
    if mine != expected:
        return [pickle.dumps((False, ClusterError(difference({"a worker": mine}, expected))))] * len(calls)

    def unwanted() -> bool:
        # A task that is taken back while it is executed has another state; one whose driver is gone too.
        task = worker.state.tasks.get(key)
        return task is None or task.state != "executing"

    began = time.monotonic()
    replies: list[bytes] = []
    for payload, weight in calls:
        if replies and time.monotonic() - began >= seconds:
            break
        try:
            if unwanted():
                raise WorkerError("taken back")
            replies.append(_GUARDS.call(payload, limits, weight, threads, unwanted))
        except WorkerError as error:
            replies.append(pickle.dumps((False, error)))
    return replies


class Guards:
    """Processes that wait for the next task, so that not each begins with a start of Python.

    There are as many as tasks were done at a time, whatever drivers come and go: one that does not fit the next task
    makes room for one that does. Other limits are no reason not to fit.
    """

    def __init__(self) -> None:
        self._idle: list[tuple[int, bool, Process]] = []
        self._lock = threading.Lock()

    def call(self, payload: bytes, limits: Limits, weight: float, threads: int, stop: Callable[[], bool]) -> bytes:
        """The pickle of what came of a call.

        Raises
        ------
        WorkerError, LimitError : the process died, was ended for what it took, or was told to stop.
        """
        timed, process = self._taken(threads, limits.timeout is not None)
        try:
            answer = process.call(payload, limits, weight, stop)
        except WorkerError:
            raise  # the process is gone
        except BaseException:
            process.end()
            raise
        with self._lock:
            self._idle.append((threads, timed, process))
        return answer

    def _taken(self, threads: int, timed: bool) -> tuple[bool, Process]:
        """A process with so many threads, and whether it has imported beforehand what a timeout shall not count."""
        with self._lock:
            fitting = [one for one in self._idle if one[0] == threads and one[1] >= timed]
            chosen = (fitting or self._idle)[-1:]
            self._idle = [one for one in self._idle if one not in chosen]
        for _, has, process in chosen:
            if fitting and process.alive:
                return has, process
            process.end()
        return timed, Process(threads, timed=timed)


_GUARDS = Guards()


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
