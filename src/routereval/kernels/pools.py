"""Many pools at once: oracles of graded scores, routers' choices, random draws; NumPy twins are in the tests.

Oracles of binary scores are in ``kernels/unions.py``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.compiling import Floats, Ints, compiled

_PROMPTS = 512
_MODELS = 64
"""Prompts and models in a tile, by trials."""


@compiled
def best_sums(values: Floats, index: Ints, sums: NDArray[np.float64], counts: Ints) -> None:
    """Sum over prompts of the highest score of some models, for each choice; a prompt where all are nan does not count.

    All choices are worked on together, a tile of prompts and models at a time, so that a score comes from memory once.

    Parameters
    ----------
    values : (n, M), 0 or more, nan where not observed.
    index : (choices, m) positions of models, in any order; fastest where they ascend.
    sums, counts : (choices,) sum, and how many prompts it is over; overwritten.
    """
    (n, models), (choices, m) = values.shape, index.shape
    best = np.empty((choices, _PROMPTS), dtype=np.float32)
    # A little wider than needed: cells a power of two apart would have the same few places in the cache.
    tile = np.empty((_MODELS, _PROMPTS + 16), dtype=np.float32)
    done = np.empty(choices, dtype=np.int64)
    sums[:] = 0
    counts[:] = 0
    for first in range(0, n, _PROMPTS):
        width = min(_PROMPTS, n - first)
        best[:] = np.float32(-1)
        done[:] = 0
        for start in range(0, models, _MODELS):
            stop = min(models, start + _MODELS)
            copied = False
            for d in range(choices):
                # Up to the first model beyond this tile. One of an earlier tile comes late where they do not ascend.
                while done[d] < m and index[d, done[d]] < stop:
                    model = index[d, done[d]]
                    if model < start:
                        _raise(best[d, :width], values[first : first + width, model])
                    else:
                        if not copied:
                            _copy_turned(values, first, first + width, start, stop, tile)
                            copied = True
                        _raise(best[d, :width], tile[model - start, :width])
                    done[d] += 1
        for d in range(choices):
            total, count = 0.0, 0
            for highest in best[d, :width]:
                if highest >= np.float32(0):
                    total += highest
                    count += 1
            sums[d] += total
            counts[d] += count


@compiled
def _raise(best: Floats, row: Floats) -> None:
    """The higher of both; nan is never higher."""
    for k in range(best.shape[0]):
        best[k] = row[k] if row[k] > best[k] else best[k]


@compiled
def _copy_turned(values: Floats, first: int, last: int, start: int, stop: int, tile: Floats) -> None:
    """A block of prompts and models as models x prompts."""
    for k in range(first, last):
        for i in range(start, stop):
            tile[i - start, k - first] = values[k, i]


@compiled
def window_best_sums(values: Floats, m: int, sums: NDArray[np.float64], counts: Ints) -> None:
    """Sum over prompts of the highest score of models i to i + m - 1, for each i; as much work whatever m is.

    Models are cut into blocks of m. A window is the end of one block and the beginning of the next, and the maxima of
    all ends and of all beginnings are running ones (van Herk 1992; Gil and Werman 1993).

    Parameters
    ----------
    values : (n, M), 0 or more, nan where not observed.
    sums, counts : (M - m + 1,) sum, and how many prompts it is over; overwritten.
    """
    models = values.shape[1]
    ends = np.empty(m, dtype=np.float32)
    sums[:] = 0
    counts[:] = 0
    for row in values:
        for start in range(0, models - m + 1, m):
            best = np.float32(-1)
            for i in range(m - 1, -1, -1):
                best = row[start + i] if row[start + i] > best else best
                ends[i] = best
            best = np.float32(-1)
            for i in range(min(m, models - m + 1 - start)):
                higher = max(ends[i], best)
                if higher >= np.float32(0):
                    sums[start + i] += higher
                    counts[start + i] += 1
                # The last window has no model after it, but this one is in it.
                following = row[min(start + m + i, models - 1)]
                best = following if following > best else best


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
