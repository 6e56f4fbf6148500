"""The workers of a Dask cluster as a crew: through ``Client.get_executor``, each task in a process beside the worker.

That process is what a router may take down: the Dask worker itself stays, and with it the cluster's books.
"""

from __future__ import annotations

import pickle
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from routereval.errors import ClusterError, WorkerError
from routereval.progress import Activity
from routereval.runner.crews import FAR_SECONDS, Answer, DeathsError, call_label, unsendable
from routereval.runner.dask_worker import facts, perform_guarded
from routereval.runner.limits import Limits
from routereval.runner.plan import Task
from routereval.runner.sending import call_of
from routereval.runner.splitting import label, needs_gpu

if TYPE_CHECKING:
    from distributed import Client

GPU = "GPU"
"""The resource that a Dask worker with a GPU declares: ``dask worker --resources GPU=1``."""
LOOK_SECONDS = 5.0
LOST_SECONDS = 30.0
"""How long a call has to be over for the cluster before its result, which has not come, is taken for lost."""


@dataclass
class _Call:
    """What is known of a call: what it does, how often a worker began it, and who did so last and when."""

    what: str
    begun: int = 0
    worker: str = ""
    since: float = 0.0


class DaskCrew:
    """The workers of a cluster.

    Parameters
    ----------
    client : connected to it; it stays open.
    workers : how many there will be, where more come as there is work for them; None: those there are.
    """

    call_seconds = FAR_SECONDS

    def __init__(self, client: Client, limits: Limits | None = None, threads: int = 1, *, workers: int | None = None):
        self._client, self._limits, self._threads = client, limits or Limits(), threads
        self._executor = client.get_executor(pure=False, retries=0)
        self._expected = workers or 1
        self._looked = 0.0
        self._slots, self._gpus = 1, 0
        self._keys: dict[Future[Any], str] = {}
        self._calls: dict[str, _Call] = {}
        self._over: dict[str, float] = {}
        _listen(client, self)

    @property
    def workers(self) -> int:
        """How many tasks the cluster does at a time; it may grow and shrink meanwhile."""
        self._look()
        return max(self._slots, self._expected)

    @property
    def gpus(self) -> int:
        """How many tasks it does at a time that compute on a GPU."""
        self._look()
        return self._gpus

    def start(self, tasks: Sequence[Task]) -> Future[Any]:
        """Begin tasks in one call."""
        try:
            calls = [(call_of(task, self._threads), float(len(task.specs))) for task in tasks]
        except Exception as error:
            return unsendable(tasks[0], error)
        what = call_label(tasks)
        key = f"{what}-{uuid.uuid4()}"
        more: dict[str, Any] = {"key": key}
        wanted = needs_gpu(tasks[0])
        if wanted and not self.gpus:
            return _failing(
                ClusterError(
                    f"{label(tasks[0])} wants a GPU, and no worker of the cluster declares one; start one with: "
                    "dask worker ADDRESS --resources GPU=1"
                )
            )
        if wanted or (wanted is None and self.gpus):
            # A worker with a GPU does what only it can do before what all can.
            more |= {"resources": {GPU: 1}, "priority": 1}
        self._calls[key] = _Call(what)
        try:
            future: Future[Any] = self._executor.submit(
                perform_guarded,
                calls,
                facts(),
                self._limits,
                self._threads,
                self._client.id,
                self.call_seconds,
                **more,
            )
        except Exception as error:
            raise self._lost(error) from error
        self._keys[future] = key
        return future

    def answers(self, future: Future[Any], tasks: Sequence[Task]) -> list[Answer]:
        """What came of each that was begun.

        Raises
        ------
        ClusterError : the scheduler is gone, or a worker has other versions.
        """
        call = self._forget(future)
        try:
            replies = future.result()
        except CancelledError as error:
            raise self._lost(error) from error
        except Exception as error:
            return [self._reason(error, call)] * len(tasks)
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
        """Take them back if no worker has them."""
        key = self._keys.get(future)
        if key is None or self._calls[key].begun or not future.cancel():
            return False
        self._forget(future)
        return True

    def running(self) -> list[Activity]:
        """What each worker has in hand."""
        self._look()  # after Ctrl-C too, when nobody asks how many workers there are
        now = time.monotonic()
        calls = sorted((call for call in self._calls.values() if call.begun), key=lambda call: call.since)
        return [Activity(call.worker, call.what, now - call.since) for call in calls]

    def kill(self) -> None:
        """Take back everything: workers end what they are at."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)

    def close(self) -> None:
        """Nothing: all calls are done, and the client is not ours."""

    def began(self, key: str, worker: str) -> None:
        """Be told that a worker has begun a call, which may be another crew's."""
        call = self._calls.get(key)
        if call is not None:
            call.begun, call.worker, call.since = call.begun + 1, worker, time.monotonic()

    def _forget(self, future: Future[Any]) -> _Call:
        key = self._keys.pop(future, "")
        self._over.pop(key, None)
        return self._calls.pop(key, _Call(""))

    def _look(self) -> None:
        now = time.monotonic()
        if self._looked and now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._give_up_lost(now)
        with suppress(Exception):
            there = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._slots = max(1, sum(int(worker["nthreads"]) for worker in there))
            self._gpus = sum(
                min(int(worker.get("resources", {}).get(GPU, 0)), int(worker["nthreads"])) for worker in there
            )

    def _give_up_lost(self, now: float) -> None:
        """End futures that would never end by themselves.

        What is raised while a result is fetched does not come out of ``Client.get_executor``: where a result is lost
        with its worker, and the next worker dies at the call, one would wait for ever.
        """
        for future, key in list(self._keys.items()):
            state = self._client.futures.get(key)
            if future.done() or state is None or state.status not in ("error", "finished"):
                self._over.pop(key, None)
            elif now - self._over.setdefault(key, now) >= LOST_SECONDS:
                lost = WorkerError("the result was lost with the Dask worker that had it")
                with suppress(InvalidStateError):
                    future.set_exception(state.exception or lost)

    def _reason(self, error: Exception, call: _Call) -> Exception:
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        if isinstance(error, CommClosedError):
            raise self._lost(error) from error
        if isinstance(error, KilledWorker):
            # Perhaps several of them, where the scheduler is not ours; or one at which it waited for others.
            deaths = min(call.begun, error.allowed_failures + 1)
            return DeathsError(f"the Dask worker {error.last_worker.address} died", deaths)
        if isinstance(error, (ImportError, AttributeError)):
            return ClusterError(CANNOT_READ.format(error=f"{type(error).__name__}: {error}"))
        return error

    def _lost(self, error: BaseException) -> ClusterError:
        return ClusterError(
            f"the Dask scheduler is gone ({type(error).__name__}: {error}); what had ended is stored, and the same "
            "command carries on when there is one again"
        )


CANNOT_READ = (
    "a worker cannot make sense of what it is sent ({error}); the same version of routereval, and the module of a "
    "router of your own, must be installed on every worker"
)


_LISTENING: WeakKeyDictionary[Client, WeakSet[DaskCrew]] = WeakKeyDictionary()
"""The crews of each client: workers say under its name what they begin, which the scheduler forgets when it is gone."""


def _listen(client: Client, crew: DaskCrew) -> None:
    if client not in _LISTENING:
        crews = _LISTENING[client] = WeakSet()

        def tell(event: tuple[float, dict[str, str]]) -> None:
            # The scheduler itself says things there too.
            key, worker = event[1].get("key"), event[1].get("worker")
            for one in list(crews) if key and worker else ():
                one.began(str(key), str(worker))

        client.subscribe_topic(client.id, tell)
    _LISTENING[client].add(crew)


def _failing(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
