"""What the pairwise routers share: which models meet, a forest for each pair, where the others stand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import standing
from routereval.data.scenario import Partition
from routereval.errors import ParameterError


def strongest(train: Partition, top: int) -> NDArray[np.intp]:
    """Positions of the ``top`` models that are best on train, as ``best_single`` ranks them, in ascending order."""
    values = standing(train.target_means, train.scores.counts, len(train))
    return np.sort(np.argsort(-values, kind="stable")[:top])


def pairs_of(k: int) -> NDArray[np.intp]:
    """All pairs of k models, (k (k - 1) / 2, 2)."""
    return np.array(list(combinations(range(k), 2)), dtype=np.intp).reshape(-1, 2)


def balance(advantages: NDArray[np.float64], pairs: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Each model's mean advantage over the others it met, (n, k), from those of the first of each pair (n, pairs)."""
    total = np.zeros((len(advantages), k))
    for (first, second), advantage in zip(pairs, advantages.T, strict=True):
        total[:, first] += advantage
        total[:, second] -= advantage
    return total / max(1, k - 1)


def placed(scores: NDArray[np.float64], top: NDArray[np.intp], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores (n, k) of the models that met among those of all (n, m): the others below, by their train means."""
    everyone: NDArray[np.float64] = scores.min(axis=1, keepdims=True) + (means - 2)
    everyone[:, top] = scores
    return everyone


def check_pairs(name: str, *, top: int, shrinkage: float, **counts: int) -> None:
    """Refuse less than one model to meet, shares outside 0 to 1 and counts below 1.

    Raises
    ------
    ParameterError : says which.
    """
    for what, count in {"top": top, **counts}.items():
        if count < 1:
            raise ParameterError(f"{name} has {what} = {count}; it must be at least 1")
    if not 0 <= shrinkage <= 1:
        raise ParameterError(f"{name} has shrinkage = {shrinkage}; it must be 0 to 1")
