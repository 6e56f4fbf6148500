"""Eagle: a global Elo rating together with one fought out on the training prompts nearest to the query."""

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
from routereval.kernels.ratings import local_ratings
from routereval.routers.elo import check_elo, elo_ratings, meetings
from routereval.routers.knn import _unit
from routereval.routers.pairs import placed, strongest
from routereval.routers.strengths import POINTS
from routereval.seeding import generator


@dataclass
class Eagle:
    """Global and local Elo (Eagle, Zhao, Jin and Mao 2024: p = 0.5, 20 neighbours, k = 32).

        score_i(q) = p global_i + (1 - p) local_i(q)

    The global rating is that of ``elo`` (averaged), fought with ``global_k`` points at stake. The local one starts from
    it and goes on with battles on the query's nearest training prompts (cosine), the nearest last, every pair once on
    each. The ``top`` models best on train battle, the rest stand below, by their means.

    Parameters
    ----------
    neighbours : how many; all training prompts where there are fewer.
    k : points at stake in a local battle, shared among a model's opponents on a prompt: k / (top - 1) each.
    p : share of the global rating, 0 to 1; at 1 it is ``elo`` among the best.
    global_k : points at stake in a global battle.
    top : how many models battle.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "neighbours": (20, 50, 100),
        "k": (32.0, 8.0, 128.0),
        "p": (0.5, 0.0, 0.8),
    }
    neighbours: int = 20
    k: float = 32.0
    p: float = 0.5
    global_k: float = 4.0
    top: int = 16
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fight out the global ratings and remember the training prompts.

        Raises
        ------
        ParameterError : a parameter outside its range.
        """
        check_elo("eagle", k=self.k, global_k=self.global_k, top=self.top, neighbours=self.neighbours)
        if not 0 <= self.p <= 1:
            raise ParameterError(f"eagle has p = {self.p}; it must be 0 to 1")
        self.directions_ = _unit(train.queries.require_embeddings())
        self.means_ = np.nan_to_num(train.target_means)
        self.top_ = strongest(train, self.top)
        self.targets_ = np.ascontiguousarray(train.targets[:, self.top_])
        rng = generator("eagle", self.seed)
        self.global_ = elo_ratings(self.targets_, self.global_k, len(self.top_), rng, averaged=True)
        self.first_, self.second_ = meetings(len(self.top_), len(self.top_), rng)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Ratings, (n, m); the models that do not battle below."""
        nearest = self._nearest(queries)
        local = np.empty((len(nearest), len(self.top_)))
        stake = self.k / max(1, len(self.top_) - 1)
        local_ratings(self.global_, self.targets_, nearest, self.first_, self.second_, stake, local)
        battled = (self.p * self.global_ + (1 - self.p) * local) / POINTS
        theta = placed(battled, self.top_, self.means_)
        return Prediction(POINTS * theta, softmax(theta))

    def _nearest(self, queries: Queries) -> NDArray[np.int64]:
        """The nearest training prompts of each query, (n, neighbours), the nearest last."""
        similarity = _unit(queries.require_embeddings()) @ self.directions_.T
        order = np.argsort(similarity, axis=1, kind="stable")
        return np.ascontiguousarray(order[:, -self.neighbours :], dtype=np.int64)
