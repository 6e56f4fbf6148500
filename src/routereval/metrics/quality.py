"""How good the chosen models' answers are, by themselves and against what one could do without a router."""

from __future__ import annotations

from typing import Any

import numpy as np

from routereval.metrics.definition import metric


@metric("mu", symbol="mu", higher_is_better=True)
def mean_score(chosen: Any) -> Any:
    """Mean score of the chosen models (Huang et al. 2025)."""
    return chosen


@metric("V_R", symbol="V_R", higher_is_better=True)
def reference_ratio(chosen: Any, reference: Any) -> Any:
    """Mean score over that of a fixed strong model, Perf(ref) (Huang et al. 2025)."""
    return _ratio(chosen, reference)


@metric("V_B", symbol="V_B", higher_is_better=True)
def best_single_ratio(chosen: Any, best_single: Any) -> Any:
    """Mean score over that of the best single candidate on the same prompts, in hindsight (Huang et al. 2025)."""
    return _ratio(chosen, best_single)


@metric("V_B_train", symbol="V_B train", higher_is_better=True)
def train_best_single_ratio(chosen: Any, best_single_train: Any) -> Any:
    """Mean score over that of the candidate that was best on the training prompts."""
    return _ratio(chosen, best_single_train)


@metric("gap_closed", symbol="gap", higher_is_better=True)
def gap_closed(chosen: Any, baseline: Any, oracle: Any) -> Any:
    """Share of the way from the best single model to the oracle: (mu - best single) / (oracle - best single).

    The best single model is the protocol's: hindsight in ``paper``, chosen on train in ``strict``.
    """
    return _ratio(chosen - baseline, oracle - baseline)


@metric("regret", symbol="regret", higher_is_better=False)
def regret(chosen: Any, oracle: Any) -> Any:
    """Mean of the oracle's score minus the chosen model's (MCP in algorithm selection)."""
    return oracle - chosen


def _ratio(above: Any, below: Any) -> Any:
    """Above / below, nan where below is 0."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    empty = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.divide(above, below, out=empty, where=below != 0)
