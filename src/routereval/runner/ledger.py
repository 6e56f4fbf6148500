"""Storing what ended and saying so, in this order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from routereval.progress import Event, OnEvent
from routereval.results import ResultStore, RunResult
from routereval.runner.plan import Task

OnResult = Callable[[RunResult], None]

HELD_SECONDS = 0.1
"""How long a result may wait for others to be stored with: a transaction is a wait for the disk.

Where the driver is killed meanwhile these runs are done again, which takes no longer than that."""


class Ledger:
    """The results of a suite on their way to the file.

    Parameters
    ----------
    total : how many runs there are to do.
    """

    def __init__(self, store: ResultStore, total: int, on_result: OnResult | None, on_event: OnEvent | None):
        self._store, self._total = store, total
        self._on_result, self._on_event = on_result, on_event
        self._held: list[RunResult] = []
        self._since = 0.0
        self.done = self.failed = 0

    def left_of(self, task: Task) -> Task | None:
        """What of a task is not stored: another driver may be at the same file."""
        stored = {spec.key for spec in task.specs if self._store.is_done(spec.key)}
        left = task.without(stored) if stored else task
        self._total -= len(task.specs) - (0 if left is None else len(left.specs))
        return left

    def add(self, results: Sequence[RunResult]) -> None:
        """Take results; they are stored now or shortly."""
        if not self._held:
            self._since = time.monotonic()
        self._held += results
        self.store_if_due()

    def store_if_due(self) -> None:
        """Store what was held for long enough."""
        if self._held and time.monotonic() - self._since >= HELD_SECONDS:
            self.store()

    def store(self) -> None:
        """Store what is held, in one transaction, then say of each run that it is stored."""
        held, self._held = self._held, []
        if held:
            self._store.put_all(held)
        for result in held:
            self.done += 1
            self.failed += result.error is not None
            if self._on_result is not None:
                self._on_result(result)
            self._tell_run(result)

    def tell(self, kind: str, **fields: object) -> None:
        """Say that something happened."""
        if self._on_event is not None:
            self._on_event(Event(kind, fields))

    def tell_counts(self, kind: str) -> None:
        """Say something with how far it is."""
        self.tell(kind, done=self.done, failed=self.failed, total=self._total)

    def _tell_run(self, result: RunResult) -> None:
        spec = result.spec
        run = {"key": spec.key, "scenario": spec.scenario, "router": spec.router, "seed": spec.seed}
        counts = {"done": self.done, "failed": self.failed, "total": self._total}
        self.tell("run", **run, seconds=result.seconds, error=result.error, **counts)
