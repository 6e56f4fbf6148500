"""Ridge, logistic regression and support vector machines against scikit-learn, and what they owe at the extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as TheirRidge
from sklearn.svm import SVC, SVR

import routereval as rv
from routereval.errors import ParameterError
from routereval.routers import ridge, svm
from routereval.routers.standardising import centre_and_scale, decomposed, principal_components, standardised
from routereval.routers.trust import trusted_share
from routereval.sources.synthetic import Synthetic, SyntheticSpec

ALL: list[Callable[..., Any]] = [rv.Ridge, rv.Logistic, rv.SVM]


@pytest.fixture(scope="module")
def problem() -> rv.Scenario:
    spec = SyntheticSpec("linear", prompts=120, models=50, skills=3, dimensions=8, sizes=(5,), seed=4)
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


def partition(points: NDArray[Any], scores: NDArray[Any]) -> rv.Partition:
    ids, models = tuple(map(str, range(len(points)))), tuple(f"m{j}" for j in range(scores.shape[1]))
    matrix = rv.ScoreMatrix.from_dense(scores, ids, models, missing=bool(np.isnan(scores).any()))
    return rv.Partition(rv.Queries(ids, np.asarray(points, dtype=np.float32)), matrix)


def features(part: rv.Partition, fitted: Any) -> NDArray[np.float64]:
    return standardised(part.queries.require_embeddings(), fitted.centre_, fitted.scale_).astype(np.float64)


def holes(part: rv.Partition, share: float) -> rv.Partition:
    dense = part.scores.dense().copy()
    dense[np.random.default_rng(2).random(dense.shape) < share] = np.nan
    return partition(part.queries.require_embeddings(), dense)


# Ridge


def test_standardised_embeddings_have_their_mean_at_the_origin_and_length_one() -> None:
    x = (np.random.default_rng(0).normal(size=(50, 4)) * 300 + 7).astype(np.float32)
    moved = standardised(x, *centre_and_scale(x))
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=1e-6)
    assert np.mean((moved**2).sum(axis=1)) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("shape", [(30, 5), (6, 40)])
def test_a_decomposition_is_numpys(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    x -= x.mean(axis=0)
    left, squares, right = decomposed(x)
    np.testing.assert_allclose((left * np.sqrt(squares)) @ right.T, x, atol=1e-5)
    expected = np.sort(np.linalg.svd(x, compute_uv=False))[-len(squares) :]
    np.testing.assert_allclose(np.sqrt(squares), expected, rtol=1e-4)
    components, axes = principal_components(x, 2)
    np.testing.assert_allclose(components, x @ axes, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_ridge_says_what_scikit_learn_says_drawn_to_the_mean(share: float, problem: rv.Scenario) -> None:
    train = holes(problem.train, share) if share else problem.train
    fitted = rv.Ridge(alpha=3.0, shrinkage=0).fit(train)
    x, test, scores = features(train, fitted), features(problem.test, fitted), train.scores.dense()
    said = fitted.predict(problem.test.queries).scores
    for j, column in enumerate(scores.T):
        seen = np.flatnonzero(~np.isnan(column))
        rows, y = x[seen], column[seen].astype(float)
        predicted = TheirRidge(alpha=3.0).fit(rows, y).predict(test)
        others = [np.delete(np.arange(len(y)), i) for i in range(len(y))]
        # Every prompt left out in turn, by hand; the features are centred anew, which the closed form accounts for.
        alone = [
            TheirRidge(alpha=3.0).fit(rows[o], y[o]).predict(rows[i : i + 1])[0] - y[o].mean()
            for i, o in enumerate(others)
        ]
        deviation = [y[i] - y[o].mean() for i, o in enumerate(others)]
        slope = np.clip(np.dot(alone, deviation) / np.dot(alone, alone), 0, 1)
        expected = np.clip(y.mean() + slope * (predicted - y.mean()), 0, 1)
        np.testing.assert_allclose(said[:, j], expected, atol=1e-4)


def test_the_penalty_is_the_one_that_predicts_left_out_prompts_best(problem: rv.Scenario) -> None:
    fitted = rv.Ridge().fit(problem.train)
    x = features(problem.train, fitted)
    for j, y in enumerate(problem.train.scores.dense().T.astype(float)):
        errors = []
        for alpha in ridge._ALPHAS:
            others = [np.delete(np.arange(len(y)), i) for i in range(len(y))]
            alone = [
                TheirRidge(alpha=alpha).fit(x[o], y[o]).predict(x[i : i + 1])[0] - y[i] for i, o in enumerate(others)
            ]
            errors.append(np.mean(np.square(alone)))
        best = float(ridge._ALPHAS[int(np.argmin(errors))])
        expected = rv.Ridge(alpha=best).fit(problem.train).predict(problem.test.queries).scores[:, j]
        np.testing.assert_allclose(fitted.predict(problem.test.queries).scores[:, j], expected, atol=1e-7)


def test_prompts_left_out_may_be_a_part_and_models_solved_in_blocks(
    problem: rv.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rv.Ridge(alpha=3.0).fit(problem.train).predict(problem.test.queries).scores
    monkeypatch.setattr(ridge, "_MODELS", 2)
    monkeypatch.setattr(ridge, "_CHUNK", 1000)
    assert np.array_equal(rv.Ridge(alpha=3.0).fit(problem.train).predict(problem.test.queries).scores, whole)
    monkeypatch.setattr(ridge, "_LEFT_OUT", 60)
    part = rv.Ridge(alpha=3.0).fit(problem.train).predict(problem.test.queries).scores
    assert 0 < np.abs(part - whole).max() < 0.3


def test_a_trusted_share_is_the_slope_less_its_standard_errors() -> None:
    predicted = np.array([[1.0, -1.0, 2.0, -2.0]])
    # Scores 0.5 x predicted + noise orthogonal to it: slope 1/2, residual squares 4 x 0.01 x 2.5, squares of p 10.
    noise = 0.1 * np.array([[2.0, 2.0, -1.0, -1.0]]) * np.array([[1, 1, 1, 1]])
    slope, error = 0.5, np.sqrt(0.1 / 3 / 10)
    for errors in (0, 1, 2):
        np.testing.assert_allclose(trusted_share(0.5 * predicted + noise, predicted, errors), [slope - errors * error])
    assert trusted_share(-predicted, predicted, 0) == [0]
    assert trusted_share(3 * predicted, predicted, 0) == [1]
    assert trusted_share(predicted, 0 * predicted, 0) == [0]


def test_ridge_falls_back_to_the_means_where_nothing_can_be_predicted() -> None:
    rng = np.random.default_rng(3)
    part = partition(rng.normal(size=(300, 20)), (rng.random((300, 40)) < np.linspace(0.2, 0.8, 40)).astype(float))
    said = rv.Ridge().fit(part).predict(part.queries).scores
    flat = np.ptp(said, axis=0) < 1e-6
    assert flat.mean() > 0.9
    np.testing.assert_allclose(said[0, flat], part.target_means[flat], atol=1e-6)


# Logistic regression


@pytest.mark.parametrize("c", [0.01, 1.0, 30.0])
def test_logistic_says_what_scikit_learn_says(c: float, problem: rv.Scenario) -> None:
    fitted = rv.Logistic(C=c).fit(problem.train)
    x, test = features(problem.train, fitted), features(problem.test, fitted)
    said = fitted.predict(problem.test.queries).scores
    for j, column in enumerate(problem.train.scores.dense().T):
        theirs = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(x, column.astype(int))
        np.testing.assert_allclose(said[:, j], theirs.predict_proba(test)[:, 1], atol=3e-3)


def test_a_graded_score_is_a_success_and_a_failure_with_weights() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 3)), rng.random((60, 1)).astype(np.float32)
    y[7] = np.nan
    fitted = rv.Logistic(C=1.0).fit(partition(x, y))
    part = partition(x, y)
    seen = ~np.isnan(y[:, 0])
    rows, weights = features(part, fitted)[seen], y[seen, 0].astype(float)
    theirs = LogisticRegression(C=1.0, tol=1e-8).fit(
        np.concatenate([rows, rows]),
        np.repeat([1, 0], len(rows)),
        sample_weight=np.concatenate([weights, 1 - weights]),
    )
    expected = theirs.predict_proba(features(part, fitted))[:, 1]
    np.testing.assert_allclose(fitted.predict(part.queries).scores[:, 0], expected, atol=1e-3)


def test_fewer_components_see_less() -> None:
    # Scores follow the smaller of two directions; one component does not see it.
    rng = np.random.default_rng(6)
    x = rng.normal(size=(400, 2)) * [10, 1]
    part = partition(x, (x[:, 1:] > 0).astype(float))
    spans = [np.ptp(rv.Logistic(C=10, components=r).fit(part).predict(part.queries).scores) for r in (1, 2)]
    assert spans[0] < 0.2
    assert spans[1] > 0.5


def test_constant_scores_are_said_smoothed() -> None:
    part = partition(np.eye(8), np.stack([np.ones(8), np.zeros(8), np.full(8, np.nan)], axis=1))
    said = rv.Logistic().fit(part).predict(part.queries).scores
    np.testing.assert_allclose(said[:, :2], np.tile([0.9, 0.1], (8, 1)), atol=1e-6)
    assert (said[:, 2] < 1e-12).all()


# Support vector machines


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("kind", ["rbf", "linear"])
def test_a_machine_is_scikit_learns(kind: str, graded: bool, problem: rv.Scenario) -> None:
    train = problem.train.queries.require_embeddings()
    x = standardised(train, *centre_and_scale(train)).astype(np.float64)
    y = np.where(problem.train.scores.dense()[:, 0] > 0, 0.8 if graded else 1.0, 0.0)
    router = rv.SVM(kind=kind).fit(problem.train)  # type: ignore[arg-type]
    router.points_ = x.astype(np.float32)
    kernel = router._kernel(router.points_).astype(np.float64)
    coefficients, intercept = svm._support(kernel, y, 1.0)
    theirs = SVR(kernel=kind, gamma=1) if graded else SVC(kernel=kind, gamma=1)
    theirs.fit(x, y if graded else y.astype(int))
    expected = theirs.predict(x) if graded else theirs.decision_function(x)
    np.testing.assert_allclose(kernel @ coefficients + intercept, expected, atol=5e-3)


def test_margins_are_learned_from_thirds_and_turned_into_scores(problem: rv.Scenario) -> None:
    fitted = rv.SVM(shrinkage=0).fit(problem.train)
    kernel = fitted._kernel(fitted.points_).astype(np.float64)
    order = [
        np.flatnonzero((features(problem.train, fitted).astype(np.float32) == p).all(axis=1))[0] for p in fitted.points_
    ]
    y = problem.train.scores.dense()[order, 2].astype(float)
    margins, machines = np.zeros(len(y)), []
    for fold in range(3):
        held = np.arange(len(y)) % 3 == fold
        machine = SVC(kernel="precomputed").fit(kernel[np.ix_(~held, ~held)], y[~held].astype(int))
        margins[held] = machine.decision_function(kernel[np.ix_(held, ~held)])
        machines.append((machine, ~held))
    centred = margins - margins.mean()
    share = np.clip(centred @ (y - y.mean()) / (centred @ centred), 0, 1)
    ahead = fitted._kernel(features(problem.test, fitted).astype(np.float32)).astype(np.float64)
    ensemble = np.mean([machine.decision_function(ahead[:, rows]) for machine, rows in machines], axis=0)
    expected = np.clip(y.mean() + share * (ensemble - margins.mean()), 0, 1)
    np.testing.assert_allclose(fitted.predict(problem.test.queries).scores[:, 2], expected, atol=1e-4)


def test_a_model_that_is_always_right_does_not_lose_to_a_large_margin() -> None:
    rng = np.random.default_rng(7)
    x = np.repeat([[-5.0], [5.0]], 60, axis=0) + rng.normal(size=(120, 1))
    part = partition(x, np.concatenate([x > 0, np.ones((120, 1))], axis=1).astype(float))
    said = rv.SVM(kind="linear", C=100.0).fit(part).predict(part.queries).scores
    assert (said[:, 1] == 1).all()
    assert (said[:, 0] <= 1).all()
    assert said[x[:, 0] < 0, 0].max() < 0.4


def test_svm_learns_from_no_more_prompts_than_it_may(problem: rv.Scenario) -> None:
    fitted = rv.SVM(prompts=30).fit(problem.train)
    assert fitted.weights_.shape == (5, 30)
    np.testing.assert_allclose(fitted.means_, problem.train.target_means)
    other = rv.SVM(prompts=30, seed=1).fit(problem.train)
    assert not np.array_equal(fitted.points_, other.points_)


# All three


@pytest.mark.parametrize("cls", ALL)
def test_what_only_the_prompt_tells_is_found(cls: Callable[..., Any]) -> None:
    # Two models, each right on its own side of a hyperplane; no single one is right more than half of the time.
    rng = np.random.default_rng(8)
    x = rng.normal(size=(400, 6))
    side = x[:, 0] > 0
    part = partition(x, np.stack([side, ~side], axis=1).astype(float))
    train, test = part.rows(np.arange(300)), part.rows(np.arange(300, 400))
    chosen = cls().fit(train).predict(test.queries).scores.argmax(axis=1)
    assert test.scores.dense()[np.arange(100), chosen].mean() > 0.85


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("points", [np.zeros((12, 3)), np.ones((12, 3)), np.repeat(np.eye(4), 3, axis=0), np.eye(12)])
def test_embeddings_that_say_little_leave_the_means(cls: Callable[..., Any], points: NDArray[Any]) -> None:
    rng = np.random.default_rng(9)
    scores = (rng.random((12, 4)) < 0.5).astype(float)
    scores[:, 0], scores[:, 1], scores[3:, 3] = 1, 0, np.nan
    scores[0, 2] = np.nan
    said = cls().fit(partition(points, scores)).predict(partition(points, scores).queries).scores
    assert np.isfinite(said).all()
    assert ((said >= 0) & (said <= 1)).all()
    assert (said[:, 0] > said[:, 1]).all()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("scale", [1e20, 1e-24])
def test_the_scale_of_the_embeddings_does_not_matter(cls: Callable[..., Any], scale: float) -> None:
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(90, 4)).astype(np.float32), (rng.random((90, 3)) < 0.6).astype(float)
    plain, far = (
        cls(shrinkage=0).fit(part).predict(part.queries).scores
        if cls is not rv.Logistic
        else cls().fit(part).predict(part.queries).scores
        for part in (partition(x, y), partition(x * np.float32(scale), y))
    )
    np.testing.assert_allclose(plain, far, atol=1e-3)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_training_prompts(cls: Callable[..., Any], n: int) -> None:
    part = partition(np.eye(3)[:n], np.array([[1.0], [0.0], [1.0]])[:n])
    said = cls().fit(part).predict(part.queries).scores
    assert said.shape == (n, 1)
    assert np.isfinite(said).all()


@pytest.mark.parametrize("cls", ALL)
def test_a_model_that_training_never_saw_is_taken_for_never_right(cls: Callable[..., Any]) -> None:
    rng = np.random.default_rng(11)
    scores = np.concatenate([(rng.random((80, 2)) < 0.4).astype(float), np.full((80, 1), np.nan)], axis=1)
    part = partition(rng.normal(size=(80, 4)), scores)
    said = cls().fit(part).predict(part.queries).scores
    assert (said[:, 2] < 1e-9).all()
    assert (said.argmax(axis=1) != 2).all()


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (rv.Ridge(alpha=0), "ridge has alpha = 0; it must be positive"),
        (rv.Ridge(shrinkage=-1), "ridge has shrinkage = -1"),
        (rv.Logistic(C=0), "logistic has C = 0; it must be positive"),
        (rv.Logistic(components=0), "logistic has components = 0; it must be at least 1"),
        (rv.SVM(kind="poly"), "svm has kind = 'poly'; expected rbf or linear"),  # type: ignore[arg-type]
        (rv.SVM(C=-1), "svm has C = -1; it must be positive"),
        (rv.SVM(shrinkage=-1), "svm has shrinkage = -1"),
        (rv.SVM(prompts=2), "svm has prompts = 2; it must be at least 3"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(router: Any, message: str, problem: rv.Scenario) -> None:
    with pytest.raises(ParameterError, match=message):
        router.fit(problem.train)
