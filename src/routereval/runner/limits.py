"""How long a run may take and how much memory it may have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from routereval.errors import ParameterError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


@dataclass(frozen=True)
class Limits:
    """What a run may take; None: as much as it wants.

    Parameters
    ----------
    timeout : seconds a run; a fit that serves several runs may take as many times that.
    memory : bytes of a worker process and of all that it started. What is mapped from files does not count.
    """

    timeout: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise ParameterError(f"a timeout of {self.timeout} seconds; expected more than 0")
        if self.memory is not None and self.memory < 1:
            raise ParameterError(f"a memory limit of {self.memory} bytes; expected more than 0")

    def __bool__(self) -> bool:
        return self.timeout is not None or self.memory is not None


def bytes_of(text: str) -> int:
    """A number of bytes as people write it: ``500MB``, ``4G``, ``1.5GiB``.

    Raises
    ------
    ParameterError : it is none.
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if found is None or found[2] not in _UNITS:
        raise ParameterError(f"{text!r} is no amount of memory; expected something like 500MB, 4GB or 1.5GiB")
    return int(float(found[1]) * _UNITS[found[2]])


def readable(size: float) -> str:
    """Bytes for people: ``1.5 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"


def memory_of(pid: int) -> int:
    """Bytes that a process and all it started have to themselves: what is mapped from files does not count.

    Zero where the process is gone.
    """
    import psutil

    total = 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for member in family:
        try:
            used = member.memory_info()
        except psutil.Error:
            continue  # it ended meanwhile
        total += used.rss - getattr(used, "shared", 0)
    return total
