"""How a policy spreads its choices over the pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.metrics.definition import metric


@metric("E_p", symbol="E_p", higher_is_better=None)
def classification_bias(entropy: Any) -> Any:
    """Mean entropy of the distribution over candidates, bits (Huang et al. 2025, "classification bias")."""
    return entropy


@metric("choice_entropy", symbol="H(choice)", higher_is_better=None)
def choice_entropy(share: NDArray[np.float64]) -> Any:
    """Entropy of how often each model was chosen, bits: 0 if one model takes all, log2 m if all are used alike."""
    used = share[share > 0]
    return abs(float(np.sum(used * np.log2(used)))) if len(used) else float("nan")


@metric("models_used", symbol="used", higher_is_better=None)
def models_used(share: NDArray[np.float64]) -> Any:
    """How many models are chosen at least once."""
    return np.count_nonzero(share)


@metric("largest_share", symbol="largest share", higher_is_better=None)
def largest_share(share: NDArray[np.float64]) -> Any:
    """The share of the prompts that goes to the model chosen most often."""
    return share.max()
