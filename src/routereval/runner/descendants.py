"""What a worker process started, whatever became of its parents: found by its ancestors, and by a mark it inherited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

VARIABLE = "ROUTEREVAL_WORKER"
"""Marks a worker: every process that it starts inherits it, also one that leads a session of its own, or whose parent
is gone."""

_ROUNDS = 5
"""How often they are looked for: one may have started another meanwhile."""


def children_of(pid: int) -> list[Any]:
    """The processes that this one started, and those that they did; to be asked for while it lives."""
    import psutil

    try:
        found: list[Any] = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return found


def end_all(mark: str, known: Iterable[Any] = ()) -> None:
    """Kill the processes that carry a mark, this one left out, and those that are known already.

    One that threw its environment away, and whose parent was gone when it was looked for, is not found.

    Parameters
    ----------
    mark : the value of :data:`VARIABLE` the worker was started with.
    known : what :func:`children_of` gave.
    """
    import psutil

    left = {*known, *_marked(mark)}
    for _ in range(_ROUNDS):
        for process in left:
            try:
                process.kill()  # which makes sure that the number is not another's by now
            except psutil.Error:
                continue
        psutil.wait_procs(left, timeout=0.5)
        left = set(_marked(mark))
        if not left:
            return


def _marked(mark: str) -> list[Any]:
    import psutil

    found, here = [], psutil.Process().pid
    for process in psutil.process_iter():
        try:
            ours = process.pid != here and process.environ().get(VARIABLE) == mark
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # somebody else's, or gone
    return found
