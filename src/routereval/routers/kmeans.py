"""Clusters of prompts: within each, the model that did best on the training prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, choose
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.clusters import (
    check_positive,
    check_shrinkage,
    distances,
    k_means,
    means_in_clusters,
    nearness,
    spread,
)
from routereval.routers.contract import ColumnwiseRouter, Ties
from routereval.routers.products import columns_product

Assignment = Literal["hard", "soft"]
"""``hard``: a query belongs to the cluster of its nearest centre. ``soft``: to every cluster, the more the nearer."""


@dataclass
class KMeans(ColumnwiseRouter):
    """Mean score of a query's cluster of training prompts (C-RoBERTa of Huang et al. 2025: 3 clusters, seed 0).

    With soft assignment the score is the mean over clusters weighted by softmax(-distance / (temperature x s)), where s
    is the mean distance of a training prompt to its centre.

    The distribution over models is each cluster's winner weighted by 1 / (Euclidean distance to its centre + 1e-10),
    normalised (with soft assignment by the weights above), summed over clusters that share a winner.

    Parameters
    ----------
    clusters : how many.
    shrinkage : how many prompts of every cluster a model's train mean counts for; the published code has 0.
    assignment : hard or soft.
    temperature : of soft assignment, in units of s; the smaller, the harder.
    ties : who wins among equal means within a cluster.
    seed : of scikit-learn's KMeans; the published code has 0.
    """

    paper_entropy_floor: ClassVar[float] = 1e-4
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "clusters": (3, 8, 16, 32, 64),
        "shrinkage": (0.0, 10.0, 30.0, 100.0),
        "assignment": ("hard", "soft"),
    }
    clusters: int = 3
    shrinkage: float = 0.0
    assignment: Assignment = "hard"
    temperature: float = 0.1
    ties: Ties = "protocol"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Cluster the training prompts and average each model's targets per cluster.

        Raises
        ------
        ParameterError : ``clusters`` below 1 or above the number of training prompts, ``shrinkage`` below 0,
            ``temperature`` not above 0, an ``assignment`` that there is not.
        """
        self._check(len(train))
        embeddings = train.queries.require_embeddings()
        self.centres_, member = k_means(embeddings, self.clusters, self.seed)
        self.spread_ = spread(distances(embeddings, self.centres_))
        self.means_ = train.target_means
        self.cluster_means_ = means_in_clusters(train.targets, member, self.clusters, self.means_, self.shrinkage)
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Mean target of the query's cluster or clusters, (n, m)."""
        return self._scores(distances(queries.require_embeddings(), self.centres_))

    def predict(self, queries: Queries) -> Prediction:
        """Cluster means and the winners' distribution, of all models ``fit`` saw."""
        return self.predict_slices(queries, [np.arange(len(self.means_))])[0]

    def predict_slices(self, queries: Queries, slices: Sequence[NDArray[np.intp]]) -> list[Prediction]:
        """One clustering; winners and distribution for each slice by itself."""
        distance = distances(queries.require_embeddings(), self.centres_)
        scores, weights = self._scores(distance), self._winners_weights(distance)
        predictions = []
        for columns in slices:
            winners = choose(
                self.cluster_means_[:, columns], self.means_[columns] if self.ties == "train_mean" else None
            )
            probs = np.zeros((len(distance), len(columns)))
            for cluster, winner in enumerate(winners):
                probs[:, winner] += weights[:, cluster]
            predictions.append(Prediction(np.ascontiguousarray(scores[:, columns]), probs))
        return predictions

    def _scores(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.assignment == "soft":
            return columns_product(nearness(distance, self.temperature * self.spread_), self.cluster_means_.T)
        scores: NDArray[np.float64] = self.cluster_means_[distance.argmin(axis=1)]
        return scores

    def _winners_weights(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.assignment == "soft":
            return nearness(distance, self.temperature * self.spread_)
        closeness = 1 / (distance + 1e-10)
        weights: NDArray[np.float64] = closeness / closeness.sum(axis=1, keepdims=True)
        return weights

    def _check(self, n: int) -> None:
        if not 1 <= self.clusters <= n:
            raise ParameterError(
                f"kmeans has clusters = {self.clusters}; with {n} training prompts it must be 1 to {n}"
            )
        check_shrinkage("kmeans", self.shrinkage)
        check_positive("kmeans", temperature=self.temperature)
        if self.assignment not in get_args(Assignment):
            raise ParameterError(f"kmeans has assignment = {self.assignment!r}; expected hard or soft")
