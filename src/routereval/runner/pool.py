"""Worker processes that are watched: one that dies, hangs or takes too much memory costs the call it was at, no other.

``ProcessPoolExecutor`` breaks as a whole when a process dies. Here each process is one thread's to start, to feed, to
watch and to replace.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from routereval.errors import WorkerError
from routereval.progress import Activity
from routereval.runner.limits import Limits
from routereval.runner.process import Process

Result = TypeVar("Result")


class WorkerPool(Executor):
    """Processes that call functions, one call each at a time.

    Functions and arguments travel by cloudpickle: those written in a script or a notebook come along whole.

    Parameters
    ----------
    workers : how many.
    threads : how many threads each may compute with.
    limits : ends the process of a call that takes more; ``timeout`` is for a call of weight 1.
    """

    def __init__(self, workers: int, *, threads: int = 1, limits: Limits | None = None):
        self.workers = max(1, workers)
        self._limits = limits or Limits()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._closed = False
        self._keepers = [_Keeper(i, self._calls, threads, self._limits) for i in range(self.workers)]

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Call it in one of the processes.

        The future's exception is a WorkerError where the process died, a LimitError where it was ended.
        """
        if kwargs:
            raise TypeError("a worker takes positional arguments only")
        return self.schedule(fn, *args)

    def schedule(self, fn: Callable[..., Result], /, *args: Any, what: str = "", weight: float = 1.0) -> Future[Result]:
        """The same; ``what`` says for people what it is, and it may take ``weight`` times the timeout."""
        import cloudpickle

        return self.send(cloudpickle.dumps((fn, args)), what=what, weight=weight)

    def send(self, payload: bytes, *, what: str = "", weight: float = 1.0, loads: bool = True) -> Future[Any]:
        """The same for a call that is pickled already: (function, arguments).

        Parameters
        ----------
        loads : whether the result is unpickled; else it is the pickle of (whether it went well, what came back).
        """
        return self._put(_Call(payload, what, weight, loads))

    def running(self) -> list[Activity]:
        """What each process is doing that is doing something."""
        return [found for keeper in self._keepers if (found := keeper.activity()) is not None]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let what runs end, and what waits too unless it shall be cancelled; then no process is left."""
        if cancel_futures:
            self._cancel_waiting()
        if not self._closed:
            self._closed = True
            for _ in self._keepers:
                self._calls.put(None)
        if wait:
            for keeper in self._keepers:
                keeper.join()

    def kill(self) -> None:
        """End everything now."""
        for keeper in self._keepers:
            keeper.give_up()
        self.shutdown(cancel_futures=True)

    def _put(self, call: _Call) -> Future[Any]:
        if self._closed:
            raise RuntimeError("this pool was shut down")
        self._calls.put(call)
        for keeper in self._keepers:
            # A process is started when there is work for it.
            if keeper.start_if_new():
                break
        return call.future

    def _cancel_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    call.future.cancel()
                    call.future.set_running_or_notify_cancel()


class _Call:
    """One call: how it is sent, and where its result goes."""

    def __init__(self, payload: bytes, what: str, weight: float, loads: bool):
        self.payload, self.what, self.weight, self.loads = payload, what, weight, loads
        self.future: Future[Any] = Future()

    def settle(self, answer: bytes) -> None:
        """Give the future what came back: the value, the exception that was raised, or the bytes as they are."""
        if not self.loads:
            self.future.set_result(answer)
            return
        try:
            well, value = pickle.loads(answer)
        except Exception as error:
            well, value = False, WorkerError(f"what came back cannot be read: {type(error).__name__}: {error}")
        if well:
            self.future.set_result(value)
        else:
            self.future.set_exception(value)


class _Keeper:
    """The thread that keeps one process."""

    def __init__(self, number: int, calls: queue.SimpleQueue[_Call | None], threads: int, limits: Limits):
        self._number, self._calls, self._threads, self._limits = number, calls, threads, limits
        self._thread = threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
        self._process: Process | None = None
        self._given_up = False
        self._now: tuple[str, float] | None = None

    def start_if_new(self) -> bool:
        """Start the thread unless it was started before; whether it was now."""
        if self._thread.ident is None:
            self._thread.start()
            return True
        return False

    def activity(self) -> Activity | None:
        """The call its process is at, and for how long; None where it waits for one."""
        now, process = self._now, self._process
        if now is None:
            return None
        where = f"{self._number}" if process is None else f"{self._number} (pid {process.pid})"
        return Activity(where, now[0], time.monotonic() - now[1])

    def give_up(self) -> None:
        """End the call it is at, and begin no other."""
        self._given_up = True

    def join(self) -> None:
        """Wait until the thread has ended, and its process with it."""
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                if not self._given_up and call.future.set_running_or_notify_cancel():
                    self._now = call.what, time.monotonic()
                    try:
                        answer = self._ready().call(call.payload, self._limits, call.weight, lambda: self._given_up)
                    except Exception as error:
                        self._process = None
                        call.future.set_exception(error)
                    else:
                        call.settle(answer)
                    self._now = None
        finally:
            if self._process is not None:
                self._process.end()

    def _ready(self) -> Process:
        if self._process is None or not self._process.alive:
            self._process = Process(self._threads, timed=self._limits.timeout is not None)
        return self._process
