"""A suite while it is run, where there is no terminal to draw on: a line now and then, how far it is and what runs."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from routereval.progress import Activity, Event
from routereval.report.terminal import QUIET_SECONDS

STOPPING = "stopping: what runs is brought to its end; Ctrl-C again stops now"
NAMED = 4
"""Of how many workers a line says what they do: of those that are at it longest."""
LOOK_SECONDS = 1.0
"""How often it is looked whether a line is due while nobody says anything."""


class Lines:
    """A line when the last is ten seconds old, whether a run has ended meanwhile or not.

    Parameters
    ----------
    what, total : what is done, and how many runs there are to do.
    write : where lines go; None: to standard error.
    """

    def __init__(self, what: str, total: int, write: Callable[[str], object] | None = None):
        self._what, self._done, self._failed, self._total = what, 0, 0, total
        self._write = write or _to_stderr
        self._activities: list[Activity] = []
        self._at = self._began = self._told = time.monotonic()
        # A signal handler says something too, perhaps while the same thread is within.
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Take what an event says, and say it where it is worth a line."""
        fields = event.fields
        with self._lock:
            if event.kind == "stopping":
                self._write(STOPPING)
            elif event.kind == "retry":
                self._write(f"{self._what}: again: {fields['what']}: {fields['why']}")
            elif event.kind == "run":
                self._done, self._failed, self._total = fields["done"], fields["failed"], fields["total"]
                self.look()
            elif event.kind == "working":
                self._activities, self._at = list(fields["activities"]), time.monotonic()
                self.look()

    def look(self) -> None:
        """Write a line if one is due."""
        with self._lock:
            now = time.monotonic()
            if now - self._told >= QUIET_SECONDS and self._done < self._total:
                self._told = now
                self._write(self._line(now))

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Within, lines come in time though nobody says anything: this process tells only what it begins and ends."""
        over = threading.Event()

        def work() -> None:
            """Look again and again until it is over."""
            # Where it cannot be written, whoever drives learns it at the next event.
            with contextlib.suppress(OSError, ValueError):
                while not over.wait(LOOK_SECONDS):
                    self.look()

        thread = threading.Thread(target=work, name="lines", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _line(self, now: float) -> str:
        elapsed = now - self._began
        said = f"{self._what}: {self._done} of {self._total}, {rate(self._done, self._failed, elapsed)}"
        said += f", {elapsed:.0f} s elapsed"
        if self._done:
            said += f", about {elapsed / self._done * (self._total - self._done):.0f} s left"
        longest = sorted(self._activities, key=lambda one: math.inf if math.isnan(one.seconds) else -one.seconds)
        for one in longest[:NAMED]:
            known = "" if math.isnan(one.seconds) else f" for {one.seconds + now - self._at:.0f} s"
            said += f"; {one.where}: {one.what}{known}"
        return said + (f"; and {len(longest) - NAMED} more" if len(longest) > NAMED else "")


def rate(done: int, failed: int, seconds: float) -> str:
    """How many failed and how fast it goes: ``2 failed, 3.1 runs a second``."""
    pace = done / max(seconds, 1e-9)
    speed = f"{pace:.1f} runs a second" if pace >= 1 or done == 0 else f"{60 * pace:.1f} runs a minute"
    return f"{failed} failed, {speed}"


def _to_stderr(line: str) -> None:
    from routereval.report.printable import printable

    # From within a signal handler the stream may be busy with another line: then this one is lost, and nothing else.
    with contextlib.suppress(RuntimeError):
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()
