"""Bradley-Terry: one strength per model from who beat whom, the same for every prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.strengths import POINTS, START, strengths, wins_by_prompt


@dataclass
class BradleyTerry:
    """Global Bradley-Terry strengths in Elo points (Bradley and Terry 1952; leaderboards of Chatbot Arena).

        P(i beats j) = 1 / (1 + 10^((R_j - R_i) / 400)),  R = 1000 + 400 / ln 10 theta

    Every pair of models battles on every prompt both were observed on: the higher score wins, equal ones draw. It does
    not look at the prompt: on complete binary scores its order is that of the train means, ``best_single``'s. Where
    cells are missing it allows for whom a model met and on what. The distribution over models is softmax(theta).

    Parameters
    ----------
    prior : prompts on which each model draws as many battles as it has opponents, with one of strength 0.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"prior": (1.0, 0.1, 10.0, 100.0)}
    prior: float = 1.0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Find the strengths.

        Raises
        ------
        ParameterError : ``prior`` not above 0.
        """
        check_prior("bradley_terry", self.prior)
        targets = train.targets
        seen = (~np.isnan(targets)).astype(np.float32)
        wins = wins_by_prompt(targets).sum(axis=0)
        met = (seen.T @ seen).astype(np.float64)
        theta = strengths(wins[None], met[None], self.prior * max(1, len(wins) - 1))[0]
        # As knn and best_single have it: a model that training never saw is taken for the worst.
        theta[~seen.any(axis=0)] = theta.min() - 1
        self.strengths_ = theta
        return self

    def predict(self, queries: Queries) -> Prediction:
        """The same ratings for every query, (n, m)."""
        theta = np.tile(self.strengths_, (len(queries), 1))
        return Prediction(START + POINTS * theta, softmax(theta))


def check_prior(name: str, prior: float) -> None:
    """Refuse a prior that leaves strengths without an end.

    Raises
    ------
    ParameterError : it is not above 0.
    """
    if not prior > 0:
        raise ParameterError(f"{name} has prior = {prior}; it must be above 0")
