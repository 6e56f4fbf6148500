"""Elo: ratings that move with every battle, the same for every prompt."""

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
from routereval.kernels.ratings import battles
from routereval.routers.strengths import POINTS, START
from routereval.seeding import generator

Meetings = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass
class Elo:
    """Sequential Elo ratings (Elo 1978; K = 32 as on the first leaderboard of Chatbot Arena).

        R_i <- R_i + k (outcome - 1 / (1 + 10^((R_j - R_i) / 400)))

    Training prompts come in a random order. On each, every model meets about ``opponents`` others, the higher score
    wins, equal ones draw. It does not look at the prompt. The last rating of such a sequence is noisy, by about
    k points; ``averaged`` takes the mean over the second half of the prompts. The distribution over models is
    softmax(R ln 10 / 400).

    Parameters
    ----------
    k : points at stake in a battle.
    opponents : how many others each model meets on a prompt; all of them where there are no more.
    averaged : whether ratings are averaged over the second half of the prompts; False is the published rating.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "k": (4.0, 1.0, 32.0),
        "opponents": (20, 100),
        "averaged": (True, False),
    }
    k: float = 4.0
    opponents: int = 20
    averaged: bool = True
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Let the models battle.

        Raises
        ------
        ParameterError : ``k`` not above 0, ``opponents`` below 1.
        """
        check_elo("elo", k=self.k, opponents=self.opponents)
        rng = generator("elo", self.seed)
        self.ratings_ = elo_ratings(train.targets, self.k, self.opponents, rng, averaged=self.averaged)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """The same ratings for every query, (n, m)."""
        ratings = np.tile(self.ratings_, (len(queries), 1))
        return Prediction(ratings, softmax(ratings / POINTS))


def elo_ratings(
    targets: NDArray[np.float32], k: float, opponents: int, rng: np.random.Generator, *, averaged: bool
) -> NDArray[np.float64]:
    """Ratings after battles on every row of ``targets`` (n, m), (m,); models never observed are 400 below."""
    n, m = targets.shape
    ratings, total = np.full(m, START), np.zeros(m)
    counted = 0
    for at, j in enumerate(rng.permutation(n)):
        battles(ratings, np.ascontiguousarray(targets[j]), *meetings(m, opponents, rng), k)
        if 2 * at >= n - 1:
            total += ratings
            counted += 1
    rated: NDArray[np.float64] = total / counted if averaged else ratings
    unseen = np.isnan(targets).all(axis=0)
    rated[unseen] = rated.min() - 400
    return rated


def meetings(m: int, opponents: int, rng: np.random.Generator) -> Meetings:
    """Who meets whom on one prompt, in a random order: no pair twice, each model about ``opponents`` others."""
    if opponents >= m - 1:
        first, second = np.triu_indices(m, 1)
        order = rng.permutation(len(first))
        return first[order].astype(np.int64), second[order].astype(np.int64)
    # Around a random circle each model meets the next few, and is met by as many.
    circle = rng.permutation(m)
    steps = np.arange(1, max(1, opponents // 2) + 1)
    second = np.concatenate([np.roll(circle, -step) for step in steps])
    return np.tile(circle, len(steps)), second


def check_elo(name: str, *, k: float, global_k: float = 1.0, **counts: int) -> None:
    """Refuse stakes that are not positive and counts below 1.

    Raises
    ------
    ParameterError : says which.
    """
    for what, stake in {"k": k, "global_k": global_k}.items():
        if not stake > 0:
            raise ParameterError(f"{name} has {what} = {stake}; it must be above 0")
    for what, count in counts.items():
        if count < 1:
            raise ParameterError(f"{name} has {what} = {count}; it must be at least 1")
