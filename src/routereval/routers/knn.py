"""Nearest neighbours: a model is as good on a prompt as it was on the training prompts like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.contract import ColumnwiseRouter, Ties


@dataclass
class KNN(ColumnwiseRouter):
    """Mean score of the `k` training prompts nearest in cosine distance (PRknn of Huang et al. 2025, k = 5).

    A neighbour that a model was not observed on does not count for that model; where none counts, the model's mean over
    all training prompts stands in.

    Parameters
    ----------
    k : how many neighbours.
    ties : who wins among equal means; with k = 5 and binary scores there are only six values, so ties are the rule.
    """

    paper_entropy_floor: ClassVar[float] = 1e-10
    k: int = 5
    ties: Ties = "protocol"

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Remember the training prompts.

        Raises
        ------
        ParameterError : ``k`` below 1 or above the number of training prompts.
        """
        if not 1 <= self.k <= len(train):
            raise ParameterError(
                f"knn has k = {self.k}; with {len(train)} training prompts it must be 1 to {len(train)}"
            )
        self.directions_ = _unit(train.queries.require_embeddings())
        self.targets_ = train.targets_by_model
        self.means_ = train.target_means
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Mean target of the nearest training prompts, (n, m)."""
        neighbours = self._neighbours(queries)
        total = np.zeros((len(self.targets_), len(queries)))
        unseen = np.zeros_like(total, dtype=np.int32)
        for column in neighbours.T:
            targets = np.take(self.targets_, column, axis=1)
            if targets.dtype.kind == "f":
                unseen += np.isnan(targets)
                np.nan_to_num(targets, copy=False)
            total += targets
        total /= np.maximum(self.k - unseen, 1)
        nobody = unseen == self.k
        if nobody.any():
            total = np.where(nobody, np.nan_to_num(self.means_)[:, None], total)
        return np.ascontiguousarray(total.T)

    def _neighbours(self, queries: Queries) -> NDArray[np.intp]:
        """Positions of the k nearest training prompts, (n, k), in no particular order."""
        similarity = _unit(queries.require_embeddings()) @ self.directions_.T
        distance = np.negative(similarity, out=similarity)
        return np.argpartition(distance, self.k - 1, axis=1)[:, : self.k]


_SMALL = np.float32(1e-15)


def _unit(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one; a row of zeros stays, as in scikit-learn."""
    with np.errstate(over="ignore"):
        norms: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    if (extreme := ~np.isfinite(norms) | (norms < _SMALL)).any():
        # Squares that float32 cannot hold: the direction is that of the row over its largest entry.
        largest = np.abs(embeddings[extreme]).max(axis=1, keepdims=True)
        embeddings = embeddings.copy()
        embeddings[extreme] /= np.where(largest > 0, largest, 1)
        norms = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    norms[norms == 0] = 1
    unit: NDArray[np.float32] = embeddings / norms[:, None]
    return unit
