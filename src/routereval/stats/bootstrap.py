"""Intervals: the bootstrap over test prompts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import Outcome
from routereval.metrics import METRICS, Metric

DRAWS = 1000
LEVEL = 0.95
LARGE = 20_000_000
"""How many counts are held at once."""

Interval = tuple[float, float]


@lru_cache(maxsize=8)
def resample_counts(n: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """How often each of n prompts occurs in each of the resamples, (draws, n): the same for everyone, so paired.

    Efron's nonparametric bootstrap: n draws with replacement are multinomial counts.
    """
    return np.random.default_rng(n).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def _resampled_sums(stacked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the columns (n, k) in every resample, (draws, k); in blocks where the counts would fill the memory."""
    n = len(stacked)
    if n * DRAWS <= LARGE:
        return resample_counts(n) @ stacked
    rng = np.random.default_rng(n)
    block = max(1, LARGE // n)
    sizes = [min(block, DRAWS - start) for start in range(0, DRAWS, block)]
    return np.concatenate([rng.multinomial(n, np.full(n, 1 / n), size=size).astype(float) @ stacked for size in sizes])


def resampled_means(outcome: Outcome, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Mean of each column in every resample, (draws,) each; nan where there is no such column."""
    have = [name for name in columns if name in outcome.columns]
    stacked = np.stack([outcome.counted.astype(np.float64), *(outcome.columns[name] for name in have)], axis=1)
    sums = _resampled_sums(stacked)
    total = sums[:, :1]
    means = np.divide(sums[:, 1:], total, out=np.full(sums[:, 1:].shape, np.nan), where=total > 0)
    absent = np.full(len(sums), np.nan)
    return {name: means[:, have.index(name)] if name in have else absent for name in columns}


def resampled_metrics(outcome: Outcome, metrics: Sequence[Metric] | None = None) -> dict[str, NDArray[np.float64]]:
    """Every resampled metric in every resample, (draws,) each; numerator and denominator from the same prompts.

    The best single model is the one of the whole test set, not of each resample, so a ratio's interval is that of two
    fixed policies.
    """
    chosen = [metric for metric in (METRICS.values() if metrics is None else metrics) if metric.resampled]
    names = sorted({column for metric in chosen for column in metric.columns})
    means = resampled_means(outcome, names)
    return {metric.name: np.asarray(metric.from_means(means)) for metric in chosen}


def interval(draws: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """The percentile interval of resampled values; nan where any of them is."""
    if np.isnan(draws).any():
        return float("nan"), float("nan")
    low, high = np.quantile(draws, _ends(level))
    return float(low), float(high)


def intervals(outcome: Outcome) -> dict[str, Interval]:
    """The 95 % bootstrap interval of every metric that has one."""
    found = resampled_metrics(outcome)
    there = [name for name, draws in found.items() if not np.isnan(draws).any()]
    # All at once: a call for each would take as long as the resampling of a small scenario.
    ends = np.quantile(np.stack([found[name] for name in there]), _ends(LEVEL), axis=1) if there else np.empty((2, 0))
    bounds = {name: (float(low), float(high)) for name, low, high in zip(there, *ends, strict=True)}
    return {name: bounds.get(name, (float("nan"), float("nan"))) for name in found}


def _ends(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]
