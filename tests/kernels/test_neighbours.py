"""Sums over neighbours and Elo's battles equal their plain NumPy twins, whatever the shape and the scores."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routereval.kernels.neighbours import neighbour_sums, observed_neighbour_sums
from routereval.kernels.ratings import battles, local_ratings

KINDS = ("binary", "graded", "holes", "ones", "zeros")


def scores(n: int, m: int, kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    made = rng.random((n, m)) if kind == "graded" else rng.integers(0, 2, size=(n, m)).astype(float)
    if kind in ("ones", "zeros"):
        made[:] = kind == "ones"
    if kind == "holes":
        made[rng.random((n, m)) < 0.5] = np.nan
    return made.astype(np.float32)


def shapes(test):  # type: ignore[no-untyped-def]
    """Any shape and kind of scores; one prompt, one model, all ones, all zeros and missing cells for certain."""
    for case in [(1, 1, "ones", 0), (1, 9, "zeros", 1), (130, 1, "holes", 2), (65, 67, "holes", 3), (63, 5, "ones", 4)]:
        test = example(*case)(test)
    test = given(st.integers(1, 130), st.integers(1, 70), st.sampled_from(KINDS), st.integers(0, 9999))(test)
    return settings(max_examples=50, deadline=None)(test)


@shapes
def test_weighted_sums_over_neighbours(n: int, m: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.nan_to_num(scores(n, m, kind, rng))
    index, weights = rng.integers(0, n, size=(4, 1 + seed % 6)), rng.random((4, 1 + seed % 6))
    before = rng.random((4, m))
    expected = before + np.einsum("qk,qkm->qm", weights, targets[index].astype(np.float64))
    kinds = [targets] if kind == "graded" else [targets, targets.astype(np.uint8)]
    for given_as in kinds:
        total = before.copy()
        neighbour_sums(given_as, index, weights, total)
        np.testing.assert_allclose(total, expected, rtol=1e-6)


@shapes
def test_weighted_sums_over_the_neighbours_that_were_observed(n: int, m: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = scores(n, m, kind, rng)
    index, weights = rng.integers(0, n, size=(4, 1 + seed % 6)), rng.random((4, 1 + seed % 6))
    total, seen, squares = (np.zeros((4, m)) for _ in range(3))
    observed_neighbour_sums(targets, index, weights, total, seen, squares)
    observed = ~np.isnan(targets[index])
    by_weight = weights[:, :, None]
    np.testing.assert_allclose(total, (by_weight * np.nan_to_num(targets[index])).sum(axis=1), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(seen, (by_weight * observed).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(squares, (by_weight**2 * observed).sum(axis=1), rtol=1e-12)


def plain_battles(
    ratings: NDArray[np.float64], y: NDArray[np.float32], pairs: NDArray[np.int64], k: float
) -> NDArray[np.float64]:
    """Elo (1978): the winner takes k times what was not expected of it."""
    rated = ratings.copy()
    for i, j in pairs:
        if not np.isnan(y[[i, j]]).any():
            outcome = {1.0: 1.0, 0.0: 0.5, -1.0: 0.0}[float(np.sign(y[i] - y[j]))]
            moved = k * (outcome - 1 / (1 + 10 ** ((rated[j] - rated[i]) / 400)))
            rated[i], rated[j] = rated[i] + moved, rated[j] - moved
    return rated


@shapes
def test_battles_one_after_another(n: int, m: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # One prompt; a model may not meet itself, so there are two at least.
    y = scores(1, m + 1, kind, rng)[0]
    pairs = np.array([rng.choice(m + 1, size=2, replace=False) for _ in range(min(n, 20))])
    start = rng.normal(1000, 100, size=m + 1)
    found = start.copy()
    battles(found, y, pairs[:, 0].copy(), pairs[:, 1].copy(), 32.0)
    np.testing.assert_allclose(found, plain_battles(start, y, pairs, 32.0), rtol=1e-12)


@shapes
def test_battles_over_the_prompts_of_each_query_start_anew(n: int, m: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = scores(n, m + 1, kind, rng)
    pairs = np.array([rng.choice(m + 1, size=2, replace=False) for _ in range(6)])
    start = rng.normal(1000, 100, size=m + 1)
    neighbours = rng.integers(0, n, size=(3, 1 + seed % 4))
    out = np.empty((3, m + 1))
    local_ratings(start, y, neighbours, pairs[:, 0].copy(), pairs[:, 1].copy(), 16.0, out)
    for query, prompts in enumerate(neighbours):
        rated = start
        for prompt in prompts:
            rated = plain_battles(rated, y[prompt], pairs, 16.0)
        np.testing.assert_allclose(out[query], rated, rtol=1e-12)
