"""What a benchmark can tell apart: the minimum detectable difference of two routers."""

from __future__ import annotations

import math

import numpy as np

POWER, ALPHA = 0.8, 0.05


def detectable(error: float, clusters: float = np.inf, power: float = POWER, alpha: float = ALPHA) -> float:
    """The true difference that a two-sided test at ``alpha`` finds with this power.

    (t(1 - alpha / 2) + t(power)) times the standard error of the difference, t the quantiles of Student's distribution
    with clusters - 1 degrees of freedom: 2.80 standard errors where there are many (Bloom 1995; Card et al. 2020 for
    benchmarks of language models). nan where there are fewer than two clusters.

    Parameters
    ----------
    error : standard error of the mean paired difference, as observed.
    clusters : how many it comes from.
    """
    from scipy.stats import t  # type: ignore[attr-defined]

    if clusters < 2:
        return math.nan
    return float(t.ppf(1 - alpha / 2, clusters - 1) + t.ppf(power, clusters - 1)) * error


def prompts_for(difference: float, prompts: int, found: float) -> int:
    """How many prompts of the same kind would tell ``difference`` apart, where ``prompts`` tell ``found`` apart.

    The standard error falls with the square root: n (found / difference)^2.
    """
    return math.ceil(prompts * (found / difference) ** 2 - 1e-9)
