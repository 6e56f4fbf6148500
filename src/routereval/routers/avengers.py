"""Avengers: models ranked within clusters of prompts, and the ranks of the nearest clusters added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.clusters import (
    as_many_as_there_are,
    check_positive,
    check_shrinkage,
    directions,
    distances,
    k_means,
    means_in_clusters,
    nearness,
)

Variant = Literal["simple", "pro"]
"""``simple``: 1 / a model's rank in a cluster. ``pro``: its accuracy there, the pool's worst as 0, its best as 1."""


@dataclass
class Avengers:
    """Models' standing in the `nearest` clusters, weighted by softmax(-beta x distance) (Avengers, Avengers-Pro, 2025).

    Embeddings at length one, k-means, and ``score_m(x) = sum_k p_k(x) standing_km`` over the nearest clusters, with
    ``p = softmax(-beta * distance)`` over these and ``standing_km = 1 / rank_km`` (``simple``; equals share the best
    rank) or ``(acc_km - min_k) / (max_k - min_k)`` over the pool (``pro``; 0 for all where all are equal). Avengers-Pro
    also weighs cost; that is left out here, so ``pro`` is what it is with all weight on accuracy.

    A standing depends on who else is in the pool, and so do sums of standings over clusters: not columnwise.

    Parameters
    ----------
    clusters : how many; at most the number of training prompts, to which a larger one is cut.
    nearest : how many clusters have a say; at most ``clusters``, to which a larger one is cut.
    beta : how much more say a nearer cluster has.
    variant : simple or pro.
    shrinkage : how many prompts of every cluster a model's train mean counts for; the published code has 0.
    seed : of scikit-learn's KMeans.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "clusters": (25, 8, 64),
        "nearest": (3, 1),
        "variant": ("simple", "pro"),
        "shrinkage": (30.0, 0.0, 100.0),
    }
    clusters: int = 25
    nearest: int = 3
    beta: float = 9.0
    variant: Variant = "simple"
    shrinkage: float = 30.0
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Cluster the training prompts and see where each model stands in each cluster.

        Raises
        ------
        ParameterError : ``clusters`` or ``nearest`` below 1, ``beta`` not above 0, ``shrinkage`` below 0, a ``variant``
            that there is not.
        """
        clusters = self._checked(len(train))
        self.centres_, member = k_means(directions(train.queries.require_embeddings()), clusters, self.seed)
        means = means_in_clusters(train.targets, member, clusters, train.target_means, self.shrinkage)
        self.standings_ = scaled(means) if self.variant == "pro" else inverse_ranks(means)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Sums of standings, (n, m), and their softmax."""
        distance = distances(directions(queries.require_embeddings()), self.centres_)
        if (nearest := min(self.nearest, len(self.centres_))) < len(self.centres_):
            farthest = np.partition(distance, nearest - 1, axis=1)[:, nearest - 1 : nearest]
            distance = np.where(distance <= farthest, distance, np.inf)
        scores: NDArray[np.float64] = nearness(distance, 1 / self.beta) @ self.standings_
        return Prediction(scores, softmax(scores))

    def _checked(self, n: int) -> int:
        """How many clusters."""
        check_positive("avengers", beta=self.beta)
        check_shrinkage("avengers", self.shrinkage)
        if self.nearest < 1:
            raise ParameterError(f"avengers has nearest = {self.nearest}; it must be at least 1")
        if self.variant not in get_args(Variant):
            raise ParameterError(f"avengers has variant = {self.variant!r}; expected simple or pro")
        return as_many_as_there_are("avengers", self.clusters, n)


def scaled(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows from 0 (the worst) to 1 (the best); zeros where all are equal."""
    least, most = means.min(axis=1, keepdims=True), means.max(axis=1, keepdims=True)
    standings: NDArray[np.float64] = (means - least) / np.where(most > least, most - least, 1)
    return standings


def inverse_ranks(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the best of each row, 1/2 for the next, and so on; equals share the best of their ranks."""
    from scipy.stats import rankdata

    standings: NDArray[np.float64] = 1 / rankdata(-means, method="min", axis=1)
    return standings
