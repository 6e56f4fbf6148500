"""The folder of a report: written beside its place and put there when it is whole; only a report of ours gives way."""

from __future__ import annotations

import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routereval.errors import ParameterError

MARKER = ".routereval-report"
"""The file that says a folder is a report of ours."""


def is_report(folder: Path) -> bool:
    """Whether this folder is a report of ours."""
    return (folder / MARKER).is_file()


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A new folder to write a report into, which takes the place of ``out`` when all went well; else nothing changes.

    Raises
    ------
    ParameterError : ``out`` is there and is no report of ours, or the folder it should be in cannot be written.
    """
    place = out.resolve()
    _check(place, out)
    token = secrets.token_hex(4)
    fresh, old = (place.with_name(f".{place.name}.{what}-{token}") for what in ("new", "old"))
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            fresh.mkdir()
        except OSError as error:
            raise ParameterError(f"cannot write a report into {out}: {error.strerror or error}") from error
        yield fresh
        (fresh / MARKER).write_text("A report of routereval; the next one into this folder replaces it.\n", "utf-8")
        _check(place, out)
        with _undisturbed():
            _exchange(place, fresh, old)
    finally:
        with _undisturbed():
            shutil.rmtree(fresh, ignore_errors=True)
            if place.exists():
                shutil.rmtree(old, ignore_errors=True)


def _exchange(place: Path, fresh: Path, old: Path) -> None:
    if place.exists():
        place.rename(old)
    try:
        fresh.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within, neither Ctrl-C nor SIGTERM interrupts: a second one must not stop what tidies up after the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: somebody set it who is not Python, and only they can set it again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _check(place: Path, out: Path) -> None:
    if place.is_dir():
        if any(place.iterdir()) and not is_report(place):
            raise ParameterError(
                f"{out} holds something that is not a report of ours, so nothing in it is touched; "
                "name an empty or a new folder with --out"
            )
    elif place.exists():
        raise ParameterError(f"{out} is a file; name a folder with --out")
