"""How work of many steps says how far it is; whoever prints decides how that looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[], None]
"""Says that one more step is done."""

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""A bar for this work of this many steps."""


@contextmanager
def unseen(what: str, total: int) -> Iterator[Advance]:
    """No bar at all."""
    yield lambda: None
