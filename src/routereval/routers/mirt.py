"""Multidimensional item response: demands of a prompt read off its embedding, abilities of a model off its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.item_response import ItemResponse, logistic
from routereval.routers.left_out import LeftOutRidge
from routereval.routers.training import NEVER, standard, standardised

_BLOCK = 1024
"""Queries compared with all training prompts at once."""


@dataclass
class MIRT:
    """A multidimensional item response model whose item parameters are predicted from the embedding.

    ::

        P(model m is right on x) = sigmoid(a(x) . theta_m + d_m - b(x))

    with the prompt's discriminations a and difficulty b, the model's abilities theta and general level d: one more
    ability, that every prompt demands alike, so that without any signal the models are ranked by their means.

    Learned in stages, as a joint fit collapses (a and b become those of each training prompt, whatever its embedding).
    First a, b, theta and d are fitted to the train scores by penalised maximum likelihood, no embedding involved. Then
    a and b are regressed on the embedding by ridge, each with its own penalty, chosen by leave-one-out. Last theta and
    d are fitted again to what the regression says of each training prompt when that is left out: where the embedding
    says little of what a prompt demands, the abilities shrink, and the router comes to rest at the best single model.

    Item response theory: Reckase 2009. Routing by it: Song et al. 2025 (IRT-Router), who learn a and b by networks and
    in their warm-up average them with those of similar prompts.

    Parameters
    ----------
    dimensions : of a and theta; no more are used than there are training prompts or models.
    penalty : weight of the normal prior on a and theta, 1 a standard normal one.
    neighbours : a and b of a query are averaged with the mean of those fitted to this many of the nearest training
        prompts (all, where there are fewer); 0: the regression alone.
    seed : of the start.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "dimensions": (4, 2, 8, 16),
        "penalty": (1.0, 0.3, 10.0),
        "neighbours": (0, 20),
    }
    dimensions: int = 4
    penalty: float = 1.0
    neighbours: int = 0
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fit items and models, regress the items on the embeddings, fit the models again.

        Raises
        ------
        ParameterError : ``dimensions`` below 1, ``penalty`` not positive, ``neighbours`` below 0.
        """
        self._check()
        embeddings = train.queries.require_embeddings()
        self.centre_, self.factor_ = standard(embeddings)
        features = standardised(embeddings, self.centre_, self.factor_)
        first = ItemResponse.fit(train.targets, self.dimensions, self.penalty, seed=self.seed)
        regression = LeftOutRidge.fit(features, first.items.astype(np.float64))
        self.coefficients_, self.intercept_ = regression.coefficients, regression.intercept
        self.features_ = features.astype(np.float32) if self.neighbours else None
        self.items_ = first.items if self.neighbours else None
        said = regression.left_out
        if self.neighbours and len(train) > 1:
            said = (said + self._of_neighbours(features, themselves=True)) / 2
        again = first.with_items(train.targets, said.astype(np.float32), self.penalty)
        unseen = np.isnan(train.target_means)
        self.abilities_ = np.where(unseen[:, None], 0, again.abilities).astype(np.float64)
        self.levels_ = np.where(unseen, NEVER, again.levels).astype(np.float64)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """P(right), (n, m)."""
        features = standardised(queries.require_embeddings(), self.centre_, self.factor_)
        items = features @ self.coefficients_ + self.intercept_
        if self.neighbours:
            items = (items + self._of_neighbours(features)) / 2
        scores = logistic(items[:, :-1] @ self.abilities_.T + self.levels_ - items[:, -1:])
        return Prediction(scores, softmax(scores))

    def _check(self) -> None:
        if self.dimensions < 1:
            raise ParameterError(f"mirt has dimensions = {self.dimensions}; it must be at least 1")
        if not 0 < self.penalty < np.inf:
            raise ParameterError(f"mirt has penalty = {self.penalty}; it must be positive")
        if self.neighbours < 0:
            raise ParameterError(f"mirt has neighbours = {self.neighbours}; it must be at least 0")

    def _of_neighbours(self, features: NDArray[np.float64], *, themselves: bool = False) -> NDArray[np.float64]:
        """Mean item parameters of the nearest training prompts, (n, k + 1); ``themselves``: each but itself."""
        assert self.features_ is not None and self.items_ is not None
        known, items = self.features_, self.items_.astype(np.float64)
        count = min(self.neighbours, len(known) - themselves)
        lengths = np.einsum("ij,ij->i", known, known)
        means = np.empty((len(features), items.shape[1]))
        for start in range(0, len(features), _BLOCK):
            block = features[start : start + _BLOCK].astype(np.float32)
            distance = lengths - 2 * block @ known.T
            if themselves:
                rows = np.arange(len(block))
                distance[rows, start + rows] = np.inf
            nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
            means[start : start + _BLOCK] = items[nearest].mean(axis=1)
        return means
