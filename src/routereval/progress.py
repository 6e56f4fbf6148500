"""How work of many steps says how far it is; whoever prints decides how that looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

Advance = Callable[[], None]
"""Says that one more step is done."""

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""A bar for this work of this many steps."""


@dataclass(frozen=True)
class Activity:
    """What one worker is doing.

    Parameters
    ----------
    where : which worker: a number and a process here, an address on a cluster.
    what : what it does, for people.
    seconds : for how long already; nan where nobody knows.
    """

    where: str
    what: str
    seconds: float


@dataclass(frozen=True)
class Event:
    """Something that happened to a suite of runs while it was done.

    Parameters
    ----------
    kind : ``begin`` (runs, workers), ``submit`` (what, runs), ``run`` (key, scenario, router, seed, seconds, error,
        done, failed, total), ``retry`` (what, attempt, why), ``stopping`` (running), ``end`` (done, failed, total);
        and ``working`` (activities), which is for a display alone.
    fields : the values, each something JSON can hold, ``activities`` aside.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


OnEvent = Callable[[Event], None]
"""Is told what happens; called from the thread that drives."""


@contextmanager
def unseen(what: str, total: int) -> Iterator[Advance]:
    """No bar at all."""
    yield lambda: None
