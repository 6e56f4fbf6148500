"""The terminal: how wide it is, and a progress bar on it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment

from routereval.report.printable import printable
from routereval.report.time_left import TimeLeft
from routereval.routers.neural.progress import Listener, Step, listening


class _Safe(Console):
    """A console on which no name and no prompt acts: rich itself lets ESC through."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich would write, with every sign that acts on a terminal made visible; rich's own stay."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep="\n"), style, control)


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, as wide as the terminal, or 160 columns where there is none."""
    found: Console = _Safe(stderr=stderr, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        # Nobody's terminal to fit into: the whole width, so that no number is cut.
        found = _Safe(stderr=stderr, highlight=False, width=160)
    return found


QUIET_SECONDS = 10.0
"""How often there is a line of progress where there is no terminal to draw a bar on."""


_shown: list[Progress] = []
"""The bar on the terminal, while there is one."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar with an estimate on a terminal's stderr, a line now and then elsewhere; gives a function that moves it.

    A bar within a bar is a second line of it, gone when it is done.
    """
    if _shown:
        outer = _shown[-1]
        inner = outer.add_task(what, total=total)
        try:
            yield lambda: outer.advance(inner)
        finally:
            outer.remove_task(inner)
        return
    bar_console = console(stderr=True)
    if not bar_console.is_terminal:
        yield _lines(what, total)
        return
    with shown(Progress(*bar_columns(), console=bar_console, transient=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def bar_columns() -> tuple[ProgressColumn, ...]:
    """What stands on a bar's line: what is done, how much of it, since when, and when it will be over."""
    elapsed, left = (TextColumn("elapsed"), TimeElapsedColumn()), (TextColumn("left"), TimeLeft())
    return (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *elapsed, *left)


@contextmanager
def shown(bar: Progress) -> Iterator[Progress]:
    """Within, the bar is on the terminal, and bars within it and networks that are fitted are lines of it."""
    with bar, listening(_below(bar)):
        _shown.append(bar)
        try:
            yield bar
        finally:
            _shown.pop()


def _below(bar: Progress) -> Listener:
    """A second line on the bar for the network that is being fitted."""
    tasks: list[TaskID] = []

    def listen(step: Step | None) -> None:
        """Show how far the network is; None takes the line away."""
        if step is None:
            while tasks:
                bar.remove_task(tasks.pop())
            return
        if not tasks:
            tasks.append(bar.add_task(step.what, total=step.total))
        bar.update(tasks[0], description=str(step), completed=step.done)

    return listen


def _lines(what: str, total: int) -> Callable[[], None]:
    start = told = time.monotonic()
    done = 0

    def advance() -> None:
        """Count one more, and write a line where the last is long ago."""
        nonlocal done, told
        done += 1
        now = time.monotonic()
        if now - told >= QUIET_SECONDS and done < total:
            left = (now - start) / done * (total - done)
            sys.stderr.write(f"{what}: {done} of {total}, {now - start:.0f} s elapsed, about {left:.0f} s left\n")
            told = now

    return advance
