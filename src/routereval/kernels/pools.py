"""Many pools at once: oracles, greedy choice, routers' choices, random draws; NumPy twins are in the tests.

An oracle of binary scores is an OR over rows of bits and a count.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.compiling import Floats, Ints, Words, compiled


@compiled
def _popcount(words: Words) -> np.int64:
    """How many bits are set."""
    total = np.int64(0)
    for k in range(words.shape[0]):
        x = words[k]
        x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
        x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        total += np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))
    return total


@compiled
def union_counts(bits: Words, index: Ints, out: Ints) -> None:
    """How many bits are set in the OR of some rows, for each choice of rows.

    Parameters
    ----------
    bits : (M, words).
    index : (choices, m) positions of rows.
    out : (choices,), overwritten.
    """
    union = np.empty(bits.shape[1], dtype=np.uint64)
    for d in range(index.shape[0]):
        union[:] = np.uint64(0)
        for j in range(index.shape[1]):
            row = bits[index[d, j]]
            for k in range(union.shape[0]):
                union[k] |= row[k]
        out[d] = _popcount(union)


@compiled
def window_union_counts(bits: Words, m: int, out: Ints) -> None:
    """How many bits are set in the OR of rows i to i + m - 1, for each i; as many ORs whatever m is.

    Rows are cut into blocks of m. A window is the end of one block and the beginning of the next, and the ORs of all
    ends and of all beginnings are running ones (van Herk 1992; Gil and Werman 1993).

    Parameters
    ----------
    bits : (M, words).
    out : (M - m + 1,), overwritten.
    """
    rows, words = bits.shape
    ends = np.empty((m, words), dtype=np.uint64)
    union = np.empty(words, dtype=np.uint64)
    both = np.empty(words, dtype=np.uint64)
    for start in range(0, rows - m + 1, m):
        ends[m - 1] = bits[start + m - 1]
        for i in range(m - 2, -1, -1):
            for k in range(words):
                ends[i, k] = ends[i + 1, k] | bits[start + i, k]
        union[:] = np.uint64(0)
        for i in range(min(m, rows - m + 1 - start)):
            if i > 0:
                for k in range(words):
                    union[k] |= bits[start + m + i - 1, k]
            for k in range(words):
                both[k] = ends[i, k] | union[k]
            out[start + i] = _popcount(both)


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
def greedy_union(bits: Words, m: int, out: Ints) -> None:
    """Choose m rows one by one, each the one that adds most bits to the OR so far; the last wins ties.

    What a row adds only shrinks as the OR grows, so a row whose last known gain is below the best found need not be
    counted again (lazy greedy, Minoux 1978).

    Parameters
    ----------
    bits : (M, words), M >= m.
    out : (m,) positions in the order of choice; overwritten.
    """
    rows, words = bits.shape
    union = np.zeros(words, dtype=np.uint64)
    fresh = np.empty(words, dtype=np.uint64)
    gains = np.full(rows, np.int64(words * 64 + 1))
    for step in range(m):
        best = -1
        best_gain = np.int64(-1)
        for i in range(rows - 1, -1, -1):
            if gains[i] > best_gain:
                for k in range(words):
                    fresh[k] = bits[i, k] & ~union[k]
                gains[i] = _popcount(fresh)
                if gains[i] > best_gain:
                    best, best_gain = i, gains[i]
        out[step] = best
        gains[best] = np.int64(-2)
        for k in range(words):
            union[k] |= bits[best, k]


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
