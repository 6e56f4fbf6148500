"""Each family of routers against a computation by hand or by another program."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans as Clustering
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import LinearSVC

import routereval as rv
from routereval.errors import ParameterError
from routereval.sources.synthetic import Synthetic, SyntheticSpec


@pytest.fixture(scope="module")
def problem() -> rv.Scenario:
    spec = SyntheticSpec("families", prompts=120, models=50, skills=3, dimensions=8, sizes=(5,), seed=4)
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


def embeddings(queries: rv.Queries) -> np.ndarray:
    return queries.require_embeddings()


def test_best_single_says_the_train_means(problem: rv.Scenario) -> None:
    prediction = rv.BestSingle().fit(problem.train).predict(problem.test.queries)
    means = problem.train.scores.dense().mean(axis=0)
    np.testing.assert_allclose(prediction.scores, np.tile(means, (len(problem.test), 1)), rtol=1e-6)
    assert prediction.probs is not None
    assert np.array_equal(np.unique(prediction.probs, axis=0), np.eye(5)[[np.argmax(means)]])


@pytest.mark.parametrize("k", [1, 5, 95])
def test_knn_says_what_scikit_learn_says(k: int, problem: rv.Scenario) -> None:
    theirs = KNeighborsRegressor(k, metric="cosine", algorithm="brute")
    theirs.fit(embeddings(problem.train.queries), problem.train.scores.dense())
    ours = rv.KNN(k=k).fit(problem.train).predict(problem.test.queries)
    np.testing.assert_allclose(ours.scores, theirs.predict(embeddings(problem.test.queries)), atol=1e-6)


def test_knn_counts_observed_neighbours_only() -> None:
    # Three training prompts in a row; b was observed on the farthest one only, c nowhere near.
    queries = rv.Queries(tuple("abc"), np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32))
    scores = rv.ScoreMatrix.from_dense(
        [[1, np.nan, np.nan], [np.nan, 0, np.nan], [0, 1, 1]], tuple("abc"), tuple("xyz"), missing=True
    )
    router = rv.KNN(k=2).fit(rv.Partition(queries, scores))
    said = router.predict(rv.Queries(("q",), np.array([[1, 0.05]], dtype=np.float32))).scores[0]
    assert list(said) == [1.0, 0.0, 1.0]  # z: no neighbour observed, so its mean over all training prompts


def test_kmeans_says_the_means_of_scikit_learns_clusters(problem: rv.Scenario) -> None:
    clustering = Clustering(3, random_state=0).fit(embeddings(problem.train.queries))
    dense = problem.train.scores.dense()
    means = np.array([dense[clustering.labels_ == c].mean(axis=0) for c in range(3)])
    member = clustering.predict(embeddings(problem.test.queries))
    prediction = rv.KMeans().fit(problem.train).predict(problem.test.queries)
    np.testing.assert_allclose(prediction.scores, means[member], atol=1e-6)
    # Closeness to each centre goes to the model that wins there.
    closeness = 1 / (clustering.transform(embeddings(problem.test.queries)).astype(float) + 1e-10)
    closeness /= closeness.sum(axis=1, keepdims=True)
    expected = np.zeros((len(problem.test), 5))
    for cluster, winner in enumerate(means.argmax(axis=1)):
        expected[:, winner] += closeness[:, cluster]
    assert prediction.probs is not None
    np.testing.assert_allclose(prediction.probs, expected, atol=1e-6)


def test_linear_finds_what_logistic_regression_finds(problem: rv.Scenario) -> None:
    theirs = [
        LogisticRegression(C=1e3, max_iter=5000).fit(embeddings(problem.train.queries), column)
        for column in problem.train.scores.dense().T
    ]
    expected = np.stack([one.decision_function(embeddings(problem.test.queries)) for one in theirs], axis=1)
    for router in (rv.Linear(epochs=200), rv.Linear(recipe="minibatch", steps=3000)):
        logits = router.fit(problem.train).predict(problem.test.queries).scores
        assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.97


def test_the_minibatch_recipe_starts_from_the_train_means(problem: rv.Scenario) -> None:
    router = rv.Linear(recipe="minibatch", steps=1, learning_rate=1e-9).fit(problem.train)
    said = 1 / (1 + np.exp(-router.predict(problem.test.queries).scores))
    n = len(problem.train)
    means = problem.train.scores.dense().mean(axis=0)
    np.testing.assert_allclose(said, np.tile((means * n + 1) / (n + 2), (len(said), 1)), atol=1e-5)


@pytest.mark.parametrize("recipe", ["published", "minibatch"])
@pytest.mark.parametrize("cls", [rv.Linear, rv.MLP])
def test_another_seed_gives_another_fit_of_about_the_same_quality(cls: type, recipe: str, problem: rv.Scenario) -> None:
    results = [rv.evaluate(cls(recipe=recipe), problem, seed=seed) for seed in (0, 0, 1)]
    scores = [cls(recipe=recipe, seed=seed).fit(problem.train).predict(problem.test.queries).scores for seed in (0, 1)]
    assert results[0].mu == results[1].mu
    assert not np.array_equal(*scores)
    assert abs(results[0].mu - results[2].mu) < 0.35


def test_an_mlp_learns_what_no_linear_router_can() -> None:
    # XOR: the first model is right where the signs of the two features agree, the second where they differ.
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(500, 2)).astype(np.float32)
    agree = (x[:, 0] * x[:, 1] > 0).astype(float)
    ids = tuple(map(str, range(500)))
    scores = rv.ScoreMatrix.from_dense(np.stack([agree, 1 - agree], axis=1), ids, ("same", "other"))
    split = rv.Split(np.arange(400), np.arange(0), np.arange(400, 500))
    pool = rv.CandidatePool(("same", "other"), "all")
    data = rv.BenchmarkData("xor", scores, rv.Queries(ids, x), split, {("all", 2): pool}, "xor", "3" * 64)
    xor = data.scenario("all", 2)
    assert rv.evaluate(rv.MLP(hidden=32, learning_rate=0.001), xor).mu > 0.9
    assert rv.evaluate(rv.MLP(hidden=32, recipe="minibatch", steps=2000), xor).mu > 0.9
    assert rv.evaluate(rv.Linear(), xor).mu < 0.7


def test_a_scikit_learn_regressor_is_fitted_as_it_stands(problem: rv.Scenario) -> None:
    train, test = embeddings(problem.train.queries), embeddings(problem.test.queries)
    expected = Ridge(alpha=2.0).fit(train, problem.train.scores.dense()).predict(test)
    router = rv.SklearnRouter(Ridge(alpha=2.0)).fit(problem.train)
    np.testing.assert_allclose(router.predict(problem.test.queries).scores, expected, atol=1e-6)


def test_a_scikit_learn_classifier_says_the_probability_of_being_right(problem: rv.Scenario) -> None:
    train, test = embeddings(problem.train.queries), embeddings(problem.test.queries)
    router = rv.SklearnRouter(LogisticRegression()).fit(problem.train)
    said = router.predict(problem.test.queries).scores
    for j, column in enumerate(problem.train.scores.dense().T):
        expected = LogisticRegression().fit(train, column.astype(int)).predict_proba(test)[:, 1]
        np.testing.assert_allclose(said[:, j], expected, atol=1e-6)


def test_a_classifier_without_probabilities_is_ranked_by_its_decision_function(problem: rv.Scenario) -> None:
    router = rv.SklearnRouter(LinearSVC(random_state=0)).fit(problem.train)
    said = router.predict(problem.test.queries).scores
    assert len(np.unique(said)) > 2
    assert rv.evaluate(rv.SklearnRouter(LinearSVC(random_state=0)), problem).mu > 0


@pytest.mark.parametrize("router", [rv.SklearnRouter(LinearSVC(random_state=0)), rv.SklearnRouter(RidgeClassifier())])
def test_margins_and_means_are_on_one_scale(router: rv.SklearnRouter) -> None:
    # Two models are right on a third of the prompts, whatever the embedding; one never is.
    rng = np.random.default_rng(0)
    ids = tuple(map(str, range(300)))
    dense = np.concatenate([np.zeros((300, 1)), rng.random((300, 2)) < 0.35], axis=1)
    queries = rv.Queries(ids, rng.normal(size=(300, 2)).astype(np.float32))
    part = rv.Partition(queries, rv.ScoreMatrix.from_dense(dense, ids, ("never", "a", "b")))
    chosen = router.fit(part).predict(queries).scores.argmax(axis=1)
    assert (chosen != 0).all()


def test_what_predicts_no_scores_is_no_router(problem: rv.Scenario) -> None:
    with pytest.raises(ParameterError, match="KMeans is neither a regressor nor a classifier"):
        rv.evaluate(rv.SklearnRouter(Clustering(2)), problem)


@pytest.mark.parametrize("recipe", ["published", "minibatch"])
@pytest.mark.parametrize("cls", [rv.Linear, rv.MLP])
def test_a_model_that_training_never_saw_is_not_chosen(cls: type, recipe: str) -> None:
    rng = np.random.default_rng(1)
    ids = tuple(map(str, range(80)))
    dense = np.concatenate([(rng.random((80, 2)) < 0.4).astype(float), np.full((80, 1), np.nan)], axis=1)
    scores = rv.ScoreMatrix.from_dense(dense, ids, ("a", "b", "new"), missing=True)
    part = rv.Partition(rv.Queries(ids, rng.normal(size=(80, 4)).astype(np.float32)), scores)
    said = cls(recipe=recipe).fit(part).predict(part.queries).scores
    assert (said.argmax(axis=1) != 2).all()


@pytest.mark.parametrize("scale", [1e20, 1e-24])
def test_the_direction_of_an_embedding_does_not_depend_on_its_scale(scale: float, problem: rv.Scenario) -> None:
    def scaled(part: rv.Partition) -> rv.Partition:
        queries = rv.Queries(part.queries.ids, (embeddings(part.queries) * scale).astype(np.float32))
        return rv.Partition(queries, part.scores)

    plain = rv.KNN().fit(problem.train).predict(problem.test.queries).scores
    far = rv.KNN().fit(scaled(problem.train)).predict(scaled(problem.test).queries).scores
    assert np.array_equal(plain, far)


def test_the_best_single_model_was_observed_on_half_of_the_prompts() -> None:
    ids = tuple(map(str, range(20)))
    dense = np.stack([np.arange(20) % 5 > 0, np.arange(20) % 2, np.full(20, np.nan)], axis=1).astype(float)
    dense[1, 2] = 1
    scores = rv.ScoreMatrix.from_dense(dense, ids, ("a", "b", "lucky"), missing=True)
    said = rv.BestSingle().fit(rv.Partition(rv.Queries(ids), scores)).predict(rv.Queries(("q",))).scores[0]
    assert np.argsort(-said).tolist() == [0, 1, 2]


def test_a_model_that_is_always_right_or_never_needs_no_classifier() -> None:
    ids = tuple("abcdefgh")
    dense = np.stack([np.ones(8), np.zeros(8), np.tile([0.0, 1.0], 4)], axis=1)
    part = rv.Partition(
        rv.Queries(ids, np.eye(8, dtype=np.float32)), rv.ScoreMatrix.from_dense(dense, ids, ("yes", "no", "some"))
    )
    said = rv.SklearnRouter(LogisticRegression()).fit(part).predict(part.queries).scores
    assert (said[:, 0] == 1).all()
    assert (said[:, 1] == 0).all()
    assert 0 < said[0, 2] < 1


def test_missing_cells_are_fitted_model_by_model() -> None:
    ids = tuple("abcd")
    scores = rv.ScoreMatrix.from_dense([[1, np.nan], [0, 1], [np.nan, 1], [0, 0]], ids, ("x", "y"), missing=True)
    part = rv.Partition(rv.Queries(ids, np.eye(4, dtype=np.float32)), scores)
    said = rv.SklearnRouter(DummyRegressor()).fit(part).predict(part.queries).scores
    np.testing.assert_allclose(said, np.tile([1 / 3, 2 / 3], (4, 1)), atol=1e-6)
