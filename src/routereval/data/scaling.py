"""How the oracle and chance grow with the number of candidates: random pools of every size, and their expectation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from routereval.data.scores import ScoreMatrix, unpack
from routereval.errors import ParameterError
from routereval.kernels.pools import draw_pools

Index = NDArray[np.int64]

PROMPTS_AT_ONCE = 1024
"""How many prompts' scores are unpacked at a time."""


def published_grid(models: int, step: int = 20) -> list[int]:
    """The sizes of the published scaling figures: 2 to 200 by 1, to 500 by 2, to 1000 by 5, then by ``step``."""
    sizes = [*range(2, 201), *range(202, 501, 2), *range(505, 1001, 5), *range(1000 + step, models + 1, step)]
    return [m for m in sizes if m <= models]


def short_grid(models: int) -> list[int]:
    """1, 2 and 5 times each power of ten, from 2 on, 3 besides, and all models."""
    sizes = [2, 3] + [k * 10**power for power in range(6) for k in (1, 2, 5)]
    return sorted({m for m in sizes if 2 <= m <= models} | {models})


def grid_named(name: str, models: int, benchmark: str) -> list[int]:
    """The ``short`` or the ``published`` grid; the latter has a finer end for MMLU-PRO, and all models besides.

    Raises
    ------
    ParameterError : no such grid.
    """
    if name == "published":
        return sorted({*published_grid(models, step=10 if benchmark == "mmlu_pro" else 20), models})
    if name == "short":
        return short_grid(models)
    raise ParameterError(f"unknown grid {name!r}; expected short or published")


def random_pools(models: int, m: int, draws: int, rng: np.random.Generator) -> Index:
    """``draws`` pools of m models, each drawn alike from all subsets, positions ascending, (draws, m)."""
    pools = np.empty((draws, m), dtype=np.int64)
    draw_pools(models, rng, pools)
    return pools


def expected_oracle(scores: ScoreMatrix, sizes: Sequence[int]) -> NDArray[np.float64]:
    """The oracle's mean score, averaged over *all* subsets of m models, (sizes,); exact, nothing is drawn.

    With a prompt's scores in ascending order, the k-th (from 1) is the best of a subset in C(k - 1, m - 1) of C(M, m)
    cases. For binary scores with c right models that is 1 - C(M - c, m) / C(M, m).

    Raises
    ------
    ValueError : cells are missing; a subset may then have no score on a prompt.
    """
    if not scores.complete:
        raise ValueError("the expectation over subsets needs every cell")
    models = scores.shape[1]
    k = np.arange(1, models + 1)
    if scores.bits is not None:
        # The k-th of the ascending scores is 1 where at least M - k + 1 models are right.
        right = unpack(scores.bits, scores.shape[0]).sum(axis=1, dtype=np.int64)
        at_least = np.cumsum(np.bincount(right, minlength=models + 1)[::-1])[::-1]
        mean_of_sorted = at_least[models - k + 1] / scores.shape[0]
    else:
        mean_of_sorted = np.sort(scores.dense(), axis=1).mean(axis=0, dtype=np.float64)
    expected = []
    for m in sizes:
        log_share = _log_choose(k - 1, m - 1) - _log_choose(np.array([models]), m)
        expected.append(float(np.exp(log_share) @ mean_of_sorted))
    return np.array(expected)


def chance_means(scores: ScoreMatrix, pools: Index) -> NDArray[np.float64]:
    """Chance's mean score on each pool, (pools,): on a prompt the mean over the pool's models observed there.

    Prompts that no model of a pool was observed on do not count for it.
    """
    member = np.zeros((scores.shape[1], len(pools)))
    member[pools, np.arange(len(pools))[:, None]] = 1
    sums, counted = np.zeros(len(pools)), np.zeros(len(pools))
    for start in range(0, scores.shape[0], PROMPTS_AT_ONCE):
        dense = scores.rows(np.arange(start, min(start + PROMPTS_AT_ONCE, scores.shape[0]))).dense()
        seen = (~np.isnan(dense)).astype(np.float64) @ member
        totals = np.nan_to_num(dense).astype(np.float64) @ member
        sums += np.divide(totals, seen, out=np.zeros_like(totals), where=seen > 0).sum(axis=0)
        counted += (seen > 0).sum(axis=0)
    means: NDArray[np.float64] = np.divide(sums, counted, out=np.full(len(pools), np.nan), where=counted > 0)
    return means


def _log_choose(n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    possible = n >= k
    safe = np.where(possible, n, k)
    logs = gammaln(safe + 1.0) - gammaln(k + 1.0) - gammaln(safe - k + 1.0)
    return np.where(possible, logs, -np.inf)
