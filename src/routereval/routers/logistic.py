"""Logistic regression with an L2 penalty, all models at once."""

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
from routereval.routers.products import columns_product, model_sums
from routereval.routers.standardising import centre_and_scale, principal_components, standardised
from routereval.routers.training import NEVER

Floats = NDArray[np.float32]

_MODELS = 256
"""Models trained at a time, so that memory does not grow with their number."""
_STEPS = 200
_TOLERANCE = 1e-7
"""Training ends where a step would gain less than this per prompt, in nats."""


@dataclass
class Logistic(ColumnwiseRouter):
    """Logistic regression of each model's score on the embedding: P(right) = 1 / (1 + exp(-(b + w' x))).

    Minimises C x cross-entropy + |w|^2 / 2, as scikit-learn's LogisticRegression does, over the first ``components``
    principal components of the embeddings, which are centred and scaled to a root mean square length of one. A graded
    score s is a success with weight s and a failure with weight 1 - s. Each step solves the quadratic bound of
    Böhning and Lindsay (1988), which is diagonal in principal components, from Nesterov's (1983) extrapolation,
    restarted where that leads uphill.

    A model whose training scores are all 0 or all 1 has its mean, drawn towards 1/2 as by one success and one failure.

    Parameters
    ----------
    C : weight of the data against the penalty; the smaller, the nearer to each model's mean.
    components : how many principal components, at most.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "C": (0.1, 0.01, 0.03, 0.3, 1.0),
        "components": (128, 32),
    }
    C: float = 0.1
    components: int = 128

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train each model's weights.

        Raises
        ------
        ParameterError : ``C`` not positive, ``components`` below 1.
        """
        if not 0 < self.C < np.inf:
            raise ParameterError(f"logistic has C = {self.C}; it must be positive")
        if self.components < 1:
            raise ParameterError(f"logistic has components = {self.components}; it must be at least 1")
        embeddings = train.queries.require_embeddings()
        self.centre_, self.scale_ = centre_and_scale(embeddings)
        features, axes = principal_components(standardised(embeddings, self.centre_, self.scale_), self.components)
        targets = train.targets_by_model
        self.weights_ = np.zeros((len(targets), len(axes)), dtype=np.float32)
        self.biases_ = np.empty(len(targets), dtype=np.float32)
        for start in range(0, len(targets), _MODELS):
            block = slice(start, start + _MODELS)
            weights, self.biases_[block] = _trained(features, targets[block].astype(np.float32), self.C)
            self.weights_[block] = columns_product(weights, axes)
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Probabilities of being right, (n, m)."""
        x = standardised(queries.require_embeddings(), self.centre_, self.scale_)
        logits = (columns_product(x, self.weights_) + self.biases_).astype(np.float64)
        scores: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
        return scores


def _trained(features: Floats, targets: Floats, c: float) -> tuple[Floats, Floats]:
    """Weights (m, r) and biases (m,) for targets (m, n), nan where not observed.

    Parameters
    ----------
    features : (n, r), orthogonal to each other and to a column of ones.
    """
    x = np.concatenate([features, np.ones((len(features), 1), dtype=np.float32)], axis=1)
    count = np.sum(~np.isnan(targets), axis=1)
    total = np.nansum(targets, axis=1, dtype=np.float64)
    smooth = (total + 1) / (count + 2)
    found = np.zeros((len(targets), x.shape[1]), dtype=np.float32)
    found[:, -1] = np.log(smooth / (1 - smooth))
    found[count == 0, -1] = NEVER
    # No loss bends more than a quarter, and some of the prompts no more than all of them.
    bend = (c / 4 * (x.astype(np.float64) ** 2).sum(axis=0)).astype(np.float32)
    bend[:-1] += 1
    active = np.flatnonzero((total > 0) & (total < count))
    previous, ahead = found[active], found[active]
    pace = np.ones(len(active), dtype=np.float32)
    for _ in range(_STEPS):
        if not len(active):
            break
        gradient = c * model_sums(_slopes(columns_product(x, ahead), targets[active]), x)
        gradient[:, :-1] += ahead[:, :-1]
        now = ahead - gradient / bend
        uphill = (gradient * (now - previous)).sum(axis=1) > 0
        pace[uphill] = 1
        following = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        momentum = np.where(uphill, 0, (pace - 1) / following).astype(np.float32)
        ahead = now + momentum[:, None] * (now - previous)
        found[active] = now
        going = (gradient**2 / bend).sum(axis=1) > 2 * c * _TOLERANCE * count[active]
        active, previous, ahead = active[going], now[going], ahead[going]
        pace = following[going].astype(np.float32)
    return np.ascontiguousarray(found[:, :-1]), found[:, -1]


def _slopes(logits: Floats, targets: Floats) -> Floats:
    """Derivatives of the cross-entropy by the logits, (m, n), 0 where not observed; logits are (n, m)."""
    slopes = 1 / (1 + np.exp(-np.clip(np.ascontiguousarray(logits.T), -60, 60))) - targets
    observed: Floats = np.nan_to_num(slopes, copy=False, nan=0.0)
    return observed
