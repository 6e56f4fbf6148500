"""Routers of clusters, against numbers worked out by hand or by another program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.mixture import GaussianMixture

import routereval as rv
from routereval import policies
from routereval.errors import DataError, ParameterError
from routereval.routers.avengers import inverse_ranks, scaled
from routereval.routers.clusters import directions, means_in_clusters, weighted_means_in_clusters
from routereval.routers.uniroute import _slope
from routereval.sources.synthetic import Synthetic, SyntheticSpec

NEW = ("gmm", "avengers", "uniroute", "uniroute_learned")
NAMES = ("kmeans", *NEW)


def partition(points: Any, scores: Any, models: Sequence[str] | None = None, prefix: str = "p") -> rv.Partition:
    dense = np.asarray(scores, dtype=np.float32)
    ids = tuple(f"{prefix}{i}" for i in range(len(dense)))
    names = tuple(models or (f"m{j}" for j in range(dense.shape[1])))
    queries = rv.Queries(ids, np.asarray(points, dtype=np.float32))
    return rv.Partition(queries, rv.ScoreMatrix.from_dense(dense, ids, names, missing=bool(np.isnan(dense).any())))


def queries(points: Any) -> rv.Queries:
    values = np.asarray(points, dtype=np.float32)
    return rv.Queries(tuple(f"q{i}" for i in range(len(values))), values)


# Two clusters, at (1, 0) and (0, 1), of two prompts each. m0 is right in the first, m1 in the second.
CORNERS = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
SCORES = np.array([[1, 0], [1, 0], [0, 1], [1, 1]])


@pytest.fixture
def corners() -> rv.Partition:
    return partition(CORNERS, SCORES)


@pytest.fixture(scope="module")
def planted() -> rv.Scenario:
    spec = SyntheticSpec(
        "planted", prompts=600, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1, seed=2
    )
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


# Means in clusters


def test_a_model_has_its_mean_in_a_cluster_drawn_to_its_mean_overall() -> None:
    targets = np.array([[1, np.nan], [0, 1], [1, np.nan]], dtype=np.float32)
    member, means = np.array([0, 0, 1], dtype=np.int32), np.array([2 / 3, 1.0])
    plain = means_in_clusters(targets, member, 3, means, 0.0)
    np.testing.assert_allclose(plain, [[0.5, 1], [1, 1], [2 / 3, 1]])  # nothing observed: the mean overall
    drawn = means_in_clusters(targets, member, 3, means, 3.0)
    np.testing.assert_allclose(drawn[:, 0], [(1 + 2) / (2 + 3), (1 + 2) / (1 + 3), 2 / 3])


@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_prompts_wholly_in_one_cluster_are_the_hard_case_of_prompts_in_part(shrinkage: float) -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((40, 300)) < 0.5).astype(np.float32)
    targets[rng.random(targets.shape) < 0.3] = np.nan
    member = rng.integers(3, size=40).astype(np.int32)
    means = np.nanmean(targets, axis=0).astype(np.float64)
    hard = means_in_clusters(targets, member, 4, means, shrinkage)
    soft = weighted_means_in_clusters(targets, np.eye(4)[member], means, shrinkage)
    np.testing.assert_allclose(soft, hard, atol=1e-12)


def test_directions_are_those_of_embeddings_of_any_size() -> None:
    unit = directions(np.array([[3e20, 4e20], [3e-30, 4e-30], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)


# k-means


def test_soft_assignment_weighs_clusters_by_distance(corners: rv.Partition) -> None:
    train = partition(np.vstack([CORNERS, [[1, 0.3], [0, 1.3]]]), np.vstack([SCORES, [[1, 0], [0, 1]]]))
    router = rv.KMeans(clusters=2, assignment="soft", temperature=0.5).fit(train)
    centres = np.array([[1, 0.1], [0, 1.1]])
    means = np.array([[1, 0], [1 / 3, 1]])
    # Per cluster two prompts lie 0.1 from the centre and one 0.2.
    scale = (0.1 + 0.1 + 0.2) / 3
    point = np.array([0.8, 0.6])
    weights = softmax(-np.linalg.norm(point - centres, axis=1) / (0.5 * scale))
    said = router.predict(queries([point]))
    np.testing.assert_allclose(said.scores, [weights @ means], rtol=1e-5)
    assert said.probs is not None
    np.testing.assert_allclose(said.probs, [weights], rtol=1e-5)  # m0 wins the first cluster, m1 the second


def test_ever_colder_soft_assignment_becomes_hard_and_endless_shrinkage_best_single(planted: rv.Scenario) -> None:
    test = planted.test.queries
    hard, cold, shrunk, best = (
        router.fit(planted.train).predict(test).scores
        for router in (
            rv.KMeans(clusters=4),
            rv.KMeans(clusters=4, assignment="soft", temperature=1e-5),
            rv.KMeans(clusters=4, shrinkage=1e9),
            rv.BestSingle(),
        )
    )
    np.testing.assert_allclose(cold, hard, atol=1e-6)
    np.testing.assert_allclose(shrunk, best, atol=1e-6)


# Gaussian mixture


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_gmm_says_the_means_of_scikit_learns_mixture(covariance: str, planted: rv.Scenario) -> None:
    train, test = planted.train.queries.require_embeddings(), planted.test.queries.require_embeddings()
    # All components are kept, so that turning them back leaves a mixture of the same prompts, whitened as a whole.
    router: Any = rv.GMM(clusters=3, dimensions=16, covariance=covariance, shrinkage=4.0).fit(planted.train)
    points, asked = ((x - train.mean(axis=0)) @ router.axes_.T / router.scale_ for x in (train, test))
    assert np.var(points, axis=0, ddof=1).mean() == pytest.approx(1)
    theirs = GaussianMixture(3, covariance_type=covariance, reg_covar=1e-3, random_state=0).fit(points)  # type: ignore[arg-type]
    share, dense = theirs.predict_proba(points), planted.train.scores.dense()
    means = (share.T @ dense + 4 * dense.mean(axis=0)) / (share.sum(axis=0) + 4)[:, None]
    said = router.predict(planted.test.queries).scores
    np.testing.assert_allclose(said, theirs.predict_proba(asked) @ means, atol=1e-3)


def test_a_query_between_two_gaussians_is_half_of_each() -> None:
    points = np.array([[-1.1, 0], [-0.9, 0], [0.9, 0], [1.1, 0]])
    router = rv.GMM(clusters=2, dimensions=1, shrinkage=0.0).fit(partition(points, [[1], [1], [0], [0]]))
    np.testing.assert_allclose(router.predict(queries([[0, 0], [-1, 0]])).scores, [[0.5], [1.0]], atol=1e-6)


# Avengers


def test_standings_are_scaled_accuracies_or_inverse_ranks() -> None:
    means = np.array([[0.2, 0.6, 0.4], [0.5, 0.5, 0.5], [0.9, 0.1, 0.9]])
    np.testing.assert_allclose(scaled(means), [[0, 1, 0.5], [0, 0, 0], [1, 0, 1]])
    np.testing.assert_allclose(inverse_ranks(means), [[1 / 3, 1, 1 / 2], [1, 1, 1], [1, 1 / 3, 1]])


@pytest.mark.parametrize(("variant", "standings"), [("pro", [[1, 0], [0, 1]]), ("simple", [[1, 1 / 2], [1 / 2, 1]])])
def test_avengers_add_up_the_standings_of_the_nearest_clusters(
    variant: Any, standings: list[list[float]], corners: rv.Partition
) -> None:
    point = np.array([4.0, 3.0])
    weights = softmax(-2.0 * np.linalg.norm(point / 5 - np.eye(2), axis=1))
    router = rv.Avengers(clusters=2, nearest=2, beta=2.0, variant=variant, shrinkage=0.0)
    np.testing.assert_allclose(
        router.fit(corners).predict(queries([point])).scores, [weights @ np.array(standings)], rtol=1e-5
    )
    one = rv.Avengers(clusters=2, nearest=1, variant=variant, shrinkage=0.0).fit(corners)
    np.testing.assert_allclose(one.predict(queries([point])).scores, [standings[0]], rtol=1e-5)


def test_what_avengers_say_of_a_model_depends_on_the_pool() -> None:
    # a and b alone: b is far better in the second cluster. Beside c, far worse there, b's lead looks small.
    dense = np.array([[0.6, 0.5, 0.5], [0.6, 0.5, 0.5], [0.8, 0.9, 0.0], [0.8, 0.9, 0.0]])
    middle = queries([[1, 1.1]])
    router = rv.Avengers(clusters=2, nearest=2, variant="pro", shrinkage=0.0)
    pair, three = (router.fit(partition(CORNERS, dense[:, :m])).predict(middle).scores[0, :2] for m in (2, 3))
    assert pair.argmax() == 1
    assert three.argmax() == 0
    assert not rv.Avengers.columnwise


# UniRoute


def test_errors_are_measured_on_validation_prompts_or_on_both(corners: rv.Partition) -> None:
    val = partition([[2, 0], [3, 0.1]], [[0, 1], [0, np.nan]], prefix="v")
    near = queries([[1, 0.1], [0.1, 1]])
    said = {
        (train_too, given is not None): rv.UniRoute(clusters=2, shrinkage=0.0, train_too=train_too)
        .fit(corners, given)
        .predict(near)
        .scores
        for train_too in (True, False)
        for given in (val, None)
    }
    # No validation prompt lies in the second cluster: there a model has its mean over all validation prompts.
    np.testing.assert_allclose(said[False, True], [[0, 1], [0, 1]], atol=1e-7)
    np.testing.assert_allclose(said[True, True], [[2 / 4, 1 / 3], [0.5, 1]], atol=1e-7)
    for train_too in (True, False):
        np.testing.assert_allclose(said[train_too, False], [[1, 0], [0.5, 1]], atol=1e-7)


@pytest.mark.parametrize("shrinkage", [0.0, 7.0])
@pytest.mark.parametrize("holes", [False, True])
def test_joining_with_a_model_is_fitting_with_it(shrinkage: float, holes: bool, planted: rv.Scenario) -> None:
    dense = planted.train.scores.dense().copy()
    if holes:
        dense[np.random.default_rng(0).random(dense.shape) < 0.4] = np.nan
    points = planted.train.queries.require_embeddings()
    everyone = rv.UniRoute(shrinkage=shrinkage).fit(partition(points, dense))
    train = partition(points, dense[:, :4])
    without = rv.UniRoute(shrinkage=shrinkage).fit(train)
    asked = planted.test.queries
    expected = everyone.predict(asked).scores
    vector = without.error_vector(train.queries, dense[:, 4])
    for measured in ((train.queries, dense[:, 4]), vector):
        joined = without.with_model("m4", measured)
        assert joined.model_ids_ == everyone.model_ids_
        assert joined.predict(asked).scores.tobytes() == expected.tobytes()
    assert without.predict(asked).scores.shape == (len(asked), 4)  # the router itself is as it was


def test_a_model_that_cannot_join_is_refused(corners: rv.Partition) -> None:
    router = rv.UniRoute(clusters=2).fit(corners)
    for name, measured, message in (
        ("m1", np.zeros(2), "'m1' is already among 2 models"),
        ("new", np.zeros(3), r"shape \(3,\); expected \(2,\)"),
        ("new", np.array([0, 1.5]), "errors lie between 0 and 1.5"),
        ("new", np.array([0, np.nan]), "expected 0 to 1"),
        ("new", (corners.queries, [1, 0]), r"shape \(2,\); expected \(4,\)"),
        ("new", (corners.queries, [1, 0, 7, np.nan]), "scores lie between 0 and 7"),
    ):
        with pytest.raises(DataError, match=message):
            router.with_model(name, measured)  # type: ignore[arg-type]


def test_the_learned_maps_slope_is_that_of_its_log_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4)).astype(np.float32)
    theta = rng.normal(size=(3, 4)).astype(np.float32)
    vectors = rng.uniform(0.2, 0.8, size=(3, 5)).astype(np.float32)
    errors = (rng.random((6, 5)) < 0.5).astype(np.float32)
    errors[0, 0] = np.nan

    def loss(weights: np.ndarray) -> float:
        expected = softmax(x.astype(float) @ weights.T, axis=1) @ vectors
        return float(-np.nanmean(errors * np.log(expected) + (1 - errors) * np.log(1 - expected)))

    numeric = np.zeros((3, 4))
    for at in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[at] = 1e-5
        numeric[at] = (loss(theta + step) - loss(theta - step)) / 2e-5
    np.testing.assert_allclose(_slope(x, errors, theta, vectors), numeric, atol=1e-5)


def test_the_learned_map_starts_from_the_clusters_and_learns_what_they_miss() -> None:
    # The clusters lie along the first feature, which says nothing; the second says who is right.
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.choice([-3.0, 3.0], size=(400, 1)), rng.uniform(-1, 1, size=(400, 1))], axis=1)
    x = np.concatenate([x, np.full((400, 1), 2.0)], axis=1)
    right = (x[:, 1] > 0) ^ (rng.random(400) < 0.1)
    part = partition(x, np.stack([right, ~right], axis=1))
    train, test = part.rows(np.arange(300)), part.rows(np.arange(300, 400))

    def mu(router: Any) -> float:
        chosen = router.fit(train).predict(test.queries).scores.argmax(axis=1)
        return float(test.scores.dense()[np.arange(100), chosen].mean())

    params: dict[str, Any] = {"clusters": 4, "shrinkage": 0.0}
    still = rv.LearnedUniRoute(**params, steps=1, learning_rate=1e-9)
    assert mu(rv.LearnedUniRoute(**params, decay=0.0, steps=500)) > 0.85
    cold = rv.LearnedUniRoute(**params, steps=1, learning_rate=1e-9, temperature=1e-4).fit(train)
    hard = rv.UniRoute(**params).fit(train)
    np.testing.assert_allclose(cold.predict(test.queries).scores, hard.predict(test.queries).scores, atol=1e-3)
    held = rv.LearnedUniRoute(**params, decay=1e6).fit(train).map_
    np.testing.assert_allclose(held, still.fit(train).map_, atol=0.1)


def test_a_model_joins_the_learned_map_without_changing_it(planted: rv.Scenario) -> None:
    router = rv.LearnedUniRoute().fit(planted.train)
    asked = planted.test.queries
    joined = router.with_model("twin", router.errors_[2]).predict(asked)
    before = router.predict(asked).scores
    np.testing.assert_array_equal(joined.scores[:, :5], before)
    np.testing.assert_array_equal(joined.scores[:, 5], before[:, 2])


# All of them


@pytest.mark.parametrize("name", [*NAMES, "kmeans:assignment=soft", "avengers:variant=pro"])
def test_a_router_finds_the_specialists_that_were_planted(name: str) -> None:
    # Three kinds of prompts; each model is right on nine tenths of one kind and on two fifths of the others.
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=700)
    points = 3 * np.eye(8)[kind] + rng.normal(size=(700, 8)) / 2
    part = partition(points, rng.random((700, 3)) < np.where(np.eye(3)[kind] == 1, 0.9, 0.4))
    train, test = part.rows(np.arange(400)), part.rows(np.arange(400, 700))
    chosen = policies.PolicySpec.parse(name).build().fit(train).predict(test.queries).scores.argmax(axis=1)
    assert np.mean(chosen == kind[400:]) > 0.97


EXTREMES: dict[str, tuple[Any, Any]] = {
    "three prompts": (np.eye(3), [[1, 0], [0, 1], [1, 1]]),
    "one model": (np.eye(6), [[1], [0], [1], [1], [0], [1]]),
    "constant embeddings": (np.ones((6, 3)), [[1, 0]] * 4 + [[0, 1]] * 2),
    "zero embeddings": (np.zeros((6, 3)), [[1, 0]] * 4 + [[0, 1]] * 2),
    "duplicates": (np.repeat(np.eye(3), 4, axis=0), [[1, 0]] * 8 + [[0, 1]] * 4),
    "always right": (np.eye(6), np.ones((6, 2))),
    "never right": (np.eye(6), np.zeros((6, 2))),
    "never observed": (np.eye(6), [[1, np.nan]] * 3 + [[0, np.nan]] * 3),
    "graded": (np.eye(6), np.linspace(0, 1, 12).reshape(6, 2)),
    "one feature": (np.arange(6)[:, None], [[1, 0]] * 3 + [[0, 1]] * 3),
}


@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize("name", [*NAMES, "kmeans:assignment=soft", "avengers:variant=pro", "gmm:shrinkage=0"])
def test_extreme_data_give_finite_scores_of_the_same_bits_each_time(name: str, kind: str) -> None:
    part = partition(*EXTREMES[kind])
    asked = queries(
        np.vstack([part.queries.require_embeddings(), np.full((1, part.queries.require_embeddings().shape[1]), 7)])
    )
    first, second = (policies.PolicySpec.parse(name).build().fit(part).predict(asked) for _ in range(2))
    first.check(len(asked), part.scores.shape[1])
    assert np.isfinite(first.scores).all()
    assert first.scores.tobytes() == second.scores.tobytes()
    if kind == "never observed":
        assert (first.scores[:, 0] >= first.scores[:, 1]).all()


@pytest.mark.parametrize("name", NEW)
def test_more_clusters_than_prompts_are_as_many_as_there_are(name: str) -> None:
    part = partition(np.eye(4), np.eye(4))
    many, four = (
        policies.PolicySpec(name, {"clusters": clusters}).build().fit(part).predict(part.queries).scores
        for clusters in (4, 400)
    )
    np.testing.assert_array_equal(many, four)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("kmeans:shrinkage=-1", "kmeans has shrinkage = -1.0; it must be a number of prompts, 0 or more"),
        ("kmeans:temperature=0", "kmeans has temperature = 0.0; it must be a number above 0"),
        ("gmm:clusters=0", "gmm has clusters = 0; it must be at least 1"),
        ("gmm:dimensions=0", "gmm has dimensions = 0"),
        ("gmm:shrinkage=nan", "gmm has shrinkage = nan"),
        ("avengers:nearest=0", "avengers has nearest = 0"),
        ("avengers:beta=-9", "avengers has beta = -9.0"),
        ("avengers:clusters=0", "avengers has clusters = 0"),
        ("uniroute:clusters=0", "uniroute has clusters = 0"),
        ("uniroute:shrinkage=-1", "uniroute has shrinkage = -1"),
        ("uniroute_learned:steps=0", "uniroute_learned has steps = 0"),
        ("uniroute_learned:decay=-1", "uniroute_learned has decay = -1"),
        ("uniroute_learned:temperature=0", "uniroute_learned has temperature = 0"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(spec: str, message: str, corners: rv.Partition) -> None:
    with pytest.raises(ParameterError, match=message):
        policies.PolicySpec.parse(spec).build().fit(corners)


@pytest.mark.parametrize(
    "router",
    [rv.KMeans(assignment="firm"), rv.GMM(covariance="full"), rv.Avengers(variant="max")],  # type: ignore[arg-type]
)
def test_a_variant_that_there_is_not_is_refused(router: Any, corners: rv.Partition) -> None:
    with pytest.raises(ParameterError, match="expected"):
        router.fit(corners)
