"""The inner loops of trees: boosting many models over the same bins, and walking down trees made elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.compiling import Floats, compiled

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Positions = NDArray[np.int32]

EVERYTHING_LEFT = 255
"""The cut of a node that is not split: no bin is beyond it."""

_LEAST_HESSIAN = 1e-3


@compiled
def boost(
    bins: Bytes,
    y: Floats,
    base: float,
    logistic: bool,
    rate: float,
    min_leaf: int,
    l2: float,
    features: Bytes,
    cuts: Bytes,
    values: Doubles,
) -> None:
    """Gradient-boosted trees of one model by Newton steps (Chen and Guestrin 2016); the last three are filled.

    Parameters
    ----------
    bins : (n, f) which bin each feature of each prompt falls into.
    y : (n,) targets, nan where not observed.
    base : where the raw prediction starts.
    logistic : binary cross-entropy of the raw prediction's logistic, else half the squared error.
    rate, min_leaf, l2 : learning rate, fewest observed prompts in a leaf, penalty on a leaf's value.
    features, cuts : (trees, 2^depth - 1) by node, a level after the other: a prompt whose bin is up to the cut goes
        left.
    values : (trees, 2^depth) what each leaf adds.
    """
    n, width = bins.shape
    trees, leaves = values.shape
    seen = np.flatnonzero(~np.isnan(y))
    raw = np.full(n, base)
    gradient, hessian = np.zeros(n), np.ones(n)
    node = np.zeros(n, dtype=np.int32)
    # No wider than needed: it stays in the cache.
    histogram = np.zeros((leaves // 2, width, int(bins.max()) + 1, 3))
    for t in range(trees):
        for i in seen:
            node[i] = 0
            if logistic:
                p = 1 / (1 + math.exp(-raw[i]))
                gradient[i], hessian[i] = p - y[i], p * (1 - p)
            else:
                gradient[i] = raw[i] - y[i]
        first, nodes = 0, 1
        while nodes < leaves:
            _fill(bins, gradient, hessian, node, seen, histogram[:nodes])
            for v in range(nodes):
                _split(histogram[v], min_leaf, l2, features[t, first + v : first + v + 1], cuts[t, first + v :])
            for i in seen:
                at = first + node[i]
                node[i] = 2 * node[i] + (1 if bins[i, features[t, at]] > cuts[t, at] else 0)
            first += nodes
            nodes *= 2
        _weigh(gradient, hessian, node, seen, rate, l2, values[t])
        for i in seen:
            raw[i] += values[t, node[i]]


@compiled
def _fill(
    bins: Bytes, gradient: Doubles, hessian: Doubles, node: Positions, seen: NDArray[np.int64], histogram: Doubles
) -> None:
    """Sums of gradients, hessians and prompts by node, feature and bin."""
    histogram[:] = 0
    for i in seen:
        of_node = histogram[node[i]]
        for k in range(bins.shape[1]):
            cell = of_node[k, bins[i, k]]
            cell[0] += gradient[i]
            cell[1] += hessian[i]
            cell[2] += 1


@compiled
def _split(histogram: Doubles, min_leaf: int, l2: float, feature: Bytes, cut: Bytes) -> None:
    """The split of a node that lowers the loss most, into the first entries of the last two; none where none does."""
    feature[0], cut[0] = 0, EVERYTHING_LEFT
    g, h, count = 0.0, 0.0, 0.0
    for b in range(histogram.shape[1]):
        g += histogram[0, b, 0]
        h += histogram[0, b, 1]
        count += histogram[0, b, 2]
    # Rounding must not split a node whose prompts are all alike.
    best = g * g / (h + l2 + 1e-15) + 1e-9
    for k in range(histogram.shape[0]):
        left_g, left_h, left = 0.0, 0.0, 0.0
        for b in range(histogram.shape[1]):
            left_g += histogram[k, b, 0]
            left_h += histogram[k, b, 1]
            left += histogram[k, b, 2]
            if left < min_leaf or left_h < _LEAST_HESSIAN:
                continue
            right_g, right_h = g - left_g, h - left_h
            if count - left < min_leaf or right_h < _LEAST_HESSIAN:
                break
            gain = left_g * left_g / (left_h + l2) + right_g * right_g / (right_h + l2)
            if gain > best:
                best = gain
                feature[0], cut[0] = k, b


@compiled
def _weigh(
    gradient: Doubles,
    hessian: Doubles,
    node: Positions,
    seen: NDArray[np.int64],
    rate: float,
    l2: float,
    values: Doubles,
) -> None:
    """What each leaf adds: a Newton step, shortened by the learning rate."""
    sums = np.zeros((values.shape[0], 2))
    for i in seen:
        sums[node[i], 0] += gradient[i]
        sums[node[i], 1] += hessian[i]
    for v in range(values.shape[0]):
        values[v] = -rate * sums[v, 0] / (sums[v, 1] + l2 + 1e-15)


@compiled
def boosted(bins: Bytes, features: Bytes, cuts: Bytes, values: Doubles, out: Doubles) -> None:
    """What the trees of :func:`boost` add to the base, into ``out`` (n,)."""
    for i in range(bins.shape[0]):
        total = 0.0
        for t in range(values.shape[0]):
            at = 0
            while at < features.shape[1]:
                at = 2 * at + (2 if bins[i, features[t, at]] > cuts[t, at] else 1)
            total += values[t, at - features.shape[1]]
        out[i] = total


@compiled
def _leaf(row: Floats, root: int, feature: Any, threshold: Doubles, left: Positions, right: Positions) -> int:
    at = root
    while left[at] >= 0:
        at = left[at] if row[feature[at]] <= threshold[at] else right[at]
    return at


@compiled
def leaves(
    x: Floats,
    roots: Positions,
    feature: Positions,
    threshold: Doubles,
    left: Positions,
    right: Positions,
    out: Positions,
) -> None:
    """The node that each row of ``x`` (n, f) ends in, into ``out`` (n, trees).

    Parameters
    ----------
    roots : (trees,) positions among all nodes.
    feature, threshold, left, right : (nodes,); a row goes left where its feature is up to the threshold; a leaf has
        -1 for left.
    """
    for i in range(x.shape[0]):
        for t in range(roots.shape[0]):
            out[i, t] = _leaf(x[i], roots[t], feature, threshold, left, right)


@compiled
def mean_values(
    x: Floats,
    roots: Positions,
    feature: Positions,
    threshold: Doubles,
    left: Positions,
    right: Positions,
    value: Floats,
    out: Doubles,
) -> None:
    """Mean over a forest's trees of the value each row ends in, into ``out`` (n, forests).

    Parameters
    ----------
    roots : (forests, trees).
    value : (nodes,).
    """
    for i in range(x.shape[0]):
        for j in range(roots.shape[0]):
            total = 0.0
            for t in range(roots.shape[1]):
                total += value[_leaf(x[i], roots[j, t], feature, threshold, left, right)]
            out[i, j] = total / roots.shape[1]
