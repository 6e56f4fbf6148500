"""Worker processes that are watched: one that dies, hangs or takes too much memory costs the call it was at, no other.

``ProcessPoolExecutor`` breaks as a whole when a process dies. Here each process is one thread's to start, to feed, to
watch and to replace.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from routereval.errors import LimitError, WorkerError
from routereval.progress import Activity
from routereval.runner.limits import Limits, memory_of, readable

TICK_SECONDS = 0.1
"""How often a process is looked at that says nothing."""
START_SECONDS = 120.0
_TAIL = 2000
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from routereval.runner.worker import main; main(int(sys.argv[1]), bool(sys.argv[3]))"
)

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

        return self._put(_Call(cloudpickle.dumps((fn, args)), what, weight, loads=True))

    def schedule_pickled(self, payload: bytes, *, what: str = "", weight: float = 1.0) -> Future[bytes]:
        """The same for a call that is pickled already; so is what comes back: (whether it went well, what came)."""
        return self._put(_Call(payload, what, weight, loads=False))

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

    def __init__(self, payload: bytes, what: str, weight: float, *, loads: bool):
        self.payload, self.what, self.weight, self.loads = payload, what, weight, loads
        self.future: Future[Any] = Future()

    def settle(self, answer: bytes) -> None:
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
        if self._thread.ident is None:
            self._thread.start()
            return True
        return False

    def activity(self) -> Activity | None:
        now, process = self._now, self._process
        if now is None:
            return None
        where = f"{self._number}" if process is None else f"{self._number} (pid {process.pid})"
        return Activity(where, now[0], time.monotonic() - now[1])

    def give_up(self) -> None:
        self._given_up = True

    def join(self) -> None:
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


class Process:
    """One worker process.

    Raises
    ------
    WorkerError : it does not start.
    """

    def __init__(self, threads: int, *, timed: bool = False):
        ours, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(theirs.fileno()), json.dumps(sys.path), "timed" if timed else ""],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | bounded(threads),
            )
        self._channel = Connection(ours.detach())
        self._printed = b""
        assert self._popen.stdout is not None
        self._output: Any = self._popen.stdout
        self._wait(Limits(timeout=START_SECONDS), 1.0, lambda: False, expected="starting")

    @property
    def pid(self) -> int:
        """Its number, and that of its session."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def call(self, payload: bytes, limits: Limits, weight: float, stop: Callable[[], bool]) -> bytes:
        """Send a call and wait for the answer.

        Raises
        ------
        WorkerError, LimitError : it died, or it was ended for what it took; the process is gone.
        """
        self._printed = b""
        try:
            self._channel.send_bytes(payload)
        except OSError as error:
            raise self._died() from error
        return self._wait(limits, weight, stop)

    def end(self) -> None:
        """End it and all it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._channel.close()
        self._output.close()

    def _wait(self, limits: Limits, weight: float, stop: Callable[[], bool], expected: str = "") -> bytes:
        began = looked = time.monotonic()
        while True:
            sources = [self._channel] if self._output.closed else [self._channel, self._output]
            ready = wait(sources, TICK_SECONDS)
            if self._output in ready:
                self._drain()
            if self._channel in ready:
                try:
                    return self._channel.recv_bytes()
                except (EOFError, OSError) as error:
                    raise self._died(expected) from error
            if not ready and not self.alive:
                raise self._died(expected)
            now = time.monotonic()
            if stop():
                self.end()
                raise WorkerError("stopped")
            if limits.timeout is not None and now - began > limits.timeout * weight:
                self.end()
                raise LimitError(f"took longer than {_times(limits.timeout, weight)}{self._last_words()}")
            if limits.memory is not None and now - looked >= 2 * TICK_SECONDS:
                looked = now
                if (used := memory_of(self.pid)) > limits.memory:
                    self.end()
                    raise LimitError(
                        f"took {readable(used)} of memory; at most {readable(limits.memory)} were allowed"
                        f"{self._last_words()}"
                    )

    def _drain(self) -> None:
        """Take what it prints, so that it never waits for a reader, and keep the end of it."""
        more = os.read(self._output.fileno(), 1 << 16)
        if more:
            self._printed = (self._printed + more)[-_TAIL:]
        else:
            self._output.close()

    def _died(self, expected: str = "") -> WorkerError:
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._popen.wait(1)
            while not self._output.closed and wait([self._output], 0):
                self._drain()
        status = self._popen.poll()
        self.end()
        if status is None:
            how = "closed its connection"
        elif status < 0:
            how = f"was killed by {_signal_name(-status)}"
        else:
            how = f"ended by itself with exit status {status}"
        during = f" while {expected}" if expected else ""
        return WorkerError(f"the worker process {how}{during}{self._last_words()}")

    def _last_words(self) -> str:
        lines = self._printed.decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"; the last it printed: {said[:300]}" if said else ""


def bounded(threads: int) -> dict[str, str]:
    """Environment variables that keep every library of a process to so many threads."""
    names = (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        *("NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"),
        "LOKY_MAX_CPU_COUNT",  # what n_jobs=-1 of scikit-learn comes to
    )
    return dict.fromkeys(names, str(max(1, threads)))


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _times(seconds: float, weight: float) -> str:
    return f"{seconds:g} seconds" if weight == 1 else f"{seconds:g} seconds x {weight:g} runs that share a fit"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
