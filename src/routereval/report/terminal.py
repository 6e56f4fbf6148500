"""The terminal: how wide it is, and a progress bar on it."""

from __future__ import annotations

import os
import sys
import time
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


QUIET_SECONDS = 10.0
"""How often there is a line of progress where there is no terminal to draw a bar on."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar with an estimate on a terminal's stderr, a line now and then elsewhere; gives a function that moves it."""
    bar_console = console(stderr=True)
    if not bar_console.is_terminal:
        yield _lines(what, total)
        return
    elapsed, left = (TextColumn("elapsed"), TimeElapsedColumn()), (TextColumn("left"), TimeRemainingColumn())
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *elapsed, *left)
    with Progress(*shown, console=bar_console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _lines(what: str, total: int) -> Callable[[], None]:
    start = told = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal done, told
        done += 1
        now = time.monotonic()
        if now - told >= QUIET_SECONDS and done < total:
            left = (now - start) / done * (total - done)
            sys.stderr.write(f"{what}: {done} of {total}, {now - start:.0f} s elapsed, about {left:.0f} s left\n")
            told = now

    return advance
