"""Ridge regression that also says what it would have said of each sample, had it not seen it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e6)
"""Penalties tried, for features whose mean square length is one."""


@dataclass(frozen=True, eq=False)
class LeftOutRidge:
    """Ridge regression of k targets on d centred features, each target with the penalty best on samples left out.

    Parameters
    ----------
    coefficients : (d, k).
    intercept : (k,) the targets' means, which are not left out of.
    left_out : (n, k) prediction of each sample by the fit on the others.
    alphas : (k,) penalties chosen.
    """

    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]
    left_out: NDArray[np.float64]
    alphas: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.float64], targets: NDArray[np.float64]) -> LeftOutRidge:
        """Fit; leave-one-out residuals are (y - f(x)) / (1 - leverage) (Golub, Heath and Wahba 1979).

        Parameters
        ----------
        features : (n, d), each column with mean zero.
        targets : (n, k).
        """
        mean = targets.mean(axis=0)
        centred = targets - mean
        left, squares, right = _decomposed(features)
        projected = left.T @ centred
        shares = left**2
        left_out = []
        for alpha in ALPHAS:
            kept = squares / (squares + alpha)
            residual = (centred - left @ (kept[:, None] * projected)) / (1 - shares @ kept)[:, None]
            left_out.append(centred - residual)
        tried = np.stack(left_out)
        best = np.square(centred - tried).sum(axis=1).argmin(axis=0)
        alphas = np.asarray(ALPHAS)[best]
        weights = np.sqrt(squares)[:, None] / (squares[:, None] + alphas) * projected
        chosen = tried[best, :, np.arange(len(best))].T
        return cls(right @ weights, mean, np.ascontiguousarray(chosen) + mean, alphas)


def _decomposed(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Left vectors (n, r), squared singular values (r,) and right vectors (d, r) of features, by the smaller side."""
    n, d = features.shape
    squares, vectors = np.linalg.eigh(features.T @ features if d < n else features @ features.T)
    kept = squares > 1e-10 * max(squares[-1], np.finfo(np.float64).tiny)
    squares, vectors = squares[kept], vectors[:, kept]
    others = (features if d < n else features.T) @ vectors / np.sqrt(squares)
    return (others, squares, vectors) if d < n else (vectors, squares, others)
