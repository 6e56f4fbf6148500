"""Predictions of several routers as one: each on the scale of scores, then weighted, never negatively."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

_ROWS = 512
"""Prompts whose cells are held at once in double precision."""
_STEPS = 50
_SMALL = 1e-9


def on_score_scale(scores: NDArray[np.floating], targets: NDArray[np.float32]) -> tuple[float, float] | None:
    """Slope and intercept of the logistic curve that makes chances of a router's scores; None where they are scores.

    Scores within [-0.5, 1.5] are taken as they are. Others (logits, ratings, ranks) go through
    1 / (1 + exp(-(slope x score + intercept))), fitted on all cells at once to the cross-entropy with the targets
    (Platt 1999). The slope is not negative: a router that orders the models the wrong way round says nothing.

    Parameters
    ----------
    scores : (n, m) of prompts the router was not fitted on.
    targets : (n, m) in [0, 1], nan where not observed.
    """
    if scores.size == 0 or (scores.min() >= -0.5 and scores.max() <= 1.5):
        return None
    seen = ~np.isnan(targets)
    x, y = scores[seen].astype(np.float64), targets[seen].astype(np.float64)
    centre, spread = (float(x.mean()), float(x.std())) if len(x) else (0.0, 0.0)
    if spread < _SMALL * max(1.0, abs(centre)):
        return 0.0, 0.0
    a, b = _logistic((x - centre) / spread, y)
    return (a / spread, b - a * centre / spread) if a > 0 else (0.0, 0.0)


def rescaled(scores: NDArray[Real], scale: tuple[float, float] | None) -> NDArray[Real]:
    """A router's scores on the scale that :func:`on_score_scale` found, (n, m)."""
    if scale is None:
        return scores
    chances = np.clip(scale[0] * scores.astype(np.float64) + scale[1], -500, 500)
    return (1 / (1 + np.exp(-chances))).astype(scores.dtype)


def weights_of(
    members: Sequence[NDArray[np.floating]], targets: NDArray[np.float32], rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """The weights, none negative, whose sum of the members is nearest to the targets, (len(members),).

    Least squares (Lawson and Hanson 1974) over the observed cells, after each prompt's mean over the models is taken
    from members and targets alike: a choice depends on differences between models alone, and how hard a prompt is would
    drown them::

        min_w  |y - sum_b w_b x_b|^2 / 2 + sum_b e_b w_b,   w >= 0

    e_b is the standard error of x_b's product with what the models' means leave of y, prompts being independent: a
    member counts as far as it says more than chance would (a lasso that spares the means, e_0 = 0). All weight is on
    the means where no differences are left.

    Parameters
    ----------
    members : (n, m) each, on the scale of scores; the models' means come first.
    targets : (n, m), nan where not observed.
    rows : positions of the prompts that count; None: all.
    """
    return Moments.of(members, targets, np.arange(len(targets)) if rows is None else rows).weights()


@dataclass(frozen=True)
class Moments:
    """Sums over prompts from which the weights of any of the members follow; those of parts of the prompts add up.

    Parameters
    ----------
    gram : (k, k) products of the members with each other; products : (k,) with the targets.
    chance : (k,) squares of the prompts' products with what the first member leaves of the targets.
    """

    gram: NDArray[np.float64]
    products: NDArray[np.float64]
    chance: NDArray[np.float64]

    @classmethod
    def of(
        cls, members: Sequence[NDArray[np.floating]], targets: NDArray[np.float32], rows: NDArray[np.intp]
    ) -> Moments:
        """Those of these prompts."""
        k = len(members)
        gram, products, chance = np.zeros((k, k)), np.zeros(k), np.zeros(k)
        for block in np.array_split(rows, max(1, len(rows) // _ROWS)):
            y, *x = _differences([targets, *members], block)
            left = y - x[0]
            gram += [[np.vdot(one, other) for other in x] for one in x]
            products += [np.vdot(one, y) for one in x]
            chance += [np.square(np.einsum("ij,ij->i", one, left)).sum() for one in x]
        return cls(gram, products, chance)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.products + other.products, self.chance + other.chance)

    def only(self, members: Sequence[int]) -> Moments:
        """Those of some of the members; the first has to stay the first."""
        index = list(members)
        return Moments(self.gram[np.ix_(index, index)], self.products[index], self.chance[index])

    def weights(self) -> NDArray[np.float64]:
        """The weights, (k,), as :func:`weights_of` defines them."""
        from scipy.optimize import nnls  # type: ignore[attr-defined]

        products = self.products.copy()
        products[1:] -= np.sqrt(self.chance[1:])
        # A sum of squares needs no more of the cells than their products: nnls gets as many rows as there are members.
        values, vectors = np.linalg.eigh(self.gram)
        kept = values > _SMALL * max(values.max(), _SMALL)
        root = np.sqrt(values[kept])
        weights: NDArray[np.float64] = np.zeros(len(products))
        if kept.any():
            weights = nnls(root[:, None] * vectors[:, kept].T, vectors[:, kept].T @ products / root)[0]
        if weights.sum() <= 0:
            weights[0] = 1.0
        return weights


def _differences(values: Sequence[NDArray[np.floating]], rows: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    """Each less its mean over the models of the prompt, 0 where the first, the targets, was not observed."""
    seen = ~np.isnan(values[0][rows])
    if seen.all():
        cells = [one[rows].astype(np.float64) for one in values]
        return [one - one.mean(axis=1, keepdims=True) for one in cells]
    count = np.maximum(seen.sum(axis=1), 1)
    differences = []
    for one in values:
        kept = np.where(seen, one[rows], 0.0)
        differences.append(np.where(seen, kept - (kept.sum(axis=1) / count)[:, None], 0.0))
    return differences


def _logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of y in [0, 1] on x, by Newton's method, all but unpenalised."""
    parameters = np.array([0.0, np.log((y.mean() + 0.01) / (1.01 - y.mean()))])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(parameters[0] * x + parameters[1], -500, 500)))
        w = p * (1 - p)
        penalty = 1e-3 * parameters
        gradient = np.array([np.vdot(p - y, x), (p - y).sum()]) + penalty
        hessian = np.array([[np.vdot(w * x, x), np.vdot(w, x)], [np.vdot(w, x), w.sum()]]) + 1e-3 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # No step is larger than the curve is curved: Newton's method overshoots where it is flat.
        parameters = parameters - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-8:
            break
    return float(parameters[0]), float(parameters[1])
