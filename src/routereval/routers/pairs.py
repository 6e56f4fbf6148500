"""What the pairwise routers share: which models meet, a forest for each pair, where the others stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import combinations
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import standing
from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.components import principal_components, projected
from routereval.routers.forests import as_arrays, means_of, some_of


def strongest(train: Partition, top: int) -> NDArray[np.intp]:
    """Positions of the ``top`` models that are best on train, as ``best_single`` ranks them, in ascending order."""
    return _highest(standing_on(train), top)


def standing_on(train: Partition) -> NDArray[np.float64]:
    """What ``best_single`` ranks models by, (m,)."""
    return standing(train.target_means, train.scores.counts, len(train))


def _highest(values: NDArray[np.float64], top: int) -> NDArray[np.intp]:
    return np.sort(np.argsort(-values, kind="stable")[:top])


def pairs_of(k: int) -> NDArray[np.intp]:
    """All pairs of k models, (k (k - 1) / 2, 2)."""
    return np.array(list(combinations(range(k), 2)), dtype=np.intp).reshape(-1, 2)


def balance(advantages: NDArray[np.float64], pairs: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Each model's mean advantage over the others it met, (n, k), from those of the first of each pair (n, pairs)."""
    total = np.zeros((len(advantages), k))
    for (first, second), advantage in zip(pairs, advantages.T, strict=True):
        total[:, first] += advantage
        total[:, second] -= advantage
    return total / max(1, k - 1)


def placed(scores: NDArray[np.float64], top: NDArray[np.intp], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores (n, k) of the models that met among those of all (n, m): the others below, by their train means."""
    everyone: NDArray[np.float64] = scores.min(axis=1, keepdims=True) + (means - 2)
    everyone[:, top] = scores
    return everyone


class PairForests(ABC):
    """A forest for each pair of the models that are best on train; what they say is drawn towards the usual.

    Subclasses are dataclasses with the parameters named here. They say what a pair's forest learns (``_grown``,
    ``_at_node``) and how the pairs decide (``_decided``).
    """

    columnwise: ClassVar[bool] = False
    top: int
    components: int
    shrinkage: float

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Grow the forests on principal components of the embeddings.

        Raises
        ------
        ParameterError : a parameter outside its range.
        """
        self.check()
        embeddings = train.queries.require_embeddings()
        self.components_ = principal_components(embeddings, self.components)
        features = projected(embeddings, self.components_)
        self.means_ = np.nan_to_num(train.target_means)
        self.standing_ = standing_on(train)
        self.top_ = strongest(train, self.top)
        self.pairs_ = pairs_of(len(self.top_))
        self.usual_, forests = self._grown(train, features)
        self.forests_ = as_arrays(forests, self._at_node) if forests else None
        return self

    def predict(self, queries: Queries) -> Prediction:
        """What comes of the pairs for each model that met others, (n, m); the models that met none below."""
        features = projected(queries.require_embeddings(), self.components_)
        if self.forests_ is None:
            scores = np.tile(self.means_, (len(features), 1))
        else:
            expected = (1 - self.shrinkage) * means_of(self.forests_, features) + self.shrinkage * self.usual_
            scores = placed(self._decided(expected), self.top_, self.means_)
        return Prediction(scores, softmax(scores))

    @abstractmethod
    def check(self) -> None:
        """Refuse parameters outside their ranges.

        Raises
        ------
        ParameterError : says which.
        """

    @abstractmethod
    def _grown(self, train: Partition, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[Any]]:
        """What is usual for each pair of ``pairs_``, (pairs,), and its forest."""

    @staticmethod
    @abstractmethod
    def _at_node(values: NDArray[np.float64], forest: Any) -> NDArray[np.float64]:
        """What each node of a forest's trees says, (nodes,), from its weights of the classes, (nodes, classes)."""

    @abstractmethod
    def _decided(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the models that met, (n, k), from what is expected of each pair, (n, pairs)."""

    def refitted(self, parameters: Mapping[str, Any]) -> Self | None:
        """What a new fit with these parameters on the same prompts would be, sharing the forests.

        None: has to be fitted anew, because its forests would be others, or more models meet.

        Raises
        ------
        ParameterError : as ``fit``.
        """
        fitted: Any = self
        other: Any = replace(fitted, **parameters)
        other.check()
        same = all(
            getattr(other, one.name) == getattr(fitted, one.name)
            for one in fields(fitted)
            if one.init and one.name not in ("top", "shrinkage")
        )
        if not same or min(other.top, len(fitted.means_)) > len(fitted.top_):
            return None
        for name, value in vars(fitted).items():
            if name.endswith("_"):
                setattr(other, name, value)
        kept = _highest(fitted.standing_[fitted.top_], other.top)
        met = np.isin(fitted.pairs_, kept).all(axis=1)
        other.top_, other.pairs_ = fitted.top_[kept], pairs_of(len(kept))
        other.usual_ = fitted.usual_[met]
        other.forests_ = some_of(fitted.forests_, np.flatnonzero(met)) if met.any() else None
        return cast(Self, other)


def check_pairs(name: str, *, top: int, shrinkage: float, **counts: int) -> None:
    """Refuse less than one model to meet, shares outside 0 to 1 and counts below 1.

    Raises
    ------
    ParameterError : says which.
    """
    for what, count in {"top": top, **counts}.items():
        if count < 1:
            raise ParameterError(f"{name} has {what} = {count}; it must be at least 1")
    if not 0 <= shrinkage <= 1:
        raise ParameterError(f"{name} has shrinkage = {shrinkage}; it must be 0 to 1")
