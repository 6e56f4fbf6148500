"""One worker process: started, fed, watched, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from routereval.errors import LimitError, WorkerError
from routereval.runner import descendants
from routereval.runner.limits import Limits, memory_of, readable
from routereval.runner.threads import environment

TICK_SECONDS = 0.1
"""How often a process is looked at that says nothing."""
START_SECONDS = 120.0
_TAIL = 2000
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from routereval.runner.worker import main; main(int(sys.argv[1]), bool(sys.argv[3]), int(sys.argv[4]))"
)


class Process:
    """One worker process.

    Raises
    ------
    WorkerError : it does not start.
    """

    def __init__(self, threads: int, *, timed: bool = False):
        ours, theirs = socket.socketpair()
        self._mark = uuid.uuid4().hex
        with theirs:
            self._popen = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _MAIN,
                    str(theirs.fileno()),
                    json.dumps(sys.path),
                    "timed" if timed else "",
                    str(threads),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | environment(threads) | {descendants.VARIABLE: self._mark},
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
        """End it and all it started, in sessions of their own too."""
        children = descendants.children_of(self.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        descendants.end_all(self._mark, children)
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


def _times(seconds: float, weight: float) -> str:
    return f"{seconds:g} seconds" if weight == 1 else f"{seconds:g} seconds x {weight:g} runs that share a fit"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
