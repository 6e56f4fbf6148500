"""Nearest neighbours: distances, weights, shrinkage, and neighbours shared between fits."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor

import routereval as rv
from routereval.errors import ParameterError
from routereval.kernels.neighbours import neighbour_sums, observed_neighbour_sums
from routereval.sources.synthetic import Synthetic, SyntheticSpec


@pytest.fixture(scope="module")
def problem() -> rv.Scenario:
    spec = SyntheticSpec("neighbours", prompts=120, models=50, skills=3, dimensions=8, sizes=(5,), seed=4)
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


def partition(points: list[list[float]], scores: list[list[float]]) -> rv.Partition:
    ids, models = tuple(map(str, range(len(points)))), tuple("xyz"[: len(scores[0])])
    return rv.Partition(
        rv.Queries(ids, np.array(points, dtype=np.float32)),
        rv.ScoreMatrix.from_dense(scores, ids, models, missing=bool(np.isnan(scores).any())),
    )


def said(router: rv.KNN, part: rv.Partition, *query: float) -> NDArray[np.float64]:
    return router.fit(part).predict(rv.Queries(("q",), np.array([query], dtype=np.float32))).scores[0]


def test_euclidean_neighbours_are_those_of_scikit_learn(problem: rv.Scenario) -> None:
    train, test = (part.queries.require_embeddings() for part in (problem.train, problem.test))
    theirs = KNeighborsRegressor(7, algorithm="brute").fit(train, problem.train.scores.dense())
    ours = rv.KNN(k=7, metric="euclidean").fit(problem.train).predict(problem.test.queries)
    np.testing.assert_allclose(ours.scores, theirs.predict(test), atol=1e-6)


def test_similar_neighbours_count_more() -> None:
    # Cosines with the query: 1, 0.6 and 0; temperature 0.4: each step of 0.4 divides the weight by e.
    part = partition([[1, 0], [0.6, 0.8], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    expected = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(
        said(rv.KNN(k=2, weights="similarity", temperature=0.4), part, 2, 0), [expected, 1 - expected], rtol=1e-6
    )


def test_for_unit_vectors_both_metrics_give_the_same_weights() -> None:
    # Opposite pairs: the centre is 0 and all lengths are one, so half the squared distance is one less the cosine.
    part = partition([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1], [0], [0], [1]])
    routers = [rv.KNN(k=3, weights="similarity", temperature=0.5, metric=metric) for metric in ("cosine", "euclidean")]  # type: ignore[arg-type]
    first, second = (said(router, part, 0.8, 0.6) for router in routers)
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_the_mean_counts_for_so_many_neighbours() -> None:
    # Two neighbours that are right, a mean of 1/2 that counts for three: (2 x 1 + 3 x 1/2) / 5.
    part = partition([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [[1], [1], [0], [0]])
    np.testing.assert_allclose(said(rv.KNN(k=2, shrinkage=3), part, 1, 0), [0.7])


def test_weighted_neighbours_count_for_their_effective_number() -> None:
    # Weights 1 and 1/e: (1 + 1/e)^2 / (1 + 1/e^2) neighbours, against a mean of 1/3 that counts for two.
    part = partition([[1, 0], [0.6, 0.8], [0, 1]], [[1], [0], [0]])
    w = np.exp(-1)
    neighbours, local = (1 + w) ** 2 / (1 + w**2), 1 / (1 + w)
    expected = (neighbours * local + 2 / 3) / (neighbours + 2)
    router = rv.KNN(k=2, weights="similarity", temperature=0.4, shrinkage=2)
    np.testing.assert_allclose(said(router, part, 1, 0), [expected], rtol=1e-6)


def test_fewer_observed_neighbours_are_drawn_further() -> None:
    # y was observed on one of the two neighbours and has a mean of 1/2: (1 + 2 x 1/2) / 3.
    part = partition([[1, 0], [1, 0.1], [0, 1]], [[1, np.nan], [1, 1], [0, 0]])
    np.testing.assert_allclose(said(rv.KNN(k=2, shrinkage=2), part, 1, 0), [(2 + 2 * 2 / 3) / 4, 2 / 3], rtol=1e-6)


def test_of_equally_near_prompts_the_earlier_ones_count() -> None:
    part = partition([[1, 0]] * 6, [[1], [0], [1], [0], [0], [0]])
    assert said(rv.KNN(k=3), part, 1, 0) == pytest.approx(2 / 3)


@pytest.mark.parametrize("weights", ["uniform", "similarity"])
def test_a_refitted_router_is_a_newly_fitted_one_to_the_last_bit(weights: str, problem: rv.Scenario) -> None:
    fitted = rv.KNN().fit(problem.train)
    for k in (1, 40, 5, 94):
        parameters = {"k": k, "weights": weights, "shrinkage": 2.0}
        again = fitted.refitted(parameters)
        assert again == replace(rv.KNN(), **parameters)
        for queries in (problem.test.queries, problem.train.queries):
            fresh = replace(rv.KNN(), **parameters).fit(problem.train).predict(queries).scores
            assert again is not None
            assert again.predict(queries).scores.tobytes() == fresh.tobytes()


def test_neighbours_are_found_once_for_all_refitted_routers(
    problem: rv.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    search = rv.KNN._nearest
    monkeypatch.setattr(rv.KNN, "_nearest", lambda *args: searches.append(args) or search(*args))
    fitted = rv.KNN().fit(problem.train)
    for k in (5, 10, 20, 40):
        router = fitted.refitted({"k": k})
        assert router is not None
        router.predict(problem.test.queries)
    assert len(searches) == 1


def test_another_metric_has_to_be_fitted_anew(problem: rv.Scenario) -> None:
    fitted = rv.KNN().fit(problem.train)
    assert fitted.refitted({"metric": "euclidean"}) is None
    with pytest.raises(ParameterError, match="k = 1000"):
        fitted.refitted({"k": 1000})


def test_found_neighbours_do_not_travel(problem: rv.Scenario) -> None:
    router = rv.KNN().fit(problem.train).refitted({"k": 3})
    assert router is not None
    expected = router.predict(problem.test.queries).scores
    copied = pickle.loads(pickle.dumps(router))
    assert "_found" not in vars(copied)
    assert np.array_equal(copied.predict(problem.test.queries).scores, expected)


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (rv.KNN(metric="manhattan"), "metric = 'manhattan'; expected cosine or euclidean"),  # type: ignore[arg-type]
        (rv.KNN(weights="distance"), "weights = 'distance'; expected uniform or similarity"),  # type: ignore[arg-type]
        (rv.KNN(temperature=0), "temperature = 0; it must be positive"),
        (rv.KNN(shrinkage=-1), "shrinkage = -1; it must be 0 or more"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(router: rv.KNN, message: str, problem: rv.Scenario) -> None:
    with pytest.raises(ParameterError, match=message):
        router.fit(problem.train)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("points", [[[0, 0]] * 4, [[1, 2]] * 4, [[1e20, 0], [0, 1e20], [1e20, 1e20], [0, 0]]])
def test_embeddings_without_a_direction_or_without_measure(metric: str, points: list[list[float]]) -> None:
    part = partition(points, [[1, 0], [1, 1], [0, 0], [0, 1]])
    router = rv.KNN(k=4, metric=metric, weights="similarity", shrinkage=1).fit(part)  # type: ignore[arg-type]
    scores = router.predict(part.queries).scores
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("m", [1, 7, 64])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_compiled_sums_are_those_of_numpy(m: int, dtype: type) -> None:
    rng = np.random.default_rng(m)
    targets = rng.integers(0, 2, (20, m)).astype(dtype)
    index, weights = rng.integers(0, 20, (6, 4)), rng.random((6, 4))
    total = np.zeros((6, m))
    neighbour_sums(targets, index, weights, total)
    np.testing.assert_allclose(total, np.einsum("qk,qkm->qm", weights, targets[index]), rtol=1e-12)


def test_the_compiled_sums_leave_out_what_was_not_observed() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((20, 5)).astype(np.float32)
    targets[rng.random((20, 5)) < 0.4] = np.nan
    index, weights = rng.integers(0, 20, (6, 4)), rng.random((6, 4))
    total, seen, squares = np.zeros((3, 6, 5))
    observed_neighbour_sums(targets, index, weights, total, seen, squares)
    there = ~np.isnan(targets[index])
    np.testing.assert_allclose(total, np.einsum("qk,qkm->qm", weights, np.nan_to_num(targets[index])), rtol=1e-12)
    np.testing.assert_allclose(seen, np.einsum("qk,qkm->qm", weights, there), rtol=1e-12)
    np.testing.assert_allclose(squares, np.einsum("qk,qkm->qm", weights**2, there), rtol=1e-12)
