"""Oracle scores of many pools at once, against NumPy on the dense scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routereval.data.oracles import greedy_pool, oracle_means, window_oracle_means
from routereval.data.pools import DRAWS, draws_of
from routereval.data.scores import ScoreMatrix


def matrix(n: int, m: int, kind: str, seed: int) -> tuple[ScoreMatrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    dense = rng.random((n, m))
    if kind != "graded":
        dense = (dense < {"ones": 2, "zeros": -1}.get(kind, 0.3)).astype(float)
    if kind in ("holes", "graded"):
        dense[rng.random((n, m)) < 0.4] = np.nan
    dense = dense.astype(np.float32)
    return ScoreMatrix.from_dense(dense, list(map(str, range(n))), list(map(str, range(m))), missing=True), dense


def plain(dense: np.ndarray, pools: np.ndarray) -> np.ndarray:
    means = []
    for pool in pools:
        best = np.fmax.reduce(dense[:, pool], axis=1)
        best = best[~np.isnan(best)]
        means.append(best.astype(float).mean() if len(best) else np.nan)
    return np.array(means)


KINDS = st.sampled_from(["binary", "holes", "graded", "ones", "zeros"])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 150), st.integers(1, 12), KINDS, st.integers(0, 999), st.data())
def test_any_choice_of_models_has_the_oracle_that_numpy_finds(
    n: int, m: int, kind: str, seed: int, data: st.DataObject
) -> None:
    scores, dense = matrix(n, m, kind, seed)
    size = data.draw(st.integers(1, m))
    pools = np.random.default_rng(seed).integers(0, m, size=(data.draw(st.integers(1, 9)), size))
    np.testing.assert_allclose(oracle_means(scores, pools), plain(dense, pools), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 150), st.integers(1, 20), KINDS, st.integers(0, 999), st.data())
def test_every_window_has_the_oracle_that_numpy_finds(
    n: int, m: int, kind: str, seed: int, data: st.DataObject
) -> None:
    scores, dense = matrix(n, m, kind, seed)
    size = data.draw(st.integers(1, m))
    windows = np.arange(m - size + 1)[:, None] + np.arange(size)
    np.testing.assert_allclose(window_oracle_means(scores, size), plain(dense, windows), rtol=1e-12)
    start = data.draw(st.integers(0, m - size))
    stop = data.draw(st.integers(start + size, m))
    inside = window_oracle_means(scores, size, start, stop)
    np.testing.assert_allclose(inside, plain(dense, windows[start : stop - size + 1]), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 150), st.integers(1, 12), KINDS, st.integers(0, 999), st.data())
def test_greedy_adds_the_model_that_raises_the_oracle_most(
    n: int, m: int, kind: str, seed: int, data: st.DataObject
) -> None:
    scores, dense = matrix(n, m, kind, seed)
    picked = greedy_pool(scores, data.draw(st.integers(1, m)))
    assert len(set(picked.tolist())) == len(picked)
    values = np.nan_to_num(dense).astype(float)
    best = np.zeros(n)
    for step, model in enumerate(picked):
        left = [i for i in range(m) if i not in picked[:step]]
        sums = {i: np.maximum(best, values[:, i]).sum() for i in left}
        assert sums[model] == pytest.approx(max(sums.values()), rel=1e-6)
        best = np.maximum(best, values[:, model])


def test_one_pool_has_the_oracle_of_its_matrix() -> None:
    for kind in ("binary", "holes", "graded"):
        scores, _ = matrix(100, 9, kind, 1)
        pool = np.array([[3, 1, 8]])
        assert oracle_means(scores, pool)[0] == pytest.approx(scores.columns(pool[0]).oracle_mean, abs=1e-15)


def test_draws_are_those_of_one_choice_per_group_after_another() -> None:
    ours = draws_of(5, 105, 7, np.random.RandomState(42))
    theirs = np.random.RandomState(42)
    groups = np.array_split(np.arange(5, 105), 7)
    assert len(ours) == DRAWS
    for row in ours:
        assert list(row) == [theirs.choice(group) for group in groups]
