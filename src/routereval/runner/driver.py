"""Driving a crew: handing out tasks, storing what comes back, trying again what a dead worker took along."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from routereval.errors import ClusterError, LimitError, WorkerError
from routereval.results import RunResult
from routereval.results.run import canonical_json
from routereval.runner.crews import Answer, Crew, DeathsError
from routereval.runner.interrupts import Interrupts
from routereval.runner.ledger import HELD_SECONDS, Ledger
from routereval.runner.perform import failed
from routereval.runner.plan import Task
from routereval.runner.splitting import label, needs_gpu, singles, split_for

RETRIES = 3
"""How often a run is tried again whose worker died."""
PATIENCE = 16
"""How often a run may have waited at a worker that died before this counts as if the worker had been at it."""
SHOWN_SECONDS = 0.5


@dataclass(frozen=True)
class _Item:
    """A task and what became of it so far.

    Parameters
    ----------
    rank : its place in the order: those with lower ones first.
    deaths, waits : how often a worker died at it, and while it waited there for others.
    alone : whether it must have a call of its own.
    """

    task: Task
    rank: int
    deaths: int = 0
    waits: int = 0
    alone: bool = False

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU if there is one."""
        return needs_gpu(self.task) is not False

    @cached_property
    def kind(self) -> tuple[str, str, str, bool | None]:
        """What takes about as long as others of its kind: a router with its parameters on a benchmark."""
        spec = self.task.specs[0]
        return spec.router, canonical_json(dict(spec.params)), spec.benchmark, needs_gpu(self.task)


class Driver:
    """One suite on its way through a crew.

    Parameters
    ----------
    crew : who works.
    ledger : where results go.
    """

    def __init__(self, crew: Crew, ledger: Ledger):
        self._crew, self._ledger = crew, ledger
        # Those for a GPU apart: they shall not keep others waiting that need none.
        self._waiting: dict[bool, deque[_Item]] = {True: deque(), False: deque()}
        self._running: dict[Future[Any], tuple[list[_Item], float]] = {}
        # Seconds that a task took, by its kind.
        self._pace: dict[tuple[str, str, str, bool | None], float] = {}
        self._shown = 0.0

    def drive(self, tasks: Iterable[Task], interrupts: Interrupts) -> None:
        """Do all of them, or those that run at the time of the first Ctrl-C.

        Raises
        ------
        KeyboardInterrupt : it was interrupted, once or twice; what had ended is stored.
        RouterEvalError : no worker will do anything any more.
        """
        for rank, task in enumerate(split_for(list(tasks), self._crew.workers)):
            item = _Item(task, rank)
            self._waiting[item.on_gpu].append(item)
        try:
            while self._running or (any(self._waiting.values()) and not interrupts.asked):
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
        out = Counter(items[0].on_gpu for items, _ in self._running.values())
        while (queue := self._due(out)) is not None:
            items = self._next(queue)
            if items:
                tasks = [item.task for item in items]
                self._running[self._crew.start(tasks)] = items, time.monotonic()
                out[items[0].on_gpu] += 1
                self._ledger.tell("submit", what=[label(task) for task in tasks], runs=sum(len(t.specs) for t in tasks))

    def _due(self, out: Counter[bool]) -> deque[_Item] | None:
        """The queue whose turn it is; None where enough is handed out, or nothing is left."""
        # One more for each worker than it can do at a time, so that none waits for the driver.
        most, gpus = 2 * self._crew.workers, 2 * self._crew.gpus
        queues = {on_gpu: queue for on_gpu, queue in self._waiting.items() if queue}
        if gpus:
            return next((queue for on_gpu, queue in queues.items() if out[on_gpu] < (gpus if on_gpu else most)), None)
        return min(queues.values(), key=lambda queue: queue[0].rank, default=None) if out.total() < most else None

    def _next(self, queue: deque[_Item]) -> list[_Item]:
        """What is due next of a queue: one task, or several small ones of a kind."""
        first = queue[0]
        room = 1 if first.alone else self._fitting(first, len(queue))
        items: list[_Item] = []
        while queue and len(items) < room and (not items or (queue[0].kind == first.kind and not queue[0].alone)):
            item = queue.popleft()
            left = self._ledger.left_of(item.task)
            if left is not None:
                items.append(replace(item, task=left))
        return items

    def _fitting(self, item: _Item, waiting: int) -> int:
        """How many tasks like this one share a call: none so many that others have nothing to do at the end."""
        seconds = self._pace.get(item.kind)
        if seconds is None:
            return 1
        slots = (item.on_gpu and self._crew.gpus) or self._crew.workers
        return max(1, min(int(self._crew.call_seconds / max(seconds, 1e-4)), waiting // (4 * slots)))

    def _settle(self, future: Future[Any]) -> None:
        items, since = self._running.pop(future)
        tasks = [item.task for item in items]
        answers = self._crew.answers(future, tasks)
        kind, seconds = items[0].kind, (time.monotonic() - since) / len(answers)
        self._pace[kind] = 0.5 * (self._pace.get(kind, seconds) + seconds)
        together = len(items) > 1
        for item, answer in zip(items, answers, strict=False):
            self._take(item, answer, together)
        # The call had taken its time before it came to these.
        left = items[len(answers) :]
        self._waiting[items[0].on_gpu].extendleft(reversed(left))

    def _take(self, item: _Item, answer: Answer, together: bool) -> None:
        if not isinstance(answer, Exception):
            self._ledger.add(answer)
            return
        died = isinstance(answer, WorkerError) and not isinstance(answer, (LimitError, ClusterError))
        died_at_it = (answer.deaths if isinstance(answer, DeathsError) else 1) if died else 0
        item = replace(item, deaths=item.deaths + died_at_it, waits=item.waits + (died and not died_at_it))
        if died and not died_at_it and item.waits < PATIENCE:
            again = [item]
        elif len(item.task.pools) > 1 and (died or isinstance(answer, LimitError)):
            # One of them did it: each by itself says which.
            again = [replace(item, task=task, alone=True) for task in singles(item.task)]
        elif together or (died_at_it and item.deaths <= RETRIES):
            again = [replace(item, alone=True)]
        else:
            self._ledger.add(self._failed(item, answer))
            return
        self._ledger.tell("retry", what=label(item.task), attempt=item.deaths + 1, why=str(answer))
        self._waiting[item.on_gpu].extendleft(again)

    def _failed(self, item: _Item, error: Exception) -> list[RunResult]:
        if item.deaths > 1 or isinstance(error, DeathsError):
            error = WorkerError(f"{error}; so it went {max(item.deaths, item.waits)} times")
        return failed(item.task, error)

    def _take_back(self) -> None:
        for future in list(self._running):
            if self._crew.cancel(future):
                del self._running[future]

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= SHOWN_SECONDS:
            self._shown = now
            self._ledger.tell("working", activities=self._crew.running())
