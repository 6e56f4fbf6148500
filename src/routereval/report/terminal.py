"""The terminal: how wide it is, and a progress bar on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, as wide as the terminal, or 160 columns where there is none."""
    found = Console(stderr=stderr, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        # Nobody's terminal to fit into: the whole width, so that no number is cut.
        found = Console(stderr=stderr, highlight=False, width=160)
    return found


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar with an estimate on a terminal's stderr, nothing elsewhere; gives a function that moves it by one."""
    bar_console = console(stderr=True)
    if not bar_console.is_terminal:
        yield lambda: None
        return
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, TextColumn("left"), TimeRemainingColumn(), console=bar_console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
