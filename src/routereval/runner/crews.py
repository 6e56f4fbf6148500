"""Whoever does the work of a suite, seen by the driver: so many workers that take tasks and give results."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, Protocol

from routereval.errors import RouterError, RouterEvalError, WorkerError
from routereval.progress import Activity
from routereval.results import RunResult
from routereval.runner.limits import Limits
from routereval.runner.perform import perform_each
from routereval.runner.plan import Task
from routereval.runner.pool import WorkerPool
from routereval.runner.sending import call_of_each
from routereval.runner.splitting import label
from routereval.runner.threads import cores

NEAR_SECONDS, FAR_SECONDS = 0.05, 0.5
"""How long a call to a process of ours and to anybody else's shall take that several small tasks share.

No task of it is begun later.
"""

Answer = list[RunResult] | Exception
"""What came of one task: its runs, or why there are none."""


class DeathsError(WorkerError):
    """Workers died that had a call.

    Parameters
    ----------
    deaths : how many while they were at it, if it was not tried once; none where it waited for others at the one.
    """

    def __init__(self, message: str, deaths: int):
        super().__init__(message)
        self.deaths = deaths


class Crew(Protocol):
    """Workers of one kind or another."""

    @property
    def workers(self) -> int:
        """How many work at a time."""

    @property
    def gpus(self) -> int:
        """How many of them compute on a GPU, where tasks that do go to those only; 0: all go to all."""

    @property
    def call_seconds(self) -> float:
        """How long a call shall take that several small tasks share; 0 where each has a call of its own."""

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        """Begin these tasks in one call."""

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        """What came of each that was begun, once the future is done: of the first at least, in their order.

        Raises
        ------
        RouterEvalError : no worker will do anything any more.
        """

    def cancel(self, future: Future[Any]) -> bool:
        """Take a call back that was not begun; whether that could be done."""

    def running(self) -> list[Activity]:
        """What each worker is doing, as far as it is known."""

    def kill(self) -> None:
        """Let nothing run on."""

    def close(self) -> None:
        """Let the workers go, all calls being done."""


class LocalCrew:
    """Watched processes on this machine.

    Small tasks share a call: its way to the process and back takes as long as an empty run does. Where there are limits
    they do not, because a limit is a run's.
    """

    def __init__(self, workers: int, limits: Limits, threads: int = 1):
        self.workers, self.gpus, self._threads = workers, 0, threads
        self.call_seconds = 0.0 if limits else NEAR_SECONDS
        self._pool = WorkerPool(workers, threads=threads, limits=limits)

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        """Begin tasks in one call."""
        weight = sum(len(task.specs) for task in tasks)
        try:
            return self._pool.send(
                call_of_each(tasks, self._threads, self.call_seconds), what=call_label(tasks), weight=weight
            )
        except Exception as error:
            return unsendable(tasks[0], error)

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        """What came of each that was begun."""
        error = future.exception()
        return list(future.result()) if error is None else [_exception(error)] * len(tasks)

    def cancel(self, future: Future[Any]) -> bool:
        """Take them back if no process has them."""
        return future.cancel()

    def running(self) -> list[Activity]:
        """What each process is doing."""
        return self._pool.running()

    def kill(self) -> None:
        """End the processes."""
        self._pool.kill()

    def close(self) -> None:
        """End the processes, which have nothing to do."""
        self._pool.shutdown()


class ExecutorCrew:
    """Any executor of the standard library's kind; it is its owner's to shut down."""

    call_seconds = FAR_SECONDS
    gpus = 0

    def __init__(self, executor: Executor, threads: int = 1):
        self._executor, self._threads = executor, threads
        self.workers = int(getattr(executor, "_max_workers", 0)) or cores()
        self._tasks: dict[Future[Any], str] = {}

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        """Begin tasks in one call."""
        future = self._executor.submit(perform_each, list(tasks), self._threads, self.call_seconds)
        self._tasks[future] = call_label(tasks)
        return future

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        """What came of each that was begun."""
        self._tasks.pop(future, None)
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise RouterEvalError(
                "a worker process died (out of memory, or a router took it down) and the whole executor with it; what "
                "had ended is stored, and with jobs= instead of executor= a worker that dies costs its own run only"
            ) from error
        return list(future.result()) if error is None else [_exception(error)] * len(tasks)

    def cancel(self, future: Future[Any]) -> bool:
        """Take it back if nobody has begun."""
        return future.cancel()

    def running(self) -> list[Activity]:
        """What is being done; who does it only the executor knows."""
        return [
            Activity("executor", what, float("nan")) for future, what in list(self._tasks.items()) if future.running()
        ]

    def kill(self) -> None:
        """Take back what nobody has begun."""
        for future in list(self._tasks):
            future.cancel()

    def close(self) -> None:
        """Nothing: it is not ours."""


def unsendable(task: Task, error: Exception) -> Future[Any]:
    """A future that has failed: the task cannot be sent to another process."""
    future: Future[Any] = Future()
    name = type(task.policy).__name__
    future.set_exception(
        RouterError(f"{name} cannot be sent to another process ({type(error).__name__}: {error}); try --jobs 1")
    )
    return future


def call_label(tasks: Sequence[Task]) -> str:
    """What a call does, for people."""
    return label(tasks[0]) + (f" and {len(tasks) - 1} more" if len(tasks) > 1 else "")


def _exception(error: BaseException) -> Exception:
    """What a call raised, as the reason of a failed run."""
    if isinstance(error, Exception):
        return error
    return WorkerError(f"the call ended with {type(error).__name__}: {error}")
