"""How a fit that takes a while says how far it is: to whoever listens, else as a bar on the terminal."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

QUIET_SECONDS = 2.0
"""A fit that is over by then is not worth a bar."""


@dataclass(frozen=True)
class Step:
    """How far a fit is.

    Parameters
    ----------
    what : who is being fitted, for people.
    done, total : steps; ``total`` is where early stopping at the latest ends.
    loss : a running mean of the training loss.
    score : the last validation score; None where there is none.
    seconds, left : since it began, and until its end at this pace.
    """

    what: str
    done: int
    total: int
    loss: float
    score: float | None
    seconds: float
    left: float

    def __str__(self) -> str:
        score = "" if self.score is None else f", validation {self.score:.4f}"
        return f"{self.what}: loss {self.loss:.4f}{score}"


Listener = Callable[[Step | None], None]
"""Told each step, and None when the fit ended."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within, every fit tells this listener instead of drawing a bar itself: a program that has bars of its own."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@dataclass
class Clock:
    """Turns steps into reports of them, for one fit.

    Parameters
    ----------
    what : who is being fitted.
    total : how many steps there will be at most.
    begun : at which step this process began: what was resumed took no time now.
    """

    what: str
    total: int
    begun: int = 0
    _start: float = field(default_factory=time.monotonic)
    _loss: float | None = None
    _score: float | None = None
    _listener: Listener | None = None

    def __post_init__(self) -> None:
        self._listener = _LISTENER.get() or _own_bar()

    def step(self, done: int, loss: Callable[[], float]) -> None:
        """One step ended; ``loss`` is asked for only where somebody listens (on a GPU it means waiting)."""
        if self._listener is None:
            return
        seconds = time.monotonic() - self._start
        if seconds < QUIET_SECONDS:
            return
        now = loss()
        self._loss = now if self._loss is None else 0.95 * self._loss + 0.05 * now
        left = seconds / max(1, done - self.begun) * (self.total - done)
        self._listener(Step(self.what, done, self.total, self._loss, self._score, seconds, left))

    def score(self, score: float) -> None:
        """A validation score, shown from here on."""
        self._score = score

    def end(self) -> None:
        """The fit ended, one way or another."""
        if self._listener is not None:
            self._listener(None)


def _own_bar() -> Listener | None:
    """A bar on the terminal's stderr; None where there is no terminal, or in a worker process, whose it is not."""
    if multiprocessing.parent_process() is not None or not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    bar = Progress(*shown, console=Console(stderr=True, highlight=False), transient=True)
    tasks: list[Any] = []

    def listen(step: Step | None) -> None:
        """Show how far it is; None: it has ended."""
        if step is None:
            bar.stop()
            return
        if not tasks:
            bar.start()
            tasks.append(bar.add_task("", total=step.total, left=""))
        bar.update(tasks[0], description=str(step), completed=step.done, left=f"about {step.left:.0f} s left")

    return listen
