"""Driving a crew: handing out tasks, storing what comes back, trying again what a dead worker took along."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from routereval.errors import ClusterError, LimitError, WorkerError
from routereval.results import RunResult
from routereval.runner.crews import Answer, Crew
from routereval.runner.interrupts import Interrupts
from routereval.runner.ledger import HELD_SECONDS, Ledger
from routereval.runner.perform import failed
from routereval.runner.plan import Task
from routereval.runner.splitting import label, needs_gpu, singles, split_for

RETRIES = 3
"""How often a run is tried again whose worker died."""
SHOWN_SECONDS = 0.5


@dataclass
class _Item:
    """A task, how often a worker died at it, and whether it must have a call of its own."""

    task: Task
    deaths: int = 0
    alone: bool = False


class Driver:
    """One suite on its way through a crew.

    Parameters
    ----------
    crew : who works.
    ledger : where results go.
    """

    def __init__(self, crew: Crew, ledger: Ledger):
        self._crew, self._ledger = crew, ledger
        self._waiting: deque[_Item] = deque()
        self._running: dict[Future[Any], tuple[list[_Item], float]] = {}
        self._pace: dict[str, float] = {}
        self._shown = 0.0

    def drive(self, tasks: Iterable[Task], interrupts: Interrupts) -> None:
        """Do all of them, or those that run at the time of the first Ctrl-C.

        Raises
        ------
        KeyboardInterrupt : it was interrupted, once or twice; what had ended is stored.
        RouterEvalError : no worker will do anything any more.
        """
        self._waiting.extend(_Item(task) for task in split_for(list(tasks), self._crew.workers))
        try:
            while self._running or (self._waiting and not interrupts.asked):
                if interrupts.asked:
                    self._take_back()
                else:
                    self._hand_out()
                ended = wait(self._running, HELD_SECONDS, FIRST_COMPLETED).done
                for future in ended:
                    self._settle(future)
                self._ledger.store_if_due()
                self._show()
        except BaseException:
            # Not waiting: what runs now is done again next time.
            self._crew.kill()
            raise
        finally:
            self._ledger.store()
        if interrupts.asked:
            self._crew.kill()
            raise KeyboardInterrupt
        self._crew.close()

    def _hand_out(self) -> None:
        # One more for each than it can do at a time, so that none waits for the driver.
        while self._waiting and len(self._running) < 2 * self._crew.workers:
            items = self._next()
            if items:
                tasks = [item.task for item in items]
                self._running[self._crew.start(tasks)] = items, time.monotonic()
                self._ledger.tell("submit", what=[label(task) for task in tasks], runs=sum(len(t.specs) for t in tasks))

    def _next(self) -> list[_Item]:
        """What is due next: one task, or several small ones of a kind."""
        first = self._waiting[0]
        room = 1 if first.alone else self._fitting(first.task)
        items: list[_Item] = []
        while self._waiting and len(items) < room and (not items or self._alike(first, self._waiting[0])):
            item = self._waiting.popleft()
            left = self._ledger.left_of(item.task)
            if left is not None:
                items.append(_Item(left, item.deaths, item.alone))
        return items

    def _fitting(self, task: Task) -> int:
        seconds = self._pace.get(task.specs[0].router)
        if seconds is None:
            return 1
        fair = len(self._waiting) // (4 * self._crew.workers)
        return max(1, min(int(self._crew.call_seconds / max(seconds, 1e-4)), fair))

    def _alike(self, first: _Item, other: _Item) -> bool:
        router = first.task.specs[0].router
        same = other.task.specs[0].router == router and needs_gpu(other.task) == needs_gpu(first.task)
        return same and not other.alone

    def _settle(self, future: Future[Any]) -> None:
        items, since = self._running.pop(future)
        tasks = [item.task for item in items]
        answers = self._crew.answers(future, tasks)
        router, seconds = tasks[0].specs[0].router, (time.monotonic() - since) / len(tasks)
        self._pace[router] = seconds if router not in self._pace else 0.5 * (self._pace[router] + seconds)
        together = len(items) > 1
        for item, answer in zip(items, answers, strict=True):
            self._take(item, answer, together)

    def _take(self, item: _Item, answer: Answer, together: bool) -> None:
        if not isinstance(answer, Exception):
            self._ledger.add(answer)
            return
        died = isinstance(answer, WorkerError) and not isinstance(answer, (LimitError, ClusterError))
        deaths = item.deaths + died
        if len(item.task.pools) > 1 and (died or isinstance(answer, LimitError)):
            # One of them did it: each by itself says which.
            again = [_Item(task, deaths, alone=True) for task in singles(item.task)]
        elif together:
            again = [_Item(item.task, item.deaths, alone=True)]
        elif died and deaths <= RETRIES:
            again = [_Item(item.task, deaths, alone=True)]
        else:
            self._ledger.add(self._failed(item.task, answer, deaths))
            return
        self._ledger.tell("retry", what=label(item.task), attempt=deaths + 1, why=str(answer))
        self._waiting.extendleft(again)

    def _failed(self, task: Task, error: Exception, deaths: int) -> list[RunResult]:
        if deaths > 1:
            error = WorkerError(f"{error}; so it went {deaths} times")
        return failed(task, error)

    def _take_back(self) -> None:
        for future in list(self._running):
            if self._crew.cancel(future):
                del self._running[future]

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= SHOWN_SECONDS:
            self._shown = now
            self._ledger.tell("working", activities=self._crew.running())
