"""Mean ranks over cells, Friedman's test of them and Nemenyi's critical difference."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DIGITS = 12
"""What differs by the order of a sum shares a rank."""


def mean_ranks(scores: Floats) -> Floats:
    """Mean rank of each column of (cells, routers), (routers,); 1 is the highest score, equal ones share."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(-scores.round(_DIGITS), axis=1).mean(axis=0)
    return ranks


def friedman(scores: Floats) -> float:
    """p of the hypothesis that all columns of (cells, routers) rank alike (Friedman 1937).

    nan for fewer than three of either.
    """
    from scipy.stats import friedmanchisquare

    if min(scores.shape) < 3:
        return math.nan
    rounded = scores.round(_DIGITS)
    if (rounded == rounded[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*rounded.T).pvalue)


def nemenyi(routers: int, cells: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks (Demsar 2006); nan for fewer than two routers or without cells."""
    from scipy.stats import studentized_range  # type: ignore[attr-defined]

    if routers < 2 or cells < 1:
        return math.nan
    q = float(studentized_range.ppf(1 - alpha, routers, np.inf)) / math.sqrt(2)
    return q * math.sqrt(routers * (routers + 1) / (6 * cells))
