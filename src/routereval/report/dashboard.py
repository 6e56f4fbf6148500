"""A suite while it is run: what runs where, how far it is, what failed; on a terminal, in lines, or as JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from routereval.errors import ParameterError
from routereval.progress import Activity, Event, OnEvent
from routereval.report.lines import STOPPING, Lines, rate
from routereval.report.terminal import bar_columns, console, shown

ROWS = 16
"""How many workers are shown; a line says how many more there are."""


@contextmanager
def dashboard(what: str, total: int, *, quiet: bool = False, events: str | None = None) -> Iterator[OnEvent]:
    """Something to tell events to.

    Parameters
    ----------
    what, total : what is done, and how many runs there are to do.
    quiet : show nothing.
    events : file that events are appended to, one JSON object a line; ``-`` is standard error, where then nothing else
        is shown.
    """
    listeners: list[OnEvent] = []
    with ExitStack() as stack:
        if events is not None:
            listeners.append(stack.enter_context(_log(events)))
        if not quiet and events != "-":
            terminal = console(stderr=True)
            if terminal.is_terminal:
                board = Board(what, total, console=terminal, transient=True)
                stack.enter_context(shown(board))
                listeners.append(board.listen)
            else:
                lines = Lines(what, total)
                stack.enter_context(lines.looking())
                listeners.append(lines)

        def tell(event: Event) -> None:
            """Pass an event to everyone who listens."""
            for listener in listeners:
                listener(event)

        yield tell


class Board(Progress):
    """A bar and, below it, a line for each worker."""

    def __init__(self, what: str, total: int, **options: Any):
        # First, for the bar is drawn from within what follows.
        self._activities: list[Activity] = []
        self._at = self._began = time.monotonic()
        self._last_failure = ""
        self._failed = self._done = 0
        super().__init__(*bar_columns(), **options)
        self._runs = self.add_task(what, total=total)

    def listen(self, event: Event) -> None:
        """Show what an event says."""
        fields = event.fields
        if event.kind == "working":
            self._activities, self._at = list(fields["activities"]), time.monotonic()
        elif event.kind == "run":
            self._done, self._failed = fields["done"], fields["failed"]
            self.update(self._runs, completed=fields["done"], total=fields["total"])
            if fields["error"]:
                self._last_failure = f"{fields['router']} on {fields['scenario']}: {fields['error']}"
        elif event.kind == "retry":
            self.console.print(f"again: {fields['what']}: {fields['why']}", markup=False)
        elif event.kind == "stopping":
            self.console.print(STOPPING, markup=False)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, what is done how fast, the workers."""
        yield self.make_tasks_table(self.tasks)
        yield Text(rate(self._done, self._failed, time.monotonic() - self._began))
        if self._last_failure:
            yield Text(f"failed: {self._last_failure}", style="red", overflow="ellipsis", no_wrap=True)
        if self._activities:
            yield self._workers()

    def _workers(self) -> Table:
        table = Table("worker", "does", "for", box=None, padding=(0, 1))
        since = time.monotonic() - self._at
        for activity in self._activities[:ROWS]:
            seconds = "" if math.isnan(activity.seconds) else f"{activity.seconds + since:.0f} s"
            table.add_row(Text(activity.where), Text(activity.what), seconds)
        if len(self._activities) > ROWS:
            table.add_row("", f"and {len(self._activities) - ROWS} more", "")
        return table


@contextmanager
def _log(path: str) -> Iterator[OnEvent]:
    with _opened(path) as append:

        def write(event: Event) -> None:
            """Append an event; what workers are doing at the moment is nothing to keep."""
            if event.kind != "working":
                now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
                append(json.dumps({"time": now, "event": event.kind, **event.fields}) + "\n")

        yield write


@contextmanager
def _opened(path: str) -> Iterator[Callable[[str], None]]:
    """Something that appends a line there."""
    if path == "-":

        def say(line: str) -> None:
            """Write it to standard error, at once."""
            sys.stderr.write(line)
            sys.stderr.flush()

        yield say
        return
    with ExitStack() as stack:
        with _appending(path):
            # Without a buffer: nothing is left to be written, and to fail, when the file is closed.
            file = stack.enter_context(Path(path).open("a+b", buffering=0))

        def append(line: str) -> None:
            """Write all of it to the file."""
            left = line.encode()
            with _appending(path):
                while left:
                    left = left[file.write(left) or 0 :]

        if _ends_within_a_line(file):
            append("\n")
        yield append


def _ends_within_a_line(file: FileIO) -> bool:
    """Whether somebody was cut off while writing to it."""
    if not file.seekable() or file.seek(0, 2) == 0:
        return False
    file.seek(-1, 2)
    return file.read(1) != b"\n"


@contextmanager
def _appending(path: str) -> Iterator[None]:
    """The system's errors there as ours."""
    try:
        yield
    except OSError as error:
        raise ParameterError(
            f"cannot write events to {path}: {error.strerror or error}; free some space, name another file, or leave "
            "--events out; every run that had ended is stored"
        ) from error
