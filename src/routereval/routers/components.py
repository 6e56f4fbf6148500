"""Principal components of embeddings: what trees are grown on, since they are slow and poor on hundreds of features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.routers.products import columns_product

Components = dict[str, NDArray[Any]]
"""``mean`` (d,) and ``directions`` (c, d), float32."""

_NOTHING = 1e-10
"""Variance, relative to the first component's, from which on a component is rounding."""


def principal_components(embeddings: NDArray[np.float32], count: int) -> Components:
    """The ``count`` directions in which the embeddings (n, d) vary most; fewer where they vary in fewer, at least one.

    They depend on the prompts alone, never on the models.
    """
    from scipy.linalg import eigh

    mean = embeddings.mean(axis=0, dtype=np.float64)
    centred = embeddings - mean
    # Of unit size: the squares of extreme embeddings stay numbers.
    centred /= max(np.abs(centred).max(), np.finfo(np.float64).tiny)
    d = centred.shape[1]
    count = min(count, d)
    variances, vectors = eigh(centred.T @ centred, subset_by_index=(d - count, d - 1))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = max(1, int((variances > _NOTHING * max(variances[0], 0.0)).sum()))
    directions = np.ascontiguousarray(vectors[:, :kept].T)
    # An eigenvector's sign is arbitrary: the largest entry is positive, as in scikit-learn.
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(kept), largest])[:, None]
    return {"mean": mean.astype(np.float32), "directions": directions.astype(np.float32)}


def projected(embeddings: NDArray[np.float32], components: Components) -> NDArray[np.float32]:
    """The embeddings in the components' coordinates, (n, c); a row is the same however many there are."""
    return columns_product(embeddings - components["mean"], components["directions"])
