"""Elo's updates, one battle after another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.compiling import Floats, Ints, compiled

Doubles = NDArray[np.float64]

SCALE = 400.0
"""Points by which a model's odds are ten to one."""


@compiled
def battles(ratings: Doubles, y: Floats, first: Ints, second: Ints, k: float) -> None:
    """Elo's update for battles on one prompt, in order; ``ratings`` (m,) are changed in place.

    Parameters
    ----------
    y : (m,) scores on the prompt: the higher wins, equal ones draw; no battle where one is nan.
    first, second : (battles,) who meets.
    k : points at stake.
    """
    for b in range(first.shape[0]):
        i, j = first[b], second[b]
        if math.isnan(y[i]) or math.isnan(y[j]):
            continue
        outcome = 0.5 + 0.5 * ((1 if y[i] > y[j] else 0) - (1 if y[i] < y[j] else 0))
        expected = 1 / (1 + 10 ** ((ratings[j] - ratings[i]) / SCALE))
        moved = k * (outcome - expected)
        ratings[i] += moved
        ratings[j] -= moved


@compiled
def local_ratings(
    ratings: Doubles, y: Floats, neighbours: Ints, first: Ints, second: Ints, k: float, out: Doubles
) -> None:
    """From the same ratings on, the battles of each query's prompts, into ``out`` (queries, m).

    Parameters
    ----------
    y : (n, m) scores of all prompts.
    neighbours : (queries, prompts) which prompts, in the order in which they are fought over.
    """
    for q in range(neighbours.shape[0]):
        out[q] = ratings
        for t in range(neighbours.shape[1]):
            battles(out[q], y[neighbours[q, t]], first, second, k)
