"""Perf(ref), the score of the fixed strong model that V_R divides by, as stored numbers say it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from routereval import facts


def perf_ref(benchmark: str, scored: Iterable[tuple[float, float]]) -> float | None:
    """That by which these have their V_R, mu / V_R; where none of them says, the published one; None: there is none.

    Parameters
    ----------
    benchmark : its name, which data of one's own may have too.
    scored : mu and V_R of runs on the data at hand, or of means of them.
    """
    undecided = True
    for mu, ratio in scored:
        if ratio > 0:
            # Without what dividing and multiplying leave.
            return float(f"{mu / ratio:.6g}")
        undecided &= not math.isnan(ratio)
    known = facts.benchmarks().get(benchmark)
    # Whoever has no V_R says that there is no reference; whoever scored nothing does not say what it is.
    return known.reference_score if known is not None and undecided else None
