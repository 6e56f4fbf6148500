"""Mean ranks over cells, and Friedman's test of them."""

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
