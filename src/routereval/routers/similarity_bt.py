"""Similarity-weighted Bradley-Terry: strengths for each query, training prompts like it counting for more."""

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
from routereval.routers.bradley_terry import check_prior
from routereval.routers.knn import _unit
from routereval.routers.pairs import placed, strongest
from routereval.routers.strengths import POINTS, START, strengths, wins_by_prompt

_QUERIES = 256


@dataclass
class SimilarityBT:
    """Bradley-Terry per query with weighted battles (similarity-weighted ranking, RouteLLM, Ong et al. 2024).

        weight_j = 10 * 10^(sharpness * sim(q, j) / max_j sim(q, j)),  sim the cosine

    All queries are solved together. A likelihood depends on the outcomes by how often each model won, no more, so a
    query's wins are one product of its weights with the prompts' ranks; where no cell is missing, how often pairs met
    is the same number for all, else it is a second product. The ``top`` models best on train battle, the rest stand
    below, by their means. The published router groups models into 10 tiers since its battles are few; here every prompt
    has one for each pair, so there are none.

    Parameters
    ----------
    sharpness : 1 as published, where the most similar prompt counts for at most ten times an orthogonal one; 0 is
        ``bradley_terry``. Where no similarity is positive all prompts count the same.
    top : how many models battle.
    prior : prompts on which each model draws as many battles as it has opponents, with one of strength 0. Against it
        stand as many prompts as the weights are worth, (sum w)^2 / sum w^2.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "sharpness": (1.0, 2.0, 4.0, 8.0, 16.0),
        "top": (32, 8),
    }
    sharpness: float = 1.0
    top: int = 32
    prior: float = 1.0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Rank the models on each training prompt.

        Raises
        ------
        ParameterError : ``sharpness`` below 0, ``top`` below 1, ``prior`` not above 0.
        """
        if not self.sharpness >= 0:
            raise ParameterError(f"similarity_bt has sharpness = {self.sharpness}; it must be 0 or more")
        if self.top < 1:
            raise ParameterError(f"similarity_bt has top = {self.top}; it must be at least 1")
        check_prior("similarity_bt", self.prior)
        self.directions_ = _unit(train.queries.require_embeddings())
        self.means_ = np.nan_to_num(train.target_means)
        self.top_ = strongest(train, self.top)
        targets = train.targets[:, self.top_]
        self.seen_ = ~np.isnan(targets)
        self.wins_ = wins_by_prompt(targets)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Ratings in Elo points, (n, m); the models that do not battle below."""
        asked = _unit(queries.require_embeddings())
        blocks = [self._strengths(asked[start : start + _QUERIES]) for start in range(0, len(asked), _QUERIES)]
        theta = placed(np.concatenate(blocks), self.top_, self.means_)
        return Prediction(START + POINTS * theta, softmax(theta))

    def _strengths(self, asked: NDArray[np.float32]) -> NDArray[np.float64]:
        """Strengths of the models that battle, (n queries, top)."""
        weights = self._weights(asked)
        k = len(self.top_)
        if self.seen_.all():
            met = weights.sum(axis=1)[:, None, None]
        else:
            together = (self.seen_[:, :, None] & self.seen_[:, None, :]).reshape(len(self.seen_), -1)
            met = (weights.astype(np.float32) @ together.astype(np.float32)).reshape(-1, k, k).astype(np.float64)
        theta = strengths(weights @ self.wins_, met, self.prior * max(1, k - 1))
        unseen = ~self.seen_.any(axis=0)
        theta[:, unseen] = theta.min(axis=1, keepdims=True) - 1
        return theta

    def _weights(self, asked: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each training prompt counts for each query, (n queries, n training prompts)."""
        similarity = (asked @ self.directions_.T).astype(np.float64)
        largest = similarity.max(axis=1, keepdims=True)
        relative = np.divide(similarity, largest, out=np.ones_like(similarity), where=largest > 0)
        weights: NDArray[np.float64] = 10 ** (self.sharpness * (relative - 1))
        # Scaled to the number of prompts they are worth.
        weights *= weights.sum(axis=1, keepdims=True) / (weights**2).sum(axis=1, keepdims=True)
        return weights
