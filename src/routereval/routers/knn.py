"""Nearest neighbours: a model is as good on a prompt as it was on the training prompts like it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.kernels.neighbours import neighbour_sums, observed_neighbour_sums
from routereval.routers.contract import ColumnwiseRouter, Ties
from routereval.routers.standardising import centre_and_scale, standardised

Metric = Literal["cosine", "euclidean"]
Weights = Literal["uniform", "similarity"]

_QUERIES = 2048
"""Queries compared with all training prompts at a time."""
_ROWS = 64
"""Queries looked at by one thread."""


@dataclass
class KNN(ColumnwiseRouter):
    """Mean score of the `k` nearest training prompts (PRknn of Huang et al. 2025: k = 5, cosine distance).

    A neighbour that a model was not observed on does not count for that model; where none counts, the model's mean over
    all training prompts stands in. Of equally near prompts the earlier ones count.

        score = (e mean of neighbours + shrinkage x train mean) / (e + shrinkage)

    with e the (effective) number of neighbours: k, or (sum w)^2 / sum w^2 where they have weights w.

    Parameters
    ----------
    k : how many neighbours; at most the number of training prompts.
    metric : ``cosine``, or ``euclidean`` between embeddings centred and scaled to a root mean square length of one.
    weights : ``uniform``, or ``similarity``: a softmax of the neighbours' similarity / temperature. The similarity is
        the cosine, or minus half the squared Euclidean distance, which for unit vectors is the cosine less one.
    temperature : of the similarity weights.
    shrinkage : how many neighbours the model's train mean counts for.
    ties : who wins among equal means; with k = 5 and binary scores there are only six values, so ties are the rule.
    """

    paper_entropy_floor: ClassVar[float] = 1e-10
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "k": (5, 10, 20, 30, 50, 80, 130, 200),
        "weights": ("uniform", "similarity"),
        "shrinkage": (0.0, 20.0),
    }
    _found: ClassVar[_Found | None] = None
    k: int = 5
    metric: Metric = "cosine"
    weights: Weights = "uniform"
    temperature: float = 0.1
    shrinkage: float = 0.0
    ties: Ties = "protocol"

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Remember the training prompts.

        Raises
        ------
        ParameterError : ``k`` below 1 or above the number of training prompts, an unknown metric or kind of weights, a
            temperature that is not positive, a negative shrinkage.
        """
        self._check(len(train))
        embeddings = train.queries.require_embeddings()
        vars(self).pop("_found", None)
        self.centre_: NDArray[np.float32] | None = None
        self.scale_ = 1.0
        if self.metric == "euclidean":
            self.centre_, self.scale_ = centre_and_scale(embeddings)
        self.points_ = self._placed(embeddings)
        self.targets_ = np.ascontiguousarray(train.targets_by_model.T)
        self.means_ = train.target_means
        return self

    def refitted(self, parameters: Mapping[str, Any]) -> Self | None:
        """What a new fit with these parameters on the same prompts would be, sharing what was learned.

        Neighbours found for a set of queries are found once for all routers made from one another this way. None:
        has to be fitted anew, as the metric is another.

        Raises
        ------
        ParameterError : as ``fit``.
        """
        other = replace(self, **parameters)
        if other.metric != self.metric:
            return None
        other._check(len(self.points_))
        found = self._found or _Found()
        for name, value in vars(self).items():
            if name.endswith("_"):
                setattr(other, name, value)
        for router in (self, other):
            # No part of what was learned: it is neither saved nor sent to another process.
            vars(router)["_found"] = found
        return other

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Mean target of the nearest training prompts, (n, m)."""
        index, similarity = self._neighbours(queries.require_embeddings())
        total, seen, squares = _sums(self.targets_, index, self._weights(similarity))
        scores = total / np.where(seen > 0, seen, 1)
        if self.shrinkage > 0 or not (seen > 0).all():
            evidence = seen**2 / np.where(seen > 0, squares, 1)
            # Nobody observed: the mean alone, however little it counts for.
            share = np.where(seen > 0, self.shrinkage / np.maximum(self.shrinkage + evidence, 1e-300), 1.0)
            scores = (1 - share) * scores + share * np.nan_to_num(self.means_)
        return scores

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_found"}

    def _check(self, n: int) -> None:
        if not 1 <= self.k <= n:
            raise ParameterError(f"knn has k = {self.k}; with {n} training prompts it must be 1 to {n}")
        for name, kinds in (("metric", Metric), ("weights", Weights)):
            if (value := getattr(self, name)) not in get_args(kinds):
                raise ParameterError(f"knn has {name} = {value!r}; expected {' or '.join(get_args(kinds))}")
        if not 0 < self.temperature < np.inf:
            raise ParameterError(f"knn has temperature = {self.temperature}; it must be positive")
        if not 0 <= self.shrinkage < np.inf:
            raise ParameterError(f"knn has shrinkage = {self.shrinkage}; it must be 0 or more")

    def _placed(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings as they are compared."""
        return _unit(embeddings) if self.centre_ is None else standardised(embeddings, self.centre_, self.scale_)

    def _weights(self, similarity: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each neighbour counts, (n, k); the nearest counts one."""
        if self.weights == "uniform":
            return np.ones(similarity.shape)
        behind = (similarity - similarity[:, :1]).astype(np.float64)
        weights: NDArray[np.float64] = np.exp(behind / self.temperature)
        return weights

    def _neighbours(self, embeddings: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Positions of the k nearest training prompts and how similar they are, (n, k) each, the nearest first."""
        if self._found is None:
            return self._nearest(embeddings, self.k)
        if self._found.embeddings is not embeddings or self._found.index.shape[1] < self.k:
            most = min(max(self.k, *self.search_space["k"]), len(self.points_))
            self._found.index, self._found.similarity = self._nearest(embeddings, most)
            self._found.embeddings = embeddings
        return self._found.index[:, : self.k], self._found.similarity[:, : self.k]

    def _nearest(self, embeddings: NDArray[np.float32], k: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        placed = self._placed(embeddings)
        index = np.empty((len(placed), k), dtype=np.intp)
        similarity = np.empty((len(placed), k), dtype=np.float32)
        half_squares = None if self.centre_ is None else np.einsum("ij,ij->i", self.points_, self.points_) / 2
        for start in range(0, len(placed), _QUERIES):
            block = slice(start, start + _QUERIES)
            similar = placed[block] @ self.points_.T
            if half_squares is not None:
                # Half the query's own square is the same for all its neighbours: neither order nor weights know it.
                similar -= half_squares
            _by_rows(partial(_pick, similar, k, index[block], similarity[block]), len(similar))
        return index, similarity


@dataclass
class _Found:
    """The neighbours of the queries asked about last."""

    embeddings: NDArray[np.float32] | None = None
    index: NDArray[np.intp] = field(default_factory=lambda: np.empty((0, 0), dtype=np.intp))
    similarity: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))


def _pick(
    similar: NDArray[np.float32],
    k: int,
    index: NDArray[np.intp],
    similarity: NDArray[np.float32],
    rows: slice,
) -> None:
    """Write the k most similar columns of these rows, and how similar they are."""
    index[rows] = _largest(similar[rows], k)
    similarity[rows] = np.take_along_axis(similar[rows], index[rows], axis=1)


def _by_rows(work: Callable[[slice], None], n: int) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, [slice(start, start + _ROWS) for start in range(0, n, _ROWS)]))


def _largest(values: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Columns of the k largest values of each row, (n, k), the largest first and of equal ones the first first."""
    columns = values.shape[1]
    if k < columns:
        index = np.argpartition(values, columns - k, axis=1)[:, columns - k :]
        least = np.take_along_axis(values, index, axis=1).min(axis=1, keepdims=True)
        # More columns than k reach the least value: which of them are taken is settled by their order.
        tied = np.flatnonzero(np.count_nonzero(values >= least, axis=1) > k)
        if len(tied):
            index[tied] = np.argsort(-values[tied], axis=1, kind="stable")[:, :k]
        index.sort(axis=1)
    else:
        index = np.tile(np.arange(columns), (len(values), 1))
    order = np.argsort(-np.take_along_axis(values, index, axis=1), axis=1, kind="stable")
    return np.take_along_axis(index, order, axis=1)


def _sums(
    targets: NDArray[Any], index: NDArray[np.intp], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums of weight x target, (n, m), of weights and of squared weights over each query's neighbours, (n, 1 or m)."""
    total = np.zeros((len(index), targets.shape[1]))
    complete = targets.dtype.kind != "f" or not np.isnan(targets).any()
    seen, squares = (weights**power for power in (1, 2))
    if complete:
        seen, squares = seen.sum(axis=1, keepdims=True), squares.sum(axis=1, keepdims=True)
    else:
        seen, squares = np.zeros_like(total), np.zeros_like(total)

    def add(rows: slice) -> None:
        if complete:
            neighbour_sums(targets, index[rows], weights[rows], total[rows])
        else:
            observed_neighbour_sums(targets, index[rows], weights[rows], total[rows], seen[rows], squares[rows])

    _by_rows(add, len(index))
    return total, seen, squares


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
