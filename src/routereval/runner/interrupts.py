"""Ctrl-C once: what runs may end. Twice: stop now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """Within, the first Ctrl-C only sets ``asked``; the second raises KeyboardInterrupt.

    Only the main thread can be interrupted; elsewhere this does nothing.

    Parameters
    ----------
    on_first : called at the first one, from within the signal handler.
    """

    def __init__(self, on_first: Callable[[], None]):
        self.asked = False
        self._on_first = on_first
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._on_first()
