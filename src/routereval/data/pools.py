"""Candidate pools: by the published rule (all strong, all weak, strong to weak), random, greedy, by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

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
    within the fifth of the ranks (or m ranks, where that is more) just above a mean of 0.1, and just below 0.9;
    ``strong_to_weak`` is the best of 1000 draws of one model from each of m near-equal groups of ranks between the two
    limits. The first wins ties; ranks are by a stable sort.

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


@dataclass(frozen=True)
class Region:
    """The ranks a pool is picked from: ``start`` to ``stop - 1``, and which limit was given up for it, if one was."""

    start: int
    stop: int
    fallback: str = ""


class PublishedRule:
    """The published way to pick pools, one at a time; what was drawn before decides what is drawn next.

    Ranks are those of ascending mean score. With N models, ``lo`` and ``hi`` of them at or below a mean of 0.1 and 0.9
    and a width w = max(N // 5, m), ``all_weak`` looks at ranks lo to lo + w, ``all_strong`` at hi - w to hi,
    ``strong_to_weak`` at lo to hi.

    Parameters
    ----------
    fallback : what to do where the published code crashes or takes the wrong models. False: an error. True: where
        fewer than m models lie between the limits, both limits are dropped for that pool (lo is the number of models
        never observed, hi is N); where a region reaches past the first or the last of these ranks, it ends there.
    """

    def __init__(self, scores: ScoreMatrix, seed: int | np.random.RandomState = 42, *, fallback: bool = False):
        self._rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        self._fallback = fallback
        means = np.nan_to_num(scores.model_means, nan=-1.0)
        order = np.argsort(means, kind="stable")
        self._ranked = scores.columns(order)
        self._ascending = means[order]

    def region(self, strategy: str, m: int) -> Region:
        """The ranks that a pool of m models is picked from.

        Raises
        ------
        DataError : no model has a mean score above 0.1, fewer than m lie between the limits, or the ranks end before
            the region does; says which limit it was and the counts.
        """
        total = len(self._ascending)
        low, high = (int(np.searchsorted(self._ascending, at, side="right")) for at in (WEAK_LIMIT, STRONG_LIMIT))
        # Ranks before this are of models that were never observed.
        first = int(np.searchsorted(self._ascending, 0.0))
        name, dropped = f"{strategy}/{m}", ""
        if total - first < m:
            raise DataError(f"no pool {name}: there are only {total - first} models; ask for fewer candidates")
        if high - low < m:
            if not self._fallback:
                raise DataError(self._too_few(name, low, high))
            low, high, dropped = first, total, f"limits {WEAK_LIMIT} and {STRONG_LIMIT} dropped"
        if strategy == "strong_to_weak":
            return Region(low, high, dropped)
        width = max(total // 5, m)
        start, stop = (high - width, high) if strategy == "all_strong" else (low, low + width)
        if start < first or stop > total:
            inside = min(stop, total) - max(start, first)
            side, limit = ("at or below", STRONG_LIMIT) if start < first else ("above", WEAK_LIMIT)
            if not self._fallback:
                raise DataError(
                    f"no pool {name}: the published region is {width} ranks of {total} models, but only {inside} have "
                    f"a mean score {side} {limit}; the fallback looks at these {inside}"
                )
            start, stop = max(start, first), min(stop, total)
            dropped = dropped or f"region of {width} ranks cut to the {inside} there are"
        return Region(start, stop, dropped)

    def pool(self, strategy: str, m: int) -> CandidatePool:
        """A pool of m models.

        Raises
        ------
        DataError : as :meth:`region`.
        """
        region = self.region(strategy, m)
        if strategy == "strong_to_weak":
            picked = best_draw(self._ranked, draws_of(region.start, region.stop, m, self._rng))
        else:
            picked = best_window(self._ranked, region.start, region.stop, m)
        return CandidatePool(tuple(self._ranked.model_ids[i] for i in picked), strategy)

    def _too_few(self, name: str, low: int, high: int) -> str:
        total = len(self._ascending)
        if low == total:
            best = max(0.0, float(self._ascending[-1]))
            return (
                f"no model has a mean score above {WEAK_LIMIT} (the best of {total} has {best:.3f}), so the published "
                "rule makes no pool; the fallback drops the limits"
            )
        return (
            f"no pool {name}: only {high - low} of {total} models have a mean score between {WEAK_LIMIT} and "
            f"{STRONG_LIMIT} ({low} at or below, {total - high} above); ask for fewer candidates, or for the fallback, "
            "which drops the limits"
        )


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


def chosen(scores: ScoreMatrix, names: Sequence[str]) -> CandidatePool:
    """The pool of these models, in ascending mean score."""
    position = {name: i for i, name in enumerate(scores.model_ids)}
    return _ascending(scores, np.array([position[name] for name in names], dtype=np.int64), "chosen")


def models_named(known: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The models that these names and wildcards stand for, each once.

    Raises
    ------
    DataError : a pattern that no model matches; says the nearest names.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        matching = [pattern] if pattern in known else fnmatch.filter(known, pattern)
        if not matching:
            near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise DataError(f"no model is named {pattern!r}{hint}")
        names |= dict.fromkeys(matching)
    return list(names)


def _check_size(strategy: str, m: int, scores: ScoreMatrix) -> None:
    if m > scores.shape[1]:
        raise DataError(f"no pool {strategy}/{m}: there are only {scores.shape[1]} models; ask for fewer candidates")


def _ascending(scores: ScoreMatrix, picked: NDArray[np.int64], strategy: str) -> CandidatePool:
    means = np.nan_to_num(scores.model_means)[picked]
    return CandidatePool(tuple(scores.model_ids[i] for i in picked[np.argsort(means, kind="stable")]), strategy)


def best_window(ranked: ScoreMatrix, start: int, stop: int, m: int) -> NDArray[np.intp]:
    """The m neighbouring ranks between ``start`` and ``stop`` with the highest oracle score; the first wins ties."""
    first = start + int(np.argmax(window_oracle_means(ranked, m, start, stop)))
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
