"""Prompts in clusters: what the routers of clusters share."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import softmax
from routereval.errors import ParameterError
from routereval.routers.products import model_sums

_MODELS = 256
"""Models whose targets are held as numbers at a time."""


def k_means(embeddings: NDArray[np.float32], clusters: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Centres (clusters, d) and the cluster of each prompt (n,), by scikit-learn's KMeans.

    Fewer distinct prompts than clusters leave some clusters empty.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(clusters, random_state=seed).fit(embeddings)
    return fitted.cluster_centers_, fitted.labels_


def distances(embeddings: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distance of each prompt to each centre, (n, clusters)."""
    from sklearn.metrics import euclidean_distances

    found: NDArray[np.float64] = euclidean_distances(embeddings, centres).astype(np.float64)
    return found


def directions(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """The embeddings at length one; a row of zeros stays."""
    from sklearn.preprocessing import normalize

    # Over its largest entry first: float32 does not hold the squares of every number it holds.
    largest = np.abs(embeddings).max(axis=1, keepdims=True)
    unit: NDArray[np.float32] = normalize(embeddings / np.where(largest > 0, largest, 1))
    return unit


def spread(distance: NDArray[np.float64]) -> float:
    """Mean distance of the prompts to their own centre, so that a temperature has no unit; 1 where it is 0."""
    return float(distance.min(axis=1).mean()) or 1.0


def nearness(distance: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Weights of the clusters, softmax(-distance / temperature), (n, clusters)."""
    return softmax(-distance / temperature)


def means_in_clusters(
    targets: NDArray[np.float32],
    member: NDArray[np.int32],
    clusters: int,
    means: NDArray[np.float64],
    shrinkage: float,
) -> NDArray[np.float64]:
    """Mean of each column over the observed prompts of each cluster, (clusters, m).

    Parameters
    ----------
    targets : (n, m), nan where not observed.
    member : (n,) the cluster of each prompt.
    means : (m,) what stands in where a model was observed on no prompt of a cluster; nan is taken for 0.
    shrinkage : how many prompts of every cluster ``means`` counts for.
    """
    means = np.nan_to_num(means)
    found = np.tile(means, (clusters, 1))
    for cluster in range(clusters):
        # One contiguous row per model, so that a model's sum does not depend on which others are there.
        inside = np.ascontiguousarray(targets[member == cluster].T, dtype=np.float64)
        count = np.sum(~np.isnan(inside), axis=1)
        total = np.nansum(inside, axis=1) + shrinkage * means
        np.divide(total, count + shrinkage, out=found[cluster], where=count > 0)
    return found


def weighted_means_in_clusters(
    targets: NDArray[np.float32], weights: NDArray[np.float64], means: NDArray[np.float64], shrinkage: float
) -> NDArray[np.float64]:
    """The same, (clusters, m), for prompts that belong to every cluster in part.

    Parameters
    ----------
    weights : (n, clusters) in [0, 1], the part of each prompt that is the cluster's.
    """
    means = np.nan_to_num(means)
    found = np.empty((weights.shape[1], len(means)))
    for start in range(0, len(means), _MODELS):
        block = slice(start, start + _MODELS)
        of_block = targets[:, block].T.astype(np.float64)
        count = model_sums((~np.isnan(of_block)).astype(np.float64), weights)
        total = model_sums(np.nan_to_num(of_block, copy=False), weights) + shrinkage * means[block, None]
        of_clusters = np.tile(means[block, None], (1, weights.shape[1]))
        # Less than a millionth of a prompt is no evidence, and no divisor.
        np.divide(total, count + shrinkage, out=of_clusters, where=count > 1e-6)
        found[:, block] = of_clusters.T
    return found


def check_positive(router: str, **values: float) -> None:
    """Refuse what is not above 0.

    Raises
    ------
    ParameterError : says which.
    """
    for name, value in values.items():
        if not (value > 0 and np.isfinite(value)):
            raise ParameterError(f"{router} has {name} = {value}; it must be a number above 0")


def check_shrinkage(router: str, shrinkage: float) -> None:
    """Refuse a shrinkage below 0.

    Raises
    ------
    ParameterError : says what it is and may be.
    """
    if not (shrinkage >= 0 and np.isfinite(shrinkage)):
        raise ParameterError(f"{router} has shrinkage = {shrinkage}; it must be a number of prompts, 0 or more")


def as_many_as_there_are(router: str, clusters: int, n: int) -> int:
    """``clusters``, or the number of training prompts where there are fewer.

    Raises
    ------
    ParameterError : ``clusters`` below 1.
    """
    if clusters < 1:
        raise ParameterError(f"{router} has clusters = {clusters}; it must be at least 1")
    return min(clusters, n)
