"""The compiled inner loops: oracles of many pools at once, and training one sample at a time as published.

Each has a plain NumPy twin in ``tests/test_kernels.py``. Sums within a row are reassociated for speed, always in the
same way, so a column's result does not depend on how many columns there are.

Adam is that of PyTorch (Kingma and Ba 2015): ``w -= step_size m / (sqrt(v) / root + eps)`` with ``step_size = lr / (1 -
beta1^t)`` and ``root = sqrt(1 - beta2^t)``, both tabulated per step by :func:`adam_schedule`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        # Nowhere to keep compiled code (a read-only installation without a home): it is compiled each time.
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


_B1, _B2, _EPS = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON)
_A1, _A2 = np.float32(1 - BETA1), np.float32(1 - BETA2)
_ZERO = np.float32(0)
# Moments below this move no weight, but as subnormal numbers they would slow every later step tenfold.
_TINY = np.float32(1e-30)


def adam_schedule(steps: int, learning_rate: float) -> tuple[Floats, Floats]:
    """Step size (steps,) and inverse root (steps,) of Adam with the learning rate cosine-decayed per step to 0."""
    t = np.arange(steps)
    rate = 0.5 * learning_rate * (1 + np.cos(np.pi * t / steps))
    step_size = rate / (1 - BETA1 ** (t + 1))
    inverse_root = 1 / np.sqrt(1 - BETA2 ** (t + 1))
    return step_size.astype(np.float32), inverse_root.astype(np.float32)


@_compiled
def _adam_row(
    w: Floats, first: Floats, second: Floats, slope: np.float32, x: Floats, size: np.float32, root: np.float32
) -> None:
    """One Adam step on a row of weights whose gradient is ``slope * x``."""
    for k in range(w.shape[0]):
        g = slope * x[k]
        m = _B1 * first[k] + _A1 * g
        v = _B2 * second[k] + _A2 * g * g
        first[k] = m if abs(m) > _TINY else _ZERO
        second[k] = v if v > _TINY else _ZERO
        w[k] -= size * m / (np.sqrt(v) * root + _EPS)


@_compiled
def adam_step(w: Floats, first: Floats, second: Floats, gradient: Floats, size: np.float32, root: np.float32) -> None:
    """One Adam step on flat weights (k,) with their gradient given; weights and moments are changed in place."""
    for k in range(w.shape[0]):
        g = gradient[k]
        m = _B1 * first[k] + _A1 * g
        v = _B2 * second[k] + _A2 * g * g
        first[k] = m if abs(m) > _TINY else _ZERO
        second[k] = v if v > _TINY else _ZERO
        w[k] -= size * m / (np.sqrt(v) * root + _EPS)


@_compiled
def _dot(a: Floats, b: Floats) -> np.float32:
    total = _ZERO
    for k in range(a.shape[0]):
        total += a[k] * b[k]
    return total


@_compiled
def _slope(logit: np.float32, target: np.float32) -> np.float32:
    """Derivative of the binary cross-entropy by the logit; 0 where the target was not observed."""
    if math.isnan(target):
        return _ZERO
    return np.float32(1 / (1 + math.exp(-float(logit)))) - target


@_compiled
def train_linear(x: Floats, y: Floats, order: Ints, size: Floats, root: Floats, w: Floats) -> None:
    """Train m independent logistic columns one sample at a time; ``w`` is changed in place.

    Parameters
    ----------
    x : (n, d + 1), the last entry of each row 1, for the bias.
    y : (m, n) targets in [0, 1], nan where not observed (no gradient then; the moments go on decaying).
    order : (steps,) which sample each step sees.
    size, root : (steps,) of :func:`adam_schedule`.
    w : (m, d + 1) initial weights; trained ones afterwards.
    """
    first = np.zeros_like(w)
    second = np.zeros_like(w)
    for t in range(order.shape[0]):
        row = x[order[t]]
        for j in range(w.shape[0]):
            slope = _slope(_dot(w[j], row), y[j, order[t]])
            _adam_row(w[j], first[j], second[j], slope, row, size[t], root[t])


@_compiled
def logits(x: Floats, w: Floats, out: Floats) -> None:
    """``x @ w.T`` into ``out`` (n, m), each entry summed the same way whatever n and m are."""
    for i in range(x.shape[0]):
        for j in range(w.shape[0]):
            out[i, j] = _dot(x[i], w[j])


@_compiled
def train_mlp(
    x: Floats, y: Floats, order: Ints, size: Floats, root: Floats, w1: Floats, w2: Floats, w3: Floats
) -> None:
    """Train a network with two hidden ReLU layers one sample at a time; the weights are changed in place.

    Parameters
    ----------
    x : (n, d + 1), the last entry of each row 1, for the bias.
    y : (n, m) targets in [0, 1], nan where not observed.
    order, size, root : as in :func:`train_linear`.
    w1, w2, w3 : (h, d + 1), (h, h + 1), (m, h + 1) initial weights, the last column the biases.
    """
    h, m = w1.shape[0], w3.shape[0]
    f1, s1 = np.zeros_like(w1), np.zeros_like(w1)
    f2, s2 = np.zeros_like(w2), np.zeros_like(w2)
    f3, s3 = np.zeros_like(w3), np.zeros_like(w3)
    h1 = np.ones(h + 1, dtype=np.float32)
    h2 = np.ones(h + 1, dtype=np.float32)
    back1 = np.empty(h + 1, dtype=np.float32)
    back2 = np.empty(h + 1, dtype=np.float32)
    steps = order.shape[0]
    for i in range(h):
        h1[i] = max(_ZERO, _dot(w1[i], x[order[0]]))
    for t in range(steps):
        row = x[order[t]]
        upcoming = x[order[min(t + 1, steps - 1)]]
        for i in range(h):
            h2[i] = max(_ZERO, _dot(w2[i], h1))
        back2[:] = _ZERO
        for j in range(m):
            w = w3[j]
            slope = _slope(_dot(w, h2), y[order[t], j])
            for k in range(h):
                back2[k] += slope * w[k]
            _adam_row(w, f3[j], s3[j], slope, h2, size[t], root[t])
        back1[:] = _ZERO
        for i in range(h):
            w = w2[i]
            slope = back2[i] if h2[i] > _ZERO else _ZERO
            for k in range(h):
                back1[k] += slope * w[k]
            _adam_row(w, f2[i], s2[i], slope, h1, size[t], root[t])
        for i in range(h):
            slope = back1[i] if h1[i] > _ZERO else _ZERO
            _adam_row(w1[i], f1[i], s1[i], slope, row, size[t], root[t])
            # The row is in the cache now: its part of the next sample's forward pass costs no second trip to memory.
            h1[i] = max(_ZERO, _dot(w1[i], upcoming))


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
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
            if best[k] >= _ZERO:
                total += best[k]
                count += 1
        sums[d] = total
        counts[d] = count


@_compiled
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


@_compiled
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


@_compiled
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
