"""Oracle scores of many pools at once: what is asked when candidates are picked and when scaling is drawn."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from routereval.data.scores import ScoreMatrix
from routereval.kernels.pools import best_sums, pool_choices, window_best_sums
from routereval.kernels.unions import AT_ONCE, greedy_union, union_counts, window_union_counts

Index = NDArray[np.int64]


def oracle_means(scores: ScoreMatrix, pools: Index) -> NDArray[np.float64]:
    """The oracle's mean score on each of several pools of m models, (pools,).

    Parameters
    ----------
    pools : (pools, m) positions of models. Prompts that no model of a pool was observed on do not count for it.
    """
    pools = np.ascontiguousarray(pools, dtype=np.int64)
    if scores.values is not None:
        values = np.ascontiguousarray(scores.values)
        sums, counts = np.empty(len(pools)), np.empty(len(pools), dtype=np.int64)
        _threaded(lambda part: best_sums(values, pools[part], sums[part], counts[part]), len(pools), _rounds(pools))
        return _ratio(sums, counts)
    assert scores.bits is not None
    solved = _union_counts(scores.bits, pools)
    if scores.observed is None:
        return solved / max(1, scores.shape[0])
    return _ratio(solved.astype(np.float64), _union_counts(scores.observed, pools))


def window_oracle_means(scores: ScoreMatrix, m: int, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
    """The oracle's mean score on models i to i + m - 1, for each i from ``start`` on, (stop - start - m + 1,).

    Parameters
    ----------
    stop : the windows end before this model; None means after the last.
    """
    stop = scores.shape[1] if stop is None else stop
    if scores.values is not None:
        sums, counts = np.empty(stop - start - m + 1), np.empty(stop - start - m + 1, dtype=np.int64)
        window_best_sums(np.ascontiguousarray(scores.values[:, start:stop]), m, sums, counts)
        return _ratio(sums, counts)
    assert scores.bits is not None
    solved = _window_counts(scores.bits[start:stop], m)
    if scores.observed is None:
        return solved / max(1, scores.shape[0])
    return _ratio(solved.astype(np.float64), _window_counts(scores.observed[start:stop], m))


def router_means(
    scores: ScoreMatrix, predicted: NDArray[np.float64], pools: Index, order: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Mean score of the model with the highest prediction in each of several pools, (pools,).

    Parameters
    ----------
    predicted : (n, M) for the prompts of ``scores``; only models observed on a prompt can be chosen on it.
    pools : (pools, m) positions of models.
    order : (M,) all models; of equal predictions the one that comes first in it wins.
    """
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    by_place = np.sort(place[pools], axis=1)
    ranked = np.ascontiguousarray(predicted[:, order], dtype=np.float64)
    actual = np.ascontiguousarray(scores.dense()[:, order])
    sums, counts = np.empty(len(pools)), np.empty(len(pools), dtype=np.int64)
    _threaded(lambda part: pool_choices(ranked, actual, by_place[part], sums[part], counts[part]), len(pools))
    return _ratio(sums, counts)


def greedy_pool(scores: ScoreMatrix, m: int) -> Index:
    """Positions of m models picked one by one, each the one that raises the oracle most, (m,); the last wins ties.

    Cells that were not observed count as 0. No pool of m has an oracle more than 1 / (1 - 1/e) = 1.58 times as high
    (Nemhauser, Wolsey and Fisher 1978).
    """
    if scores.bits is not None:
        picked = np.empty(m, dtype=np.int64)
        greedy_union(np.ascontiguousarray(scores.bits), m, picked)
        return picked
    by_model = np.nan_to_num(np.ascontiguousarray(scores.dense().T))
    best = np.zeros(by_model.shape[1], dtype=np.float32)
    left = np.ones(len(by_model), dtype=np.bool_)
    chosen = []
    for _ in range(m):
        sums = np.where(left, np.maximum(by_model, best).sum(axis=1, dtype=np.float64), -1.0)
        pick = len(sums) - 1 - int(np.argmax(sums[::-1]))
        left[pick] = False
        best = np.maximum(best, by_model[pick])
        chosen.append(pick)
    return np.array(chosen, dtype=np.int64)


def _union_counts(bits: NDArray[np.uint64], pools: Index) -> NDArray[np.int64]:
    rows = np.ascontiguousarray(bits)
    out = np.empty(len(pools), dtype=np.int64)
    _threaded(lambda part: union_counts(rows, pools[part], out[part]), len(pools), _rounds(pools))
    return out


def _rounds(pools: Index) -> int:
    """How many parts for each core: each part passes over all models, so there are as few as keep the cores busy."""
    return -(-len(pools) // (_cores() * AT_ONCE))


def _window_counts(bits: NDArray[np.uint64], m: int) -> NDArray[np.int64]:
    out = np.empty(len(bits) - m + 1, dtype=np.int64)
    window_union_counts(np.ascontiguousarray(bits), m, out)
    return out


def _ratio(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    means = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _threaded(work: Callable[[slice], None], n: int, rounds: int = 4) -> None:
    """The work in parts, ``rounds`` for each core."""
    cuts = np.linspace(0, n, _cores() * rounds + 1).astype(int)
    parts = [slice(a, b) for a, b in pairwise(cuts) if b > a]
    with ThreadPoolExecutor(_cores()) as pool:
        list(pool.map(work, parts))


def _cores() -> int:
    return os.cpu_count() or 1
