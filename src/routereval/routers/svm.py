"""Support vector machines, one per model, their margins turned into scores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.contract import ColumnwiseRouter
from routereval.routers.products import columns_product
from routereval.routers.standardising import centre_and_scale, standardised
from routereval.routers.trust import trusted_share
from routereval.seeding import generator

Kind = Literal["rbf", "linear"]
Doubles = NDArray[np.float64]

_FOLDS = 3


@dataclass
class SVM(ColumnwiseRouter):
    """A support vector machine per model on the embedding (Cortes and Vapnik 1995; SVC with C = 1 in LLMRouter).

    scikit-learn's SVC where all scores of a model are 0 or 1, SVR elsewhere, on embeddings centred and scaled to a root
    mean square length of one. Margins of different models are not comparable, so they are turned into scores:

        score = mean + share x (margin - mean margin)

    Three machines are trained, each on two thirds of the prompts; ``margin`` is their mean. ``share`` is the slope of
    the scores on the margins that each has for its left-out third, less ``shrinkage`` standard errors, between 0 and 1.
    Scores stay within 0 and 1. A model that is always right or never has its mean.

    Training takes a time that grows with models x prompts^2: some hundred models are reasonable, thousands are not.

    Parameters
    ----------
    kind : ``rbf``: exp(-|x - z|^2), which is scikit-learn's gamma="scale" for centred embeddings; or ``linear``.
    C : weight of the data against the margin.
    shrinkage : how many standard errors are taken off the slope.
    prompts : at most so many training prompts are learned from, drawn without replacement.
    seed : of the thirds and of that draw.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "C": (1.0, 0.1, 10.0),
        "kind": ("rbf", "linear"),
        "shrinkage": (2.0, 0.0),
    }
    kind: Kind = "rbf"
    C: float = 1.0
    shrinkage: float = 2.0
    prompts: int = 2000
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train three machines per model.

        Raises
        ------
        ParameterError : an unknown kind, ``C`` not positive, ``shrinkage`` negative, ``prompts`` below 3.
        """
        if self.kind not in get_args(Kind):
            raise ParameterError(f"svm has kind = {self.kind!r}; expected {' or '.join(get_args(Kind))}")
        if not 0 < self.C < np.inf:
            raise ParameterError(f"svm has C = {self.C}; it must be positive")
        if not 0 <= self.shrinkage < np.inf:
            raise ParameterError(f"svm has shrinkage = {self.shrinkage}; it must be 0 or more")
        if self.prompts < _FOLDS:
            raise ParameterError(f"svm has prompts = {self.prompts}; it must be at least {_FOLDS}")
        embeddings = train.queries.require_embeddings()
        self.centre_, self.scale_ = centre_and_scale(embeddings)
        order = generator("svm", self.seed).permutation(len(train))[: self.prompts]
        self.points_ = standardised(embeddings[order], self.centre_, self.scale_)
        self.means_ = np.nan_to_num(train.target_means)
        kernel = self._kernel(self.points_).astype(np.float64)
        targets = np.ascontiguousarray(train.targets_by_model[:, order], dtype=np.float64)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            machines = list(pool.map(lambda scores: _machine(kernel, scores, self.C, self.shrinkage), targets))
        self.weights_ = np.array([weights for weights, _ in machines], dtype=np.float32)
        self.biases_ = np.array([bias for _, bias in machines])
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Predicted scores (n, m), within 0 and 1."""
        x = standardised(queries.require_embeddings(), self.centre_, self.scale_)
        margins = columns_product(self._kernel(x), self.weights_) + self.biases_
        scores: NDArray[np.float64] = np.clip(margins + self.means_, 0, 1)
        return scores

    def _kernel(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """How alike rows are to the training prompts, (n, prompts)."""
        products = x @ self.points_.T
        if self.kind == "linear":
            return products
        squares, ours = (np.einsum("ij,ij->i", rows, rows) for rows in (x, self.points_))
        distances = np.maximum(squares[:, None] + ours - 2 * products, 0)
        alike: NDArray[np.float32] = np.exp(-distances)
        return alike


def _machine(kernel: Doubles, scores: Doubles, c: float, shrinkage: float) -> tuple[Doubles, float]:
    """What each training prompt counts, (n,), and the bias: together the deviation from the model's mean.

    Parameters
    ----------
    kernel : (n, n).
    scores : (n,), nan where not observed; in random order, so that every third prompt is a random third.
    """
    weights, bias = np.zeros(len(scores)), 0.0
    seen = np.flatnonzero(~np.isnan(scores))
    if len(seen) < _FOLDS or np.ptp(scores[seen]) == 0:
        return weights, bias
    margins = np.zeros(len(seen))
    for fold in range(_FOLDS):
        held = np.arange(len(seen)) % _FOLDS == fold
        rows = seen[~held]
        if np.ptp(scores[rows]) == 0:
            continue
        coefficients, intercept = _support(kernel[np.ix_(rows, rows)], scores[rows], c)
        margins[held] = (kernel[np.ix_(seen[held], rows)] * coefficients).sum(axis=1) + intercept
        weights[rows] += coefficients / _FOLDS
        bias += intercept / _FOLDS
    centre = margins.mean()
    deviations = scores[seen] - scores[seen].mean()
    share = trusted_share(deviations[None], (margins - centre)[None], shrinkage)[0]
    return share * weights, float(share * (bias - centre))


def _support(kernel: Doubles, scores: Doubles, c: float) -> tuple[Doubles, float]:
    """The coefficients (n,) and intercept of scikit-learn's machine."""
    from sklearn.svm import SVC, SVR

    binary = bool(np.isin(scores, (0, 1)).all())
    machine = SVC(C=c, kernel="precomputed") if binary else SVR(C=c, kernel="precomputed")
    machine.fit(kernel, scores.astype(np.int8) if binary else scores)
    coefficients = np.zeros(len(scores))
    coefficients[machine.support_] = machine.dual_coef_[0]
    return coefficients, float(machine.intercept_[0])
