"""UniRoute: a model is the vector of its errors in clusters of prompts, and a new one joins with that vector alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routereval.data.prediction import softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import DataError, ParameterError
from routereval.routers.clusters import (
    as_many_as_there_are,
    check_positive,
    check_shrinkage,
    directions,
    distances,
    k_means,
    means_in_clusters,
)
from routereval.routers.contract import ColumnwiseRouter
from routereval.routers.products import columns_product
from routereval.routers.training import Adam, minibatches, with_ones

Measured = NDArray[np.float64] | tuple[Queries, ArrayLike]
"""A model's error vector (clusters,), or prompts and its scores on them (n,), nan where not observed."""


@dataclass
class UniRoute(ColumnwiseRouter):
    """One minus the error that a model made in the query's cluster (UniRoute, Jitkrittum et al. 2025, K-means).

    ``score_m(x) = 1 - Phi(x) . Psi(m)``, with ``Phi`` one at the cluster of the nearest centre (k-means on the training
    prompts' embeddings at length one) and ``Psi_k(m)`` the mean loss of model m, one minus its score, on the validation
    prompts in cluster k; without validation prompts, on the training prompts.

    In a cluster without a prompt that it was observed on, a model has its mean error; public code has 0.5 there, for
    which a strong model looks weak and a weak one strong.

    Parameters
    ----------
    clusters : how many; at most the number of training prompts, to which a larger one is cut.
    shrinkage : how many prompts of every cluster a model's mean error counts for; the paper has 0.
    train_too : whether errors on the training prompts count beside those on validation prompts. The paper has models
        that come later and were never run on the training prompts; here every model was, and they are far more.
    seed : of scikit-learn's KMeans.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "clusters": (20, 5, 10, 40, 80),
        "shrinkage": (30.0, 0.0, 10.0, 100.0),
    }
    clusters: int = 20
    shrinkage: float = 30.0
    train_too: bool = True
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Cluster the training prompts; measure each model's errors in each cluster.

        Raises
        ------
        ParameterError : ``clusters`` below 1, ``shrinkage`` below 0.
        """
        check_shrinkage("uniroute", self.shrinkage)
        clusters = as_many_as_there_are("uniroute", self.clusters, len(train))
        self.model_ids_ = train.model_ids
        self.centres_, _ = k_means(directions(train.queries.require_embeddings()), clusters, self.seed)
        parts = [train] if val is None else [train, val] if self.train_too else [val]
        member = np.concatenate([self._cluster(part.queries) for part in parts])
        targets = np.concatenate([part.targets for part in parts])
        self.errors_ = self._errors(targets, member).T
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """One minus the error in the query's cluster, (n, m)."""
        scores: NDArray[np.float64] = 1 - self.errors_.T[self._cluster(queries)]
        return scores

    def error_vector(self, queries: Queries, scores: ArrayLike) -> NDArray[np.float64]:
        """The error vector (clusters,) of a model that scored this, (n,), on these prompts.

        Raises
        ------
        DataError : not one score per prompt, or scores outside [0, 1].
        """
        column = np.asarray(scores, dtype=np.float32)
        if column.shape != (len(queries),):
            raise DataError(f"scores have shape {column.shape}; expected ({len(queries)},), one per prompt")
        if ((column < 0) | (column > 1)).any():
            raise DataError(f"scores lie between {np.nanmin(column):g} and {np.nanmax(column):g}; expected 0 to 1")
        vector: NDArray[np.float64] = self._errors(column[:, None], self._cluster(queries))[:, 0]
        return vector

    def with_model(self, name: str, measured: Measured) -> Self:
        """This router with one more model, the last column; nothing else is learned again.

        Parameters
        ----------
        name : of the model.
        measured : its error vector (clusters,) with values in [0, 1], or prompts and its scores on them.

        Raises
        ------
        DataError : the model is already there, or what was measured has a wrong shape or values outside [0, 1].
        """
        if name in self.model_ids_:
            raise DataError(f"{name!r} is already among {len(self.model_ids_)} models; choose another name")
        vector = self.error_vector(*measured) if isinstance(measured, tuple) else np.asarray(measured, dtype=np.float64)
        if vector.shape != (len(self.centres_),):
            raise DataError(
                f"an error vector of shape {vector.shape}; expected ({len(self.centres_)},), one per cluster"
            )
        if not ((vector >= 0) & (vector <= 1)).all():
            raise DataError(f"errors lie between {vector.min():g} and {vector.max():g}; expected 0 to 1")
        joined = copy.copy(self)
        joined.model_ids_ = (*self.model_ids_, name)
        joined.errors_ = np.vstack([self.errors_, vector])
        return joined

    def _cluster(self, queries: Queries) -> NDArray[np.int32]:
        """The cluster of each prompt, (n,)."""
        distance = distances(directions(queries.require_embeddings()), self.centres_)
        nearest: NDArray[np.int32] = distance.argmin(axis=1).astype(np.int32)
        return nearest

    def _errors(self, targets: NDArray[np.float32], member: NDArray[np.int32]) -> NDArray[np.float64]:
        """Mean loss of each model in each cluster, (clusters, m); that of a model never observed is 1."""
        # One contiguous row per model, so that a model's mean does not depend on which others are there.
        by_model = np.ascontiguousarray(targets.T, dtype=np.float64)
        means = np.nansum(by_model, axis=1) / np.maximum((~np.isnan(by_model)).sum(axis=1), 1)
        return 1 - means_in_clusters(targets, member, len(self.centres_), means, self.shrinkage)


@dataclass
class LearnedUniRoute(UniRoute):
    """UniRoute with a learned map of prompts to clusters (Jitkrittum et al. 2025, LearnedMap).

    ``Phi_k(x) = softmax_k(theta_k . x + b_k)``, trained to least log loss of ``Phi(x) . Psi(m)`` against the errors of
    the pool's models on the training prompts, with Psi from k-means as in :class:`UniRoute`. It starts from the
    clusters themselves, ``softmax(-squared distance / (temperature x s))`` with s the mean squared distance of a
    training prompt to its centre, and is held to that start by ``decay``.

    The map is learned from the pool's models: not columnwise. A model that joins later has its vector and does not
    change the map.

    Parameters
    ----------
    clusters, shrinkage, train_too : as in :class:`UniRoute`; a query is of several clusters, so less shrinkage will do.
    temperature : of the start; the smaller, the harder.
    steps, batch, learning_rate : of Adam.
    decay : weight of half the squared distance of the map to its start.
    seed : of scikit-learn's KMeans and the order of the prompts.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "clusters": (20, 5, 10, 40),
        "shrinkage": (30.0, 10.0, 100.0),
        "decay": (0.0001, 0.001),
    }
    shrinkage: float = 30.0
    temperature: float = 0.1
    steps: int = 300
    batch: int = 256
    learning_rate: float = 0.01
    decay: float = 0.0001

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Measure errors as UniRoute does, then learn the map on the training prompts.

        Raises
        ------
        ParameterError : as of UniRoute; ``temperature`` or ``learning_rate`` not above 0, ``steps`` or ``batch`` below
            1, ``decay`` below 0.
        """
        check_positive("uniroute_learned", temperature=self.temperature, learning_rate=self.learning_rate)
        for name, count in (("steps", self.steps), ("batch", self.batch)):
            if count < 1:
                raise ParameterError(f"uniroute_learned has {name} = {count}; it must be at least 1")
        if not self.decay >= 0:
            raise ParameterError(f"uniroute_learned has decay = {self.decay}; it must be 0 or more")
        super().fit(train, val)
        features = with_ones(directions(train.queries.require_embeddings()))
        self.map_ = self._start(train.queries)
        self._learn(features, (1 - train.targets).astype(np.float32))
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """One minus the error to expect, (n, m)."""
        share = softmax(columns_product(with_ones(directions(queries.require_embeddings())), self.map_))
        return 1 - columns_product(share, self.errors_)

    def _start(self, queries: Queries) -> NDArray[np.float32]:
        """Weights and bias of each cluster, (clusters, d + 1), of -squared distance / (temperature x s)."""
        nearest = distances(directions(queries.require_embeddings()), self.centres_).min(axis=1)
        scale = self.temperature * (float((nearest**2).mean()) or 1.0)
        bias = -(self.centres_**2).sum(axis=1, keepdims=True)
        start: NDArray[np.float32] = np.concatenate([2 * self.centres_, bias], axis=1).astype(np.float32) / scale
        return start.astype(np.float32)

    def _learn(self, features: NDArray[np.float32], errors: NDArray[np.float32]) -> None:
        """Adam on the mean log loss; changes the map in place."""
        start = self.map_.copy()
        vectors = self.errors_.T.astype(np.float32)
        adam = Adam([self.map_])
        names = ("uniroute", self.seed)
        schedule = minibatches(len(features), self.steps, self.batch, self.learning_rate, *names)
        for rows, size, root in zip(schedule.batches, schedule.size, schedule.root, strict=True):
            gradient = _slope(features[rows], errors[rows], self.map_, vectors)
            adam.step([gradient + np.float32(self.decay) * (self.map_ - start)], size, root)


def _slope(
    x: NDArray[np.float32], errors: NDArray[np.float32], theta: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Derivative by theta (clusters, d + 1) of the mean log loss of softmax(x theta^T) vectors against the errors.

    Parameters
    ----------
    x : (b, d + 1). errors : (b, m), nan where not observed. vectors : (clusters, m).
    """
    share = softmax(x @ theta.T).astype(np.float32)
    expected = np.clip(share @ vectors, 0.01, 0.99)
    by_expected = np.nan_to_num((expected - errors) / (expected * (1 - expected)))
    by_share = by_expected @ vectors.T / np.float32(max(1, int((~np.isnan(errors)).sum())))
    by_logit = share * (by_share - (share * by_share).sum(axis=1, keepdims=True))
    slope: NDArray[np.float32] = by_logit.T @ x
    return slope
