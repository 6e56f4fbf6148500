"""A worker process: calls what it is sent and sends back what comes of it.

It leads a session of its own, so that Ctrl-C on the terminal is the driver's alone and so that it can be ended together
with whatever it started. When the driver is gone, however that came, it ends at once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from routereval.errors import WorkerError
from routereval.runner import descendants
from routereval.runner.threads import bounded

READY = b"ready"
"""What a worker says when it can be sent work."""


def main(handle: int, timed: bool, threads: int) -> None:
    """Serve the driver at the other end of this socket until it closes it.

    Parameters
    ----------
    threads : how many its calls compute with.
    timed : whether calls are timed; then what takes a while to import is imported before.
    """
    channel = Connection(handle)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    born = os.getpid()
    # What a router forks must neither answer in the worker's stead nor keep the channel open when the worker is gone.
    os.register_at_fork(after_in_child=lambda: os.close(handle))
    _offer_to_be_killed()
    import psutil  # noqa: F401

    import routereval.runner.perform  # noqa: F401
    from routereval.data.part_files import share_parts

    share_parts()
    if timed:
        import numba  # noqa: F401
        import sklearn  # noqa: F401
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    channel.send_bytes(READY)
    with bounded(threads):
        while True:
            answer = _answer(inbox.get())
            if os.getpid() != born:
                os._exit(0)  # a forked process that came back from the router
            channel.send_bytes(answer)


def _listen(channel: Connection, inbox: queue.SimpleQueue[bytes]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            inbox.put(channel.recv_bytes())
    # The driver is gone or has no more work: whatever runs here would run for nobody.
    with contextlib.suppress(Exception):
        descendants.end_all(os.environ[descendants.VARIABLE], descendants.children_of(os.getpid()))
    os.killpg(0, signal.SIGKILL)


def _answer(payload: bytes) -> bytes:
    """The pickle of (whether it went well, what came back or what was raised)."""
    try:
        function, args = pickle.loads(payload)
        answer: tuple[bool, Any] = True, function(*args)
    except BaseException as error:
        answer = False, error
    try:
        return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        said = f"{type(answer[1]).__name__} cannot be sent back ({type(error).__name__}: {error})"
        return pickle.dumps((False, WorkerError(f"{said}: {answer[1]!r:.500}")))


def _offer_to_be_killed() -> None:
    """Where the memory runs out, Linux shall end a worker, which is replaced, rather than the driver."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
