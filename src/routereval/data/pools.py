"""Candidate pools: by the published rule (all strong, all weak, strong to weak), random, greedy, by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from routereval.data.oracles import greedy_pool, oracle_means, window_oracle_means
from routereval.data.scenario import STRATEGIES, CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.errors import DataError

WEAK_LIMIT = 0.1
STRONG_LIMIT = 0.9
DRAWS = 1000


def select_pools(
    scores: ScoreMatrix, sizes: Sequence[int], *, seed: int | np.random.RandomState = 42
) -> dict[tuple[str, int], CandidatePool]:
    """Three pools of each size, models in ascending mean score.

    ``all_weak`` and ``all_strong`` are the window of m models of neighbouring rank with the highest oracle score,
    within the fifth of the ranks just above a mean of 0.1, and just below 0.9; ``strong_to_weak`` is the best of 1000
    draws of one model from each of m near-equal groups of ranks between the two limits. The first wins ties; ranks are
    by a stable sort.

    Parameters
    ----------
    scores : prompts x models, the prompts that may be looked at. The published pools look at all of them, test
        included; without test prompts the pools are sound.
    sizes : m of each pool, in the order in which the generator's state is used up.
    seed : of NumPy's legacy generator, or such a generator (the published code goes on from the split's shuffles).

    Raises
    ------
    DataError : a pool cannot be made; says which limit was hit. Where the published code crashes or takes models twice.

    Notes
    -----
    Huang et al. 2025, released code; random draws are ``numpy.random.choice`` of the legacy generator.
    """
    rule = PublishedRule(scores, seed)
    return {(strategy, m): rule.pool(strategy, m) for m in sizes for strategy in STRATEGIES}


class PublishedRule:
    """The published way to pick pools, one at a time; what was drawn before decides what is drawn next.

    Raises
    ------
    DataError : no model has a mean score above 0.1.
    """

    def __init__(self, scores: ScoreMatrix, seed: int | np.random.RandomState = 42):
        self._rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        means = np.nan_to_num(scores.model_means)
        order = np.argsort(means, kind="stable")
        self._ranked = scores.columns(order)
        ascending = means[order]
        self._low = int(np.searchsorted(ascending, WEAK_LIMIT, side="right"))
        self._high = int(np.searchsorted(ascending, STRONG_LIMIT, side="right"))
        if self._low == len(order):
            raise DataError(
                f"no model has a mean score above {WEAK_LIMIT} (the best has {ascending[-1]:.3f}); no pool can be made"
            )

    def pool(self, strategy: str, m: int) -> CandidatePool:
        """A pool of m models.

        Raises
        ------
        DataError : fewer than m models qualify; says how many do and what the limits are.
        """
        total = self._ranked.shape[1]
        width = max(total // 5, m)
        start, stop = {
            "all_strong": (max(self._high - width, self._low), self._high),
            "all_weak": (self._low, min(self._low + width, self._high)),
            "strong_to_weak": (self._low, self._high),
        }[strategy]
        if stop - start < m:
            raise DataError(
                f"no pool {strategy}/{m}: only {stop - start} of {total} models have ranks between a mean score of "
                f"{WEAK_LIMIT} and {STRONG_LIMIT} there; ask for fewer candidates"
            )
        if strategy == "strong_to_weak":
            picked = best_draw(self._ranked, draws_of(start, stop, m, self._rng))
        else:
            picked = best_window(self._ranked, start, stop, m)
        return CandidatePool(tuple(self._ranked.model_ids[i] for i in picked), strategy)


def random_pool(scores: ScoreMatrix, m: int, rng: np.random.Generator, strategy: str = "random") -> CandidatePool:
    """m models drawn alike from all of them, in ascending mean score.

    Raises
    ------
    DataError : there are fewer than m.
    """
    _check_size("random", m, scores)
    return _ascending(scores, rng.choice(scores.shape[1], size=m, replace=False), strategy)


def greedy(scores: ScoreMatrix, m: int) -> CandidatePool:
    """m models picked one by one, each the one that raises the oracle most, in ascending mean score.

    Raises
    ------
    DataError : there are fewer than m.
    """
    _check_size("greedy", m, scores)
    ranked = scores.columns(np.argsort(np.nan_to_num(scores.model_means), kind="stable"))
    return _ascending(ranked, greedy_pool(ranked, m), "greedy")


def chosen(scores: ScoreMatrix, patterns: Sequence[str]) -> CandidatePool:
    """The models that these names and wildcards stand for, in ascending mean score.

    Raises
    ------
    DataError : a pattern that no model matches; says the nearest names.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        matching = [pattern] if pattern in scores.model_ids else fnmatch.filter(scores.model_ids, pattern)
        if not matching:
            near = difflib.get_close_matches(pattern, scores.model_ids, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise DataError(f"no model is named {pattern!r}{hint}")
        names |= dict.fromkeys(matching)
    return _ascending(scores, np.array([scores.model_ids.index(name) for name in names]), "chosen")


def _check_size(strategy: str, m: int, scores: ScoreMatrix) -> None:
    if m > scores.shape[1]:
        raise DataError(f"no pool {strategy}/{m}: there are only {scores.shape[1]} models; ask for fewer candidates")


def _ascending(scores: ScoreMatrix, picked: NDArray[np.int64], strategy: str) -> CandidatePool:
    means = np.nan_to_num(scores.model_means)[picked]
    return CandidatePool(tuple(scores.model_ids[i] for i in picked[np.argsort(means, kind="stable")]), strategy)


def best_window(ranked: ScoreMatrix, start: int, stop: int, m: int) -> NDArray[np.intp]:
    """The m neighbouring ranks between ``start`` and ``stop`` with the highest oracle score; the first wins ties."""
    means = window_oracle_means(ranked.columns(np.arange(start, stop)), m)
    first = start + int(np.argmax(means))
    return np.arange(first, first + m)


def draws_of(start: int, stop: int, m: int, rng: np.random.RandomState) -> NDArray[np.intp]:
    """1000 draws of one rank from each of m near-equal groups of ``start`` to ``stop``, (1000, m)."""
    groups = np.array_split(np.arange(start, stop), m)
    # choice(group) takes randint(0, len(group)); with an array of bounds the generator gives the same numbers faster.
    bounds = np.array([len(group) for group in groups])
    firsts = np.array([group[0] for group in groups])
    return firsts + rng.randint(0, np.broadcast_to(bounds, (DRAWS, m)))


def best_draw(ranked: ScoreMatrix, draws: NDArray[np.intp]) -> NDArray[np.intp]:
    """The draw with the highest oracle score; the first wins ties."""
    best: NDArray[np.intp] = draws[int(np.argmax(oracle_means(ranked, draws)))]
    return best
