"""How many threads a run computes with: one unless told otherwise, so that its results are the same everywhere.

A sum that several threads share is added up in another order, and its last bits with it. Work is spread over processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"),
    "LOKY_MAX_CPU_COUNT",  # what n_jobs=-1 of scikit-learn comes to
)
_ENDS_WITH_THE_RUN = ("LOKY_MAX_CPU_COUNT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_bound = 0
"""How many threads this process is bounded to right now; 0: to none."""


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """Environment variables that keep every library of a new process to so many threads."""
    return dict.fromkeys(_VARIABLES, str(max(1, threads)))


@contextmanager
def bounded(threads: int) -> Iterator[None]:
    """Within, libraries that are loaded compute with so many threads, and so do those that are loaded within.

    Within another of the same number it does nothing: whoever does many runs takes the time once.
    """
    global _bound
    if _bound == threads:
        yield
        return
    outer, _bound = _bound, threads
    before = {name: os.environ.get(name) for name in _ENDS_WITH_THE_RUN}
    os.environ.update(dict.fromkeys(_ENDS_WITH_THE_RUN, str(threads)))
    try:
        with _controller(len(sys.modules)).limit(limits=threads):
            yield
    finally:
        _bound = outer
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@lru_cache(maxsize=1)
def _controller(modules: int) -> Any:
    """The pools of threads there are; looked for anew when modules were imported, which takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
