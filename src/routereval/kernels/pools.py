"""Many pools at once: oracles of graded scores, routers' choices, random draws; NumPy twins are in the tests.

Oracles of binary scores are in ``kernels/unions.py``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.compiling import Floats, Ints, compiled


@compiled
def best_sums(values: Floats, index: Ints, sums: NDArray[np.float64], counts: Ints) -> None:
    """Sum over prompts of the highest of some rows, for each choice of rows; a prompt where all are nan does not count.

    Parameters
    ----------
    values : (M, n), nan where not observed.
    index : (choices, m) positions of rows.
    sums, counts : (choices,) sum, and how many prompts it is over; overwritten.
    """
    best = np.empty(values.shape[1], dtype=np.float32)
    for d in range(index.shape[0]):
        best[:] = np.float32(-1)
        for j in range(index.shape[1]):
            row = values[index[d, j]]
            for k in range(best.shape[0]):
                if row[k] > best[k]:
                    best[k] = row[k]
        total = 0.0
        count = 0
        for k in range(best.shape[0]):
            if best[k] >= np.float32(0):
                total += best[k]
                count += 1
        sums[d] = total
        counts[d] = count


@compiled
def pool_choices(
    predicted: NDArray[np.float64], actual: Floats, pools: Ints, sums: NDArray[np.float64], counts: Ints
) -> None:
    """What the models with the highest predicted scores in each pool scored, added up over the queries.

    Parameters
    ----------
    predicted : (n, M); among equal ones the first in the pool wins.
    actual : (n, M), nan where not observed: such a model is never chosen.
    pools : (pools, m) positions of models.
    sums, counts : (pools,) sum over the queries on which any model of the pool was observed, and how many those are.
    """
    for d in range(pools.shape[0]):
        total = 0.0
        count = 0
        for i in range(predicted.shape[0]):
            best = -np.inf
            score = np.float32(0)
            found = False
            for j in range(pools.shape[1]):
                model = pools[d, j]
                value = actual[i, model]
                if not math.isnan(value) and (not found or predicted[i, model] > best):
                    best = predicted[i, model]
                    score = value
                    found = True
            if found:
                total += float(score)
                count += 1
        sums[d] = total
        counts[d] = count


@compiled
def draw_pools(models: int, rng: np.random.Generator, out: Ints) -> None:
    """Subsets of ``range(models)``, each drawn alike from all of the same size, members ascending.

    The first m steps of a Fisher-Yates shuffle, which may start from any order, so that of the last subset serves.

    Parameters
    ----------
    out : (draws, m), overwritten.
    """
    order = np.arange(models)
    member = np.zeros(models, dtype=np.bool_)
    for d in range(out.shape[0]):
        for i in range(out.shape[1]):
            j = i + int(rng.random() * (models - i))
            order[i], order[j] = order[j], order[i]
            member[order[i]] = True
        k = 0
        for i in range(models):
            if member[i]:
                out[d, k] = i
                member[i] = False
                k += 1
