"""Ridge regression in closed form, each model with the penalty that predicts best when a prompt is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.contract import ColumnwiseRouter
from routereval.routers.products import columns_product
from routereval.routers.standardising import centre_and_scale, decomposed, principal_components, standardised
from routereval.routers.trust import trusted_share

Floats = NDArray[np.float32]

_ALPHAS = 10 ** np.arange(0, 5, 0.5)
_LEFT_OUT = 2048
"""Prompts left out, one at a time, to choose the penalty and to learn how far predictions can be trusted."""
_MODELS = 250
"""Models solved at a time, so that memory does not grow with their number."""
_CHUNK = 1024
_COMPONENTS = 128
"""Principal components that a model with missing cells is solved in: it needs a decomposition of its own."""


@dataclass
class Ridge(ColumnwiseRouter):
    """Ridge regression of each model's score on the embedding (Hoerl and Kennard 1970), drawn towards its mean.

        score = mean + share x w' (x - centre),    w = (X'X + alpha I)^-1 X'(y - mean)

    with X the embeddings, centred and scaled to a root mean square length of one. ``alpha`` is the one of 1, 3.2, 10,
    ..., 31623 with the smallest squared leave-one-out error, from the closed form e_i = (y_i - yhat_i) / (1 - h_i)
    (Allen 1974). ``share`` is the slope of the scores on the leave-one-out predictions, less ``shrinkage`` of its
    standard errors, between 0 and 1: a model whose scores cannot be predicted has its mean.

    A model with missing cells is solved on the prompts it was observed on, in the first 128 principal components of all
    training prompts. Of more than 2,048 prompts every so manieth is left out, no more than 2,048. Scores stay within
    0 and 1.

    Parameters
    ----------
    alpha : the penalty; None: chosen, for each model by itself.
    shrinkage : how many standard errors are taken off the slope; 0: none.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "shrinkage": (2.0, 0.0, 1.0, 4.0),
        "alpha": (None, 10.0, 100.0, 1000.0),
    }
    alpha: float | None = None
    shrinkage: float = 2.0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Solve for each model's weights.

        Raises
        ------
        ParameterError : ``alpha`` not positive, ``shrinkage`` negative.
        """
        if self.alpha is not None and not 0 < self.alpha < np.inf:
            raise ParameterError(f"ridge has alpha = {self.alpha}; it must be positive, or None to have it chosen")
        if not 0 <= self.shrinkage < np.inf:
            raise ParameterError(f"ridge has shrinkage = {self.shrinkage}; it must be 0 or more")
        embeddings = train.queries.require_embeddings()
        self.centre_, self.scale_ = centre_and_scale(embeddings)
        x = standardised(embeddings, self.centre_, self.scale_)
        targets = train.targets_by_model
        alphas = _ALPHAS if self.alpha is None else np.array([self.alpha])
        self.weights_ = np.zeros((len(targets), x.shape[1]), dtype=np.float32)
        self.intercepts_ = np.nan_to_num(train.target_means)
        components: tuple[Floats, Floats] | None = None
        for rows, seen in _models_by_mask(targets):
            if seen is not None and components is None:
                components = principal_components(x, _COMPONENTS)
            space, axes = (x, None) if seen is None or components is None else components
            problem = _Problem.of(space if seen is None else space[seen], alphas, self.shrinkage)
            for start in range(0, len(rows), _MODELS):
                block = rows[start : start + _MODELS]
                y = targets[block] if seen is None else targets[block][:, seen]
                weights = problem.solve(y.astype(np.float32))
                offset = np.einsum("ij,j->i", weights, problem.mean)
                self.weights_[block] = weights if axes is None else columns_product(weights, axes)
                self.intercepts_[block] -= offset
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Predicted scores (n, m), within 0 and 1."""
        x = standardised(queries.require_embeddings(), self.centre_, self.scale_)
        scores: NDArray[np.float64] = np.clip(columns_product(x, self.weights_) + self.intercepts_, 0, 1)
        return scores


@dataclass(frozen=True)
class _Problem:
    """Ridge regression on one set of prompts, whatever is to be predicted.

    Parameters
    ----------
    mean : (d,) of the prompts' features.
    left : (r, n) left singular vectors of the centred features, transposed.
    to_weights : (d, r) right singular vectors over singular values.
    kept : (a, r) the share of each component that each penalty leaves.
    checked : positions of the prompts that are left out in turn.
    leverage : (a, c) 1 - h_i of these.
    shrinkage : standard errors taken off the slope.
    """

    mean: Floats
    left: Floats
    to_weights: Floats
    kept: Floats
    checked: NDArray[np.intp]
    leverage: Floats
    shrinkage: float

    @classmethod
    def of(cls, x: Floats, alphas: NDArray[np.float64], shrinkage: float) -> _Problem:
        """Decompose the prompts (n, d) once, for all penalties and models."""
        mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        left, squares, right = decomposed(x - mean)
        kept = squares / (squares + alphas[:, None])
        checked = np.unique(np.linspace(0, len(x) - 1, min(len(x), _LEFT_OUT)).astype(np.intp))
        leverage = 1 - 1 / len(x) - kept @ (left[checked].astype(np.float64) ** 2).T
        return cls(
            mean,
            np.ascontiguousarray(left.T),
            (right / np.sqrt(squares)).astype(np.float32),
            kept.astype(np.float32),
            checked,
            np.maximum(leverage, 1e-6).astype(np.float32),
            shrinkage,
        )

    def solve(self, y: Floats) -> Floats:
        """Weights (m, d) for scores (m, n), penalty and trust of each model chosen by leaving prompts out."""
        n = y.shape[1]
        y = y - y.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        if n < 2 or not len(self.left):
            return np.zeros((len(y), len(self.mean)), dtype=np.float32)
        turned = self._turned(y)
        rows = np.ascontiguousarray(self.left[:, self.checked].T)
        checked = np.ascontiguousarray(y[:, self.checked])
        least = np.full(len(y), np.inf)
        chosen, residual = np.zeros(len(y), dtype=np.intp), np.empty_like(checked)
        for a, (kept, leverage) in enumerate(zip(self.kept, self.leverage, strict=True)):
            left_out = (checked - columns_product(turned * kept, rows)) / leverage
            error = (left_out**2).sum(axis=1, dtype=np.float64)
            better = error < least
            least[better], chosen[better], residual[better] = error[better], a, left_out[better]
        # Deviations from the mean of the other prompts, which is what is said of a prompt of which nothing is known.
        deviations = checked * np.float32(n / (n - 1))
        share = trusted_share(deviations, deviations - residual, self.shrinkage)
        scaled = turned * self.kept[chosen] * share[:, None].astype(np.float32)
        return columns_product(scaled, self.to_weights)

    def _turned(self, y: Floats) -> Floats:
        """The scores along the left singular vectors, (m, r), added up over chunks of prompts that fit the cache."""
        total = np.zeros((len(y), len(self.left)), dtype=np.float32)
        for start in range(0, y.shape[1], _CHUNK):
            chunk = slice(start, start + _CHUNK)
            total += columns_product(y[:, chunk], self.left[:, chunk])
        return total


def _models_by_mask(targets: NDArray[Any]) -> list[tuple[NDArray[np.intp], NDArray[np.bool_] | None]]:
    """Models observed on the same prompts, and on which (None: on all); without those that were never observed.

    Parameters
    ----------
    targets : (m, n), nan where not observed.
    """
    if targets.dtype.kind != "f":
        return [(np.arange(len(targets)), None)]
    seen = ~np.isnan(targets)
    groups: dict[bytes, list[int]] = {}
    for model, packed in enumerate(np.packbits(seen, axis=1)):
        groups.setdefault(packed.tobytes(), []).append(model)
    masks = [(np.array(models), seen[models[0]]) for models in groups.values() if seen[models[0]].any()]
    return [(models, None if mask.all() else mask) for models, mask in masks]
