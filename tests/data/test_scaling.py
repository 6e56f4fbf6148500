"""Oracles over random pools of every size."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from routereval.data.scaling import chance_means, expected_oracle, grid_named, published_grid, random_pools, short_grid
from routereval.data.scores import ScoreMatrix
from routereval.errors import ParameterError


def matrix(dense: np.ndarray) -> ScoreMatrix:
    return ScoreMatrix.from_dense(dense, list(map(str, range(len(dense)))), list(map(str, range(dense.shape[1]))))


@pytest.mark.parametrize("graded", [False, True])
def test_the_expected_oracle_is_the_mean_over_all_subsets(graded: bool) -> None:
    dense = np.random.default_rng(0).random((13, 7))
    if not graded:
        dense = (dense < 0.25).astype(float)
    found = expected_oracle(matrix(dense), range(1, 8))
    for m, value in zip(range(1, 8), found, strict=True):
        every = [dense[:, list(subset)].max(axis=1).mean() for subset in combinations(range(7), m)]
        assert value == pytest.approx(np.mean(every), abs=1e-7)


def test_the_expected_oracle_of_thousands_of_models_is_between_chance_and_one() -> None:
    dense = np.random.default_rng(1).random((50, 5000)) < 0.001
    means = expected_oracle(matrix(dense), [1, 10, 1000, 5000])
    assert means[0] == pytest.approx(dense.mean())
    assert (np.diff(means) > 0).all()
    assert means[-1] == pytest.approx(dense.any(axis=1).mean())


def test_missing_cells_have_no_expectation() -> None:
    scores = ScoreMatrix.from_dense([[1, np.nan], [0, 1]], "ab", "xy", missing=True)
    with pytest.raises(ValueError, match="needs every cell"):
        expected_oracle(scores, [1])


def test_random_pools_are_subsets_drawn_alike() -> None:
    pools = random_pools(6, 3, 4000, np.random.default_rng(0))
    assert pools.shape == (4000, 3)
    assert (np.diff(pools, axis=1) > 0).all()
    # Each of the 20 subsets about 200 times; five standard deviations are 70.
    _, counts = np.unique(pools, axis=0, return_counts=True)
    assert len(counts) == 20
    assert np.abs(counts - 200).max() < 70
    assert random_pools(4, 4, 2, np.random.default_rng(0)).tolist() == [[0, 1, 2, 3]] * 2


def test_the_published_grid_is_that_of_the_figures() -> None:
    grid = published_grid(5000)
    assert grid[:3] == [2, 3, 4]
    assert grid[198:201] == [200, 202, 204]
    assert [m for m in grid if 496 <= m <= 515] == [496, 498, 500, 505, 510, 515]
    assert grid[-3:] == [4960, 4980, 5000]
    assert published_grid(1823, step=10)[-1] == 1820
    # And all models, where the figures end just short of them.
    assert grid_named("published", 1823, "mmlu_pro") == [*published_grid(1823, step=10), 1823]
    assert grid_named("published", 1823, "arc") == [*published_grid(1823), 1823]
    assert grid_named("published", 5000, "arc") == published_grid(5000)
    assert set(short_grid(1823)) < set(grid_named("published", 1823, "arc"))
    with pytest.raises(ParameterError, match="unknown grid 'long'; expected short or published"):
        grid_named("long", 10, "arc")
    assert grid_named("short", 78, "arc") == short_grid(78)
    assert short_grid(78) == [2, 3, 5, 10, 20, 50, 78]


def test_chance_with_missing_cells_is_the_mean_over_prompts_of_means_over_those_observed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    dense = (rng.random((40, 9)) < 0.4).astype(float)
    dense[rng.random(dense.shape) < 0.6] = np.nan
    scores = ScoreMatrix.from_dense(dense, list(map(str, range(40))), list("abcdefghi"), missing=True)
    pools = random_pools(9, 3, 6, rng)
    expected = []
    for pool in pools:
        rows = [row[~np.isnan(row)] for row in dense[:, pool]]
        expected.append(np.mean([row.mean() for row in rows if len(row)]))
    for at_once in (1024, 7):
        monkeypatch.setattr("routereval.data.scaling.PROMPTS_AT_ONCE", at_once)
        assert chance_means(scores, pools) == pytest.approx(expected, abs=1e-12)
