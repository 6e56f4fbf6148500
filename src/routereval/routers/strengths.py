"""Bradley-Terry strengths of many weightings at once, from how often each model won and how often each pair met."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS = 400 / np.log(10)
"""Elo points per unit of strength."""
START = 1000.0
"""Elo points of strength 0."""

_STEPS = 100
_LONGEST = 2.0
_CLOSE = 1e-10
_CELLS = 2_000_000


def wins_by_prompt(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """How many of the others each model beat on each prompt, a draw as half of one; (n, m), 0 where not observed.

    Notes
    -----
    A model's rank less one, equal scores sharing theirs. For scores of 0 and 1 that is (m - 1) / 2 + m (s - mean) / 2.
    """
    from scipy.stats import rankdata

    seen = ~np.isnan(targets)
    # What was not observed stands behind everything, where it moves no other rank.
    ranks = rankdata(np.where(seen, targets, np.inf), axis=1)
    return np.where(seen, ranks - 1, 0.0)


def strengths(wins: NDArray[np.float64], met: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Strengths with the highest likelihood under P(i beats j) = logistic(theta_i - theta_j), (b, m).

    The likelihood depends on the outcomes by nothing but these two (Ford 1957), so no matrix of wins is needed. Newton
    steps, all b problems at a time.

    Parameters
    ----------
    wins : (b, m) weighted battles each model won, a draw as half of one.
    met : (b, m, m) weighted battles of each pair; (b, 1, 1) where they are the same for all pairs.
    prior : battles that each model draws with one of strength 0; above 0, so that there always is an answer.
    """
    b, m = wins.shape
    size = max(1, _CELLS // (m * m))
    blocks = [slice(start, start + size) for start in range(0, b, size)]
    return np.concatenate([_newton(wins[at], met[at], prior) for at in blocks])


def _newton(wins: NDArray[np.float64], met: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    theta = np.zeros_like(wins)
    met = met * (1 - np.eye(wins.shape[1]))
    diagonal = np.arange(wins.shape[1])
    for _ in range(_STEPS):
        p = _logistic(theta[:, :, None] - theta[:, None, :])
        drawn = _logistic(theta)
        slope = wins + prior / 2 - (met * p).sum(axis=2) - prior * drawn
        curvature = -met * p * (1 - p)
        curvature[:, diagonal, diagonal] = -curvature.sum(axis=2) + prior * drawn * (1 - drawn)
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        # Far from the answer a Newton step leads too far.
        step *= np.minimum(1, _LONGEST / np.maximum(np.abs(step).max(axis=1, keepdims=True), _CLOSE))
        theta += step
        if np.abs(step).max() < _CLOSE:
            break
    return theta


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return values
