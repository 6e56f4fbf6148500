"""Clusters of prompts: within each, the model that did best on the training prompts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, choose
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.contract import ColumnwiseRouter, Ties


@dataclass
class KMeans(ColumnwiseRouter):
    """Mean score of a query's cluster of training prompts (C-RoBERTa of Huang et al. 2025: 3 clusters, seed 0).

    The distribution over models is each cluster's winner weighted by 1 / (Euclidean distance to its centre + 1e-10),
    normalised, summed over clusters that share a winner.

    Parameters
    ----------
    clusters : how many.
    ties : who wins among equal means within a cluster.
    seed : of scikit-learn's KMeans; the published code has 0.
    """

    paper_entropy_floor: ClassVar[float] = 1e-4
    clusters: int = 3
    ties: Ties = "protocol"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Cluster the training prompts and average each model's targets per cluster.

        Raises
        ------
        ParameterError : ``clusters`` below 1 or above the number of training prompts.
        """
        from sklearn.cluster import KMeans as Clustering
        from sklearn.exceptions import ConvergenceWarning

        if not 1 <= self.clusters <= len(train):
            raise ParameterError(
                f"kmeans has clusters = {self.clusters}; "
                f"with {len(train)} training prompts it must be 1 to {len(train)}"
            )
        with warnings.catch_warnings():
            # Fewer distinct prompts than clusters: empty clusters then have the train means, below.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.clustering_ = Clustering(self.clusters, random_state=self.seed)
            member = self.clustering_.fit_predict(train.queries.require_embeddings())
        self.means_ = train.target_means
        self.cluster_means_ = _means_by_group(train.targets, member, self.clusters, np.nan_to_num(self.means_))
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Mean target of the query's cluster, (n, m)."""
        scores: NDArray[np.float64] = self.cluster_means_[self.clustering_.predict(queries.require_embeddings())]
        return scores

    def predict(self, queries: Queries) -> Prediction:
        """Cluster means and the winners' distribution, of all models ``fit`` saw."""
        return self.predict_slices(queries, [np.arange(len(self.means_))])[0]

    def predict_slices(self, queries: Queries, slices: Sequence[NDArray[np.intp]]) -> list[Prediction]:
        """One clustering; winners and distribution for each slice by itself."""
        embeddings = queries.require_embeddings()
        member = self.clustering_.predict(embeddings)
        closeness = 1 / (self.clustering_.transform(embeddings).astype(np.float64) + 1e-10)
        weights = closeness / closeness.sum(axis=1, keepdims=True)
        predictions = []
        for columns in slices:
            means = self.cluster_means_[:, columns]
            winners = choose(means, self.means_[columns] if self.ties == "train_mean" else None)
            probs = np.zeros((len(embeddings), len(columns)))
            for cluster, winner in enumerate(winners):
                probs[:, winner] += weights[:, cluster]
            predictions.append(Prediction(means[member], probs))
        return predictions


def _means_by_group(
    targets: NDArray[np.float32], group: NDArray[np.int32], groups: int, fallback: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of each column within each group over what was observed, (groups, m); ``fallback`` where nothing was."""
    means = np.tile(fallback, (groups, 1))
    for g in range(groups):
        # One contiguous row per model, so that a model's sum does not depend on which others are there.
        of_group = np.ascontiguousarray(targets[group == g].T, dtype=np.float64)
        count = np.sum(~np.isnan(of_group), axis=1)
        np.divide(np.nansum(of_group, axis=1), count, out=means[g], where=count > 0)
    return means
