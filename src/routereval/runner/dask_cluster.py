"""A Dask cluster as a crew: through ``Client.get_executor``, each task in a watched process beside the Dask worker.

The process beside it is what a router may take down: the Dask worker itself stays, and with it the cluster's books.
"""

from __future__ import annotations

import logging
import pickle
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from routereval.errors import ClusterError, MissingDataError, WorkerError
from routereval.progress import Activity
from routereval.runner.crews import FAR_SECONDS, Answer, unsendable
from routereval.runner.dask_worker import difference, facts, perform_guarded
from routereval.runner.limits import Limits
from routereval.runner.plan import Task
from routereval.runner.sending import call_of
from routereval.runner.splitting import label, needs_gpu
from routereval.runner.threads import cores

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""Instead of an address: a cluster of this machine's processors, for as long as it is needed."""
GPU = "GPU"
"""The resource that a Dask worker with a GPU declares: ``dask worker --resources GPU=1``."""
CONNECT_SECONDS = 30.0
LOOK_SECONDS = 5.0


@contextmanager
def dask_crew(
    address: str, *, workers: int | None = None, limits: Limits | None = None, threads: int = 1
) -> Iterator[DaskCrew]:
    """The cluster at this address (or ``local``, with so many workers) for as long as the context lasts.

    Raises
    ------
    MissingDataError : Dask is not installed.
    ClusterError : nobody answers there, no worker comes, or versions differ.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingDataError("--dask needs the extra dask: pip install 'routereval[dask]'") from error
    with dask.config.set({"distributed.comm.timeouts.connect": CONNECT_SECONDS}), _quiet():
        if address == LOCAL:
            with _deaf():
                cluster = LocalCluster(
                    n_workers=workers or cores(), threads_per_worker=1, dashboard_address=":0", silence_logs=50
                )
            with cluster, Client(cluster) as client:
                yield DaskCrew(client, limits, threads)
            return
        try:
            client = Client(address, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}: {error}); start one with: dask "
                "scheduler, and workers with: dask worker ADDRESS"
            ) from error
        try:
            yield DaskCrew(client, limits, threads)
        finally:
            with suppress(Exception):
                client.close(timeout=2)


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, Dask prints no tracebacks of its own: what goes wrong is an error of ours, in a sentence."""
    # Dask gives several of its loggers a level and a handler each.
    loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict] if name.startswith("distributed")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started within do not hear Ctrl-C, which is the driver's to answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class DaskCrew:
    """The workers of a cluster.

    Parameters
    ----------
    client : connected to it; it stays open.

    Raises
    ------
    ClusterError : no worker comes, or versions differ between here and there.
    """

    call_seconds = FAR_SECONDS

    def __init__(self, client: Client, limits: Limits | None = None, threads: int = 1):
        self._client, self._limits, self._threads = client, limits or Limits(), threads
        self._executor = client.get_executor(pure=False, retries=0)
        self._looked = 0.0
        self._slots = 1
        self._gpus = False
        _wait_for_workers(client)
        _check_versions(client)

    @classmethod
    def of_executor(cls, executor: Executor, limits: Limits | None = None, threads: int = 1) -> DaskCrew:
        """The crew of an executor that ``Client.get_executor`` gave."""
        return cls(executor._client, limits, threads)  # type: ignore[attr-defined]

    @property
    def workers(self) -> int:
        """How many tasks the cluster does at a time; it may grow and shrink meanwhile."""
        self._look()
        return self._slots

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        """Begin tasks in one call."""
        try:
            calls = [(call_of(task, self._threads), label(task), float(len(task.specs))) for task in tasks]
        except Exception as error:
            return unsendable(tasks[0], error)
        more: dict[str, Any] = {"key": f"{label(tasks[0])} ({len(tasks)} tasks)-{uuid.uuid4()}"}
        wanted = needs_gpu(tasks[0])
        self._look()
        if wanted and not self._gpus:
            return _failing(
                ClusterError(
                    f"{label(tasks[0])} wants a GPU, and no worker of the cluster declares one; start one with: "
                    "dask worker ADDRESS --resources GPU=1"
                )
            )
        if wanted or (wanted is None and self._gpus):
            more["resources"] = {GPU: 1}
        try:
            future: Future[Any] = self._executor.submit(
                perform_guarded, calls, facts(), self._limits, self._threads, **more
            )
            return future
        except Exception as error:
            raise self._lost(error) from error

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        """What came of each.

        Raises
        ------
        ClusterError : the scheduler is gone, or a worker has other versions.
        """
        try:
            replies = future.result()
        except CancelledError as error:
            raise self._lost(error) from error
        except Exception as error:
            return [self._reason(error)] * len(tasks)
        found: list[Answer] = []
        for reply in replies:
            try:
                well, value = pickle.loads(reply)
            except Exception as error:
                well, value = False, WorkerError(f"what came back cannot be read: {type(error).__name__}: {error}")
            if isinstance(value, ClusterError):
                raise value
            found.append(value if well or isinstance(value, Exception) else WorkerError(repr(value)))
        return found

    def cancel(self, future: Future[Any]) -> bool:
        """No: what a worker has begun and what not is the scheduler's to know."""
        return False

    def running(self) -> list[Activity]:
        """What each worker has in hand."""
        with suppress(Exception):
            found = self._client.processing()
            return [
                Activity(address, str(key).rpartition("-")[0][:-37] or str(key), float("nan"))
                for address, keys in found.items()
                for key in keys[:1]
            ]
        return []

    def kill(self) -> None:
        """Take back everything."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)

    def close(self) -> None:
        """Nothing: all calls are done, and the client is not ours."""

    def _look(self) -> None:
        now = time.monotonic()
        if self._looked and now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        with suppress(Exception):
            there = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._slots = max(1, sum(int(worker["nthreads"]) for worker in there))
            self._gpus = any(worker.get("resources", {}).get(GPU, 0) >= 1 for worker in there)

    def _reason(self, error: Exception) -> Exception:
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        if isinstance(error, CommClosedError):
            raise self._lost(error) from error
        if isinstance(error, KilledWorker):
            # Dask tried it on several workers already.
            return WorkerError(f"Dask workers died at it, the last of them {error.last_worker}")
        if isinstance(error, (ImportError, AttributeError)):
            return ClusterError(_CANNOT_READ.format(error=f"{type(error).__name__}: {error}"))
        return error

    def _lost(self, error: BaseException) -> ClusterError:
        return ClusterError(
            f"the Dask scheduler is gone ({type(error).__name__}: {error}); what had ended is stored, and the same "
            "command carries on when there is one again"
        )


_CANNOT_READ = (
    "a worker cannot make sense of what it is sent ({error}); the same version of routereval, and the module of a "
    "router of your own, must be installed on every worker"
)


def _wait_for_workers(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"the Dask cluster {client!r} has no worker after {CONNECT_SECONDS:.0f} seconds; "
            "start some with: dask worker ADDRESS"
        ) from error


def _check_versions(client: Client) -> None:
    expected = facts()
    try:
        there = client.run(facts)
    except Exception as error:
        raise ClusterError(_CANNOT_READ.format(error=f"{type(error).__name__}: {error}")) from error
    differing = {address: found for address, found in there.items() if found != expected}
    if differing:
        raise ClusterError(difference(differing, expected))


def _failing(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
