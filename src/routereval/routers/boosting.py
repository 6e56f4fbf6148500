"""Gradient-boosted trees: each model's score as a sum of small trees over the embedding's principal components."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.kernels.trees import boost, boosted
from routereval.routers.components import principal_components, projected
from routereval.routers.contract import ColumnwiseRouter
from routereval.routers.products import shrunk

_BINS = 64


@dataclass
class Boosting(ColumnwiseRouter):
    """Gradient-boosted trees, one series per model (Friedman 2001; Newton steps: Chen and Guestrin 2016).

        score_m(x) = (1 - shrinkage) link(base_m + sum_t tree_mt(z)) + shrinkage mean_m,  z = components of x

    Binary scores are learnt by cross-entropy (link is the logistic), graded ones by squared error. The trees are those
    of scikit-learn's HistGradientBoosting; they are grown by a compiled loop over bins that all models share.

    Parameters
    ----------
    trees : per model.
    depth : of a tree, 1 to 6.
    learning_rate : share of a Newton step that a tree takes.
    min_leaf : fewest observed prompts in a leaf; with fewer than twice that many prompts there is no split, and scores
        are the train means.
    l2 : penalty on a leaf's value, in units of a prompt's second derivative.
    components : of the embeddings, at most; fewer where the embeddings have fewer, 255 at most.
    shrinkage : share of the model's train mean, 0 to 1.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "trees": (30, 100),
        "depth": (2, 1, 3),
        "shrinkage": (0.5, 0.0),
        "components": (16, 48),
    }
    trees: int = 30
    depth: int = 2
    learning_rate: float = 0.1
    min_leaf: int = 20
    l2: float = 1.0
    components: int = 16
    shrinkage: float = 0.5

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Grow each model's trees on the prompts it was observed on.

        Raises
        ------
        ParameterError : a parameter outside its range.
        """
        self._check()
        embeddings = train.queries.require_embeddings()
        self.components_ = principal_components(embeddings, self.components)
        features = projected(embeddings, self.components_)
        self.edges_ = [_edges(column) for column in features.T]
        self.means_ = np.nan_to_num(train.target_means)
        self.logistic_ = train.labels is None and train.scores.binary
        self.base_ = _log_odds(self.means_) if self.logistic_ else self.means_
        bins, targets = _binned(features, self.edges_), train.targets_by_model
        m, nodes = len(targets), 2**self.depth - 1
        self.features_ = np.zeros((m, self.trees, nodes), dtype=np.uint8)
        self.cuts_ = np.zeros((m, self.trees, nodes), dtype=np.uint8)
        self.values_ = np.zeros((m, self.trees, nodes + 1))

        def grow(j: int) -> None:
            y, out = targets[j].astype(np.float32), (self.features_[j], self.cuts_[j], self.values_[j])
            # A model that is always right or never has nothing to learn; its log odds would not end.
            if not (self.logistic_ and self.means_[j] in (0.0, 1.0)):
                args = (self.base_[j], self.logistic_, self.learning_rate, self.min_leaf, self.l2)
                boost(bins, y, *args, *out)

        _for_each(grow, m)
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Predicted scores drawn towards the train means, (n, m)."""
        bins = _binned(projected(queries.require_embeddings(), self.components_), self.edges_)
        raw = np.empty((len(self.means_), len(bins)))
        _for_each(lambda j: boosted(bins, self.features_[j], self.cuts_[j], self.values_[j], raw[j]), len(raw))
        raw += self.base_[:, None]
        by_model = 1 / (1 + np.exp(-raw)) if self.logistic_ else raw
        return np.ascontiguousarray(shrunk(by_model.T, self.means_, self.shrinkage))

    def _check(self) -> None:
        for what, low, high in (("trees", 1, 10_000), ("depth", 1, 6), ("min_leaf", 1, None), ("components", 1, 255)):
            value = getattr(self, what)
            if value < low or (high is not None and value > high):
                allowed = f"at least {low}" if high is None else f"{low} to {high}"
                raise ParameterError(f"boosting has {what} = {value}; it must be {allowed}")
        if not self.learning_rate > 0:
            raise ParameterError(f"boosting has learning_rate = {self.learning_rate}; it must be positive")
        if not self.l2 >= 0:
            raise ParameterError(f"boosting has l2 = {self.l2}; it must be 0 or more")
        if not 0 <= self.shrinkage <= 1:
            raise ParameterError(f"boosting has shrinkage = {self.shrinkage}; it must be 0 to 1")


def _for_each(work: Callable[[int], None], m: int) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, range(m)))


def _log_odds(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of the means; 500 stands for what has no end, since its logistic is 1 and its negative's 0."""
    with np.errstate(divide="ignore"):
        odds: NDArray[np.float64] = np.clip(np.log(means) - np.log1p(-means), -500, 500)
    return odds


def _edges(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where one bin of a feature ends and the next begins: between its values, or at quantiles where there are many."""
    distinct = np.unique(values)
    if len(distinct) <= _BINS:
        return (distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2).astype(np.float32)
    return np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS, method="median_unbiased").astype(np.float32))


def _binned(features: NDArray[np.float32], edges: list[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Which bin each feature falls into, (n, c)."""
    columns = [np.searchsorted(ends, column) for column, ends in zip(features.T, edges, strict=True)]
    return np.ascontiguousarray(np.stack(columns, axis=1).astype(np.uint8))
