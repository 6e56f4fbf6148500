"""Trees are grown and walked down as plain NumPy does it, whatever the shape and the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routereval.kernels.trees import EVERYTHING_LEFT, boost, boosted, leaves, mean_values

KINDS = ("binary", "graded", "holes", "ones", "zeros")
RATE, MIN_LEAF, L2 = 0.3, 2, 1.0


def shapes(test):  # type: ignore[no-untyped-def]
    """Any number of prompts and features; one prompt, one feature, all ones, all zeros, missing cells for certain."""
    for case in [(1, 1, "ones", 0), (2, 1, "zeros", 1), (65, 3, "holes", 2), (130, 1, "binary", 3), (63, 6, "ones", 4)]:
        test = example(*case)(test)
    test = given(st.integers(1, 130), st.integers(1, 6), st.sampled_from(KINDS), st.integers(0, 9999))(test)
    return settings(max_examples=40, deadline=None)(test)


def targets(n: int, kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    made = rng.random(n) if kind == "graded" else rng.integers(0, 2, size=n).astype(float)
    if kind in ("ones", "zeros"):
        made[:] = kind == "ones"
    if kind == "holes":
        made[rng.random(n) < 0.5] = np.nan
    return made.astype(np.float32)


def best_gain(bins: NDArray[np.uint8], g: NDArray[np.float64], h: NDArray[np.float64]) -> float:
    """How much the best allowed split gains over none, not less than 0 (Chen and Guestrin 2016, eq. 7)."""
    whole = g.sum() ** 2 / (h.sum() + L2)
    gains = [0.0]
    for k in range(bins.shape[1]):
        for cut in range(int(bins[:, k].max(initial=0))):
            left = bins[:, k] <= cut
            if min(left.sum(), (~left).sum()) >= MIN_LEAF and min(h[left].sum(), h[~left].sum()) >= 1e-3:
                gains.append(sum(g[side].sum() ** 2 / (h[side].sum() + L2) for side in (left, ~left)) - whole)
    return max(gains)


@shapes
def test_each_split_gains_most_and_each_leaf_is_a_newton_step(n: int, f: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins, y = rng.integers(0, 5, size=(n, f)).astype(np.uint8), targets(n, kind, rng)
    trees, depth, logistic, base = 3, 2, bool(seed % 2), 0.4
    features, cuts = (np.zeros((trees, 2**depth - 1), dtype=np.uint8) for _ in range(2))
    values = np.full((trees, 2**depth), np.nan)
    boost(bins, y, base, logistic, RATE, MIN_LEAF, L2, features, cuts, values)
    seen = ~np.isnan(y)
    seen_bins, right = bins[seen], y[seen].astype(np.float64)
    raw = np.full(len(right), base)
    for t in range(trees):
        p = 1 / (1 + np.exp(-raw)) if logistic else raw
        g, h = p - right, p * (1 - p) if logistic else np.ones(len(right))
        node = np.zeros(len(right), dtype=int)
        for at in range(2**depth - 1):
            inside = node == at
            beyond = seen_bins[:, features[t, at]] > cuts[t, at]
            if inside.any():
                left, rest = inside & ~beyond, inside & beyond
                gain = sum(g[part].sum() ** 2 / (h[part].sum() + L2) for part in (left, rest))
                gain -= g[inside].sum() ** 2 / (h[inside].sum() + L2)
                assert gain == pytest.approx(best_gain(seen_bins[inside], g[inside], h[inside]), abs=1e-7)
                assert cuts[t, at] == EVERYTHING_LEFT or min(left.sum(), rest.sum()) >= MIN_LEAF
            node[inside] = 2 * at + 1 + beyond[inside]
        for leaf in range(2**depth):
            inside = node == leaf + 2**depth - 1
            expected = -RATE * g[inside].sum() / (h[inside].sum() + L2)
            assert values[t, leaf] == pytest.approx(expected, abs=1e-9)
            raw[inside] += values[t, leaf]
    out = np.empty(n)
    boosted(bins, features, cuts, values, out)
    np.testing.assert_allclose(base + out[seen], raw, atol=1e-9)


def forest(trees: int, f: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], ...]:
    """Roots, features, thresholds, left and right of random trees, some of them a single leaf."""
    roots, rows = [], []

    def grow(depth: int) -> int:
        at = len(rows)
        rows.append([0, 0.0, -1, -1])
        if depth and rng.random() < 0.8:
            rows[at] = [int(rng.integers(f)), float(rng.integers(4)), grow(depth - 1), grow(depth - 1)]
        return at

    for _ in range(trees):
        roots.append(grow(3))
    feature, threshold, left, right = zip(*rows, strict=True)
    whole = (np.array(column, dtype=np.int32) for column in (roots, feature, left, right))
    one, two, three, four = whole
    return one, two, np.array(threshold, dtype=np.float64), three, four


@shapes
def test_walking_down_trees(n: int, f: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers, so that a feature often is the threshold, and goes left.
    x = rng.integers(0, 5, size=(n, f)).astype(np.float32)
    roots, feature, threshold, left, right = forest(4, f, rng)
    value = np.nan_to_num(targets(len(feature), kind, rng))
    expected = np.empty((n, 4), dtype=int)
    for i, t in np.ndindex(n, 4):
        at = roots[t]
        while left[at] >= 0:
            at = left[at] if x[i, feature[at]] <= threshold[at] else right[at]
        expected[i, t] = at
    out = np.empty((n, 4), dtype=np.int32)
    leaves(x, roots, feature, threshold, left, right, out)
    assert np.array_equal(out, expected)
    means = np.empty((n, 2))
    mean_values(x, roots.reshape(2, 2), feature, threshold, left, right, value, means)
    np.testing.assert_allclose(means, value[expected].reshape(n, 2, 2).mean(axis=2), rtol=1e-6)
