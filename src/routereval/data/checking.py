"""Making sure that a folder of the store is what was written, before anything is read from it, once in a process."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from routereval.data import checksums
from routereval.data.seen_files import remember, seen_key
from routereval.errors import DataError

LARGE = 2**30
"""Bytes from which on a folder is hashed once on a machine, and again when a file of it has another size or time.

Below, hashing takes less than a second, and a bit that changed without anybody writing is found by the next process."""

_whole: dict[Path, str] = {}
"""The folders that this process found whole, and how they looked then."""
_damaged: dict[Path, tuple[str, str]] = {}
"""Those that it did not, how they looked and what is wrong: a thousand runs may ask for the same one."""


def ensure_whole(folder: Path, promise: str = "") -> None:
    """Hash every file, unless this process has done so and none has changed since.

    A folder from before there were sums is taken as it is.

    Parameters
    ----------
    promise : what :func:`promise_of` said in another process: on the same machine, of the same files, it is believed.

    Raises
    ------
    DataError : a file is not what was written; says which, and how to rebuild it.
    """
    sums = folder / checksums.NAME
    if not sums.is_file():
        return
    now = checksums.fingerprint(folder)
    if _whole.get(folder) == now or promise == _promise(now):
        return
    before, wrong = _damaged.get(folder, ("", ""))
    if before == now:
        raise DataError(wrong)
    large = sum(path.stat().st_size for path in folder.iterdir()) >= LARGE
    if not (large and seen_key(sums, "checked") == now):
        try:
            checksums.check(folder)
        except DataError as error:
            _damaged[folder] = now, str(error)
            raise
    _whole[folder] = now
    if large:
        with contextlib.suppress(DataError):
            remember(sums, "checked", now)


def promise_of(folder: Path) -> str:
    """That this process found the folder whole, for another one to believe; empty where it did not look."""
    return _promise(_whole[folder]) if folder in _whole else ""


def _promise(fingerprint: str) -> str:
    return f"{socket.gethostname()} {fingerprint}"
