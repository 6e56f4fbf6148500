"""Boosted trees against scikit-learn's, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import routereval as rv
from routereval.errors import ParameterError
from routereval.kernels.trees import boost
from routereval.routers.boosting import Boosting
from routereval.routers.components import principal_components, projected
from routereval.sources.synthetic import Synthetic, SyntheticSpec


def part(dense: np.ndarray, x: np.ndarray) -> rv.Partition:
    n, m = dense.shape
    ids = tuple(f"p{i}" for i in range(n))
    scores = rv.ScoreMatrix.from_dense(dense, ids, tuple(f"m{j}" for j in range(m)), missing=True)
    return rv.Partition(rv.Queries(ids, x.astype(np.float32)), scores)


def world(n: int = 60, d: int = 4, m: int = 3, *, graded: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n, d))
    p = 1 / (1 + np.exp(-2 * x @ rng.normal(size=(d, m))))
    return (p if graded else (rng.random((n, m)) < p).astype(float)), x


def test_components_are_those_of_scikit_learn() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) * np.arange(1, 7)
    theirs = PCA(3).fit(x.astype(np.float64))
    found = principal_components(x.astype(np.float32), 3)
    expected = theirs.transform(x.astype(np.float64))
    signs = np.sign((theirs.components_ * found["directions"]).sum(axis=1))
    np.testing.assert_allclose(projected(x.astype(np.float32), found), expected * signs, atol=1e-4)


def test_components_stop_where_embeddings_vary_no_more() -> None:
    flat = np.outer(np.arange(5), [1, 2, 3]).astype(np.float32)
    assert principal_components(flat, 3)["directions"].shape == (1, 3)
    assert principal_components(np.ones((5, 3), dtype=np.float32), 3)["directions"].shape == (1, 3)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graded", [False, True])
def test_the_trees_are_those_of_scikit_learn(depth: int, graded: bool) -> None:
    dense, x = world(graded=graded)
    router = Boosting(trees=12, depth=depth, min_leaf=5, l2=0.5, shrinkage=0).fit(part(dense, x))
    queries = part(*world(30)).queries
    said = router.predict(queries).scores
    cls = HistGradientBoostingRegressor if graded else HistGradientBoostingClassifier
    theirs = cls(
        max_iter=12,
        max_depth=depth,
        max_leaf_nodes=None,
        min_samples_leaf=5,
        l2_regularization=0.5,
        early_stopping=False,
    )
    seen, asked = (projected(q.require_embeddings(), router.components_) for q in (part(dense, x).queries, queries))
    for j, column in enumerate(dense.T.astype(np.float32)):
        theirs.fit(seen, column)
        expected = theirs.predict(asked) if graded else theirs.predict_proba(asked)[:, 1]
        np.testing.assert_allclose(said[:, j], expected, atol=1e-5)


def test_a_prompt_that_was_not_observed_has_no_say() -> None:
    rng = np.random.default_rng(3)
    bins = rng.integers(0, 9, size=(60, 3)).astype(np.uint8)
    y = (bins[:, 1] > rng.integers(2, 7, size=60)).astype(np.float32)
    seen = np.arange(60) % 3 > 0
    grown = []
    for given, targets in ((bins, np.where(seen, y, np.float32(np.nan))), (np.ascontiguousarray(bins[seen]), y[seen])):
        trees = np.zeros((5, 3), np.uint8), np.zeros((5, 3), np.uint8), np.zeros((5, 4))
        boost(given, targets, 0.1, True, 0.3, 4, 1.0, *trees)
        grown.append(trees)
    assert all(np.array_equal(one, other) for one, other in zip(*grown, strict=True))
    assert np.abs(grown[0][2]).max() > 0.1


def test_without_enough_prompts_for_a_split_scores_are_the_train_means() -> None:
    dense, x = world(30)
    said = Boosting(min_leaf=16).fit(part(dense, x)).predict(part(dense, x).queries).scores
    np.testing.assert_allclose(said, np.tile(dense.mean(axis=0), (30, 1)), atol=1e-9)


def test_shrunk_entirely_it_is_best_single() -> None:
    dense, x = world()
    said = Boosting(min_leaf=5, shrinkage=1).fit(part(dense, x)).predict(part(dense, x).queries).scores
    np.testing.assert_allclose(said, np.tile(dense.mean(axis=0), (60, 1)), atol=1e-9)


def test_models_that_are_always_right_or_never_or_not_observed_say_so() -> None:
    dense = np.tile([1.0, 0.0, np.nan], (50, 1))
    given = part(dense, np.random.default_rng(0).normal(size=(50, 3)))
    said = Boosting(min_leaf=2).fit(given).predict(given.queries).scores
    np.testing.assert_allclose(said, np.tile([1.0, 0, 0], (50, 1)), atol=1e-9)


def test_trees_find_what_no_linear_router_can() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(600, 2))
    middle = (np.abs(x[:, 0]) < 0.5).astype(float)
    both = part(np.stack([middle, 1 - middle], axis=1), x)
    seen, asked = both.rows(np.arange(400)), both.rows(np.arange(400, 600))
    chosen = Boosting(trees=100, min_leaf=10).fit(seen).predict(asked.queries).scores.argmax(axis=1)
    assert asked.scores.dense()[np.arange(200), chosen].mean() > 0.85


@pytest.mark.parametrize("scale", [0.0, 1e18, 1e-18])
def test_embeddings_of_any_size_will_do(scale: float) -> None:
    dense, x = world()
    given = part(dense, x * scale)
    assert np.isfinite(Boosting(min_leaf=5).fit(given).predict(given.queries).scores).all()


def test_it_comes_near_the_planted_optimum() -> None:
    spec = SyntheticSpec(
        "trees", prompts=900, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    planted = Synthetic(spec)
    scenario = planted.data.scenario("strong_to_weak", 5)
    single = rv.evaluate(rv.BestSingle(), scenario).mu
    mu = rv.evaluate(Boosting(), scenario).mu
    assert mu > single + 0.5 * (planted.optimal_score(scenario) - single)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"trees": 0}, "trees = 0; it must be 1 to 10000"),
        ({"depth": 7}, "depth = 7; it must be 1 to 6"),
        ({"min_leaf": 0}, "min_leaf = 0; it must be at least 1"),
        ({"components": 256}, "components = 256"),
        ({"learning_rate": 0}, "learning_rate = 0; it must be positive"),
        ({"l2": -1}, "l2 = -1"),
        ({"shrinkage": 1.5}, "shrinkage = 1.5; it must be 0 to 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Boosting(**parameters).fit(part(*world()))  # type: ignore[arg-type]
