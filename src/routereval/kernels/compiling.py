"""How the inner loops are compiled, and the arrays they take.

Sums within a row are reassociated for speed, always in the same way, so a column's result does not depend on how many
columns there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code, kept on the disk where there is a place for it."""
    return _compiled(function, {"reassoc", "contract", "nsz"})


def compiled_in_order(function: Function) -> Function:
    """As ``compiled``, but everything is added up as written: for loops that run along the models."""
    return _compiled(function, set())


def _compiled(function: Function, liberties: set[str]) -> Function:
    options: dict[str, Any] = {"nogil": True, "fastmath": liberties, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        # Nowhere to keep compiled code (a read-only installation without a home): it is compiled each time.
        return numba.njit(**options)(function)  # type: ignore[no-any-return]
