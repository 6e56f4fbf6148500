"""Training prompts set aside to say when to stop, where there are no validation prompts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from routereval.seeding import generator

ONE_IN = 5
FEWEST = 25
"""With fewer training prompts none are left to learn from: five prompts say nothing, so the initial weights stay."""


def held_out(n: int, *names: object) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The positions of n training prompts to learn from, and of those set aside; the former empty where n is small.

    Parameters
    ----------
    names : seed the choice.
    """
    if n < FEWEST:
        return np.zeros(0, dtype=np.intp), np.arange(n)
    order = generator(*names, "held out").permutation(n)
    return np.sort(order[n // ONE_IN :]), np.sort(order[: n // ONE_IN])
