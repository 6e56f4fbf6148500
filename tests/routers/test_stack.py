"""Stacked ensembles: weights found out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression, LogisticRegression

import routereval as rv
from routereval.errors import ParameterError, UnknownNameError
from routereval.policies import PolicySpec
from routereval.routers.blending import on_score_scale, rescaled, weights_of
from routereval.routers.catalogue import core
from routereval.routers.out_of_fold import folds_of, out_of_fold, out_of_fold_means
from routereval.routers.saving import load_router, save_router
from routereval.routers.stack import Stack
from routereval.sources.synthetic import Synthetic, SyntheticSpec


@dataclass
class Known:
    """Says a function of the first number of the embedding: the first model is right where it is positive."""

    columnwise: ClassVar[bool] = False
    slope: float = 1.0
    seed: int = 0

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Known:
        self.fitted_on_ = train.queries.ids
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        x = queries.require_embeddings()[:, :1].astype(np.float64)
        return rv.Prediction(self.slope * np.concatenate([x, -x], axis=1))


def signs(n: int = 200, noise: float = 0.0) -> rv.Partition:
    """Two models; the first is right where the first number is positive, the second where it is not."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    right = (x[:, 0] + noise * rng.normal(size=n) > 0).astype(float)
    ids = tuple(map(str, range(n)))
    return rv.Partition(rv.Queries(ids, x), rv.ScoreMatrix.from_dense(np.stack([right, 1 - right], axis=1), ids, "ab"))


@pytest.fixture(scope="module")
def easy() -> rv.Scenario:
    spec = SyntheticSpec(
        "easy", prompts=1500, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


# Folds


def test_folds_are_of_about_equal_size_and_keep_prompts_of_one_text_together() -> None:
    ids = tuple(map(str, range(103)))
    sizes = np.bincount(folds_of(rv.Queries(ids), 5, seed=0))
    assert sorted(sizes) == [20, 20, 21, 21, 21]
    texts = [f"prompt {i % 50}" for i in range(102)] + ["PROMPT  0"]
    fold = folds_of(rv.Queries(ids, texts=texts), 5, seed=0)
    assert np.array_equal(fold[:50], fold[50:100])
    assert fold[102] == fold[0]
    assert not np.array_equal(fold, folds_of(rv.Queries(ids, texts=texts), 5, seed=1))


def test_there_are_no_more_folds_than_prompts() -> None:
    assert sorted(folds_of(rv.Queries(("a", "b", "c")), 5, seed=0)) == [0, 1, 2]


def test_a_prompt_is_predicted_by_a_fit_that_did_not_see_it() -> None:
    train = signs(20)

    class Spy(Known):
        def predict(self, queries: rv.Queries) -> rv.Prediction:
            assert not set(queries.ids) & set(self.fitted_on_)
            assert len(set(queries.ids) | set(self.fitted_on_)) == 20
            return super().predict(queries)

    fold = folds_of(train.queries, 4, seed=0)
    said = out_of_fold(Spy(), train, fold, seed=0)
    assert np.array_equal(said, Known().fit(train).predict(train.queries).scores)
    means = out_of_fold_means(train, fold)
    dense = train.scores.dense()
    np.testing.assert_allclose(means[3], dense[fold != fold[3]].mean(axis=0), rtol=1e-6)


# Scales and weights


def test_logits_become_chances_by_the_logistic_curve_that_scikit_learn_finds() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(3, 4, size=(400, 3))
    targets = (rng.random(logits.shape) < 1 / (1 + np.exp(1 - logits / 2))).astype(np.float32)
    targets[:5] = np.nan
    scale = on_score_scale(logits, targets)
    assert scale is not None
    theirs = LogisticRegression(C=np.inf).fit(logits[5:].reshape(-1, 1), targets[5:].ravel().astype(int))
    assert scale == pytest.approx((theirs.coef_[0, 0], theirs.intercept_[0]), rel=2e-2)
    np.testing.assert_allclose(
        rescaled(logits, scale)[5:].ravel(), theirs.predict_proba(logits[5:].reshape(-1, 1))[:, 1], atol=2e-3
    )


def test_scores_stay_as_they_are_and_what_orders_models_the_wrong_way_says_nothing() -> None:
    targets = np.array([[1, 0], [0, 1]], dtype=np.float32)
    scores = np.array([[1.2, 0.1], [0.0, 0.9]])
    assert on_score_scale(scores, targets) is None
    assert rescaled(scores, None) is scores
    assert on_score_scale(-10 * scores, targets) == (0.0, 0.0)
    assert on_score_scale(np.full((2, 2), 1200.0), targets) == (0.0, 0.0)


def test_weights_are_those_a_general_optimiser_finds() -> None:
    rng = np.random.default_rng(1)
    targets = (rng.random((60, 4)) < [0.2, 0.4, 0.6, 0.8]).astype(np.float32)
    targets[rng.random(targets.shape) < 0.2] = np.nan
    noise = [rng.normal(size=targets.shape) for _ in range(3)]
    means = np.tile(np.nanmean(targets, axis=0), (60, 1)).astype(np.float64)
    members = [means, np.nan_to_num(targets) + 0.5 * noise[1], np.nan_to_num(targets) + noise[0], noise[2]]
    y = targets - np.nanmean(targets, axis=1, keepdims=True)
    hidden = [np.where(np.isnan(targets), np.nan, one) for one in members]
    x = [one - np.nanmean(one, axis=1, keepdims=True) for one in hidden]
    chance = [0, *(np.sqrt((np.nansum(one * (y - x[0]), axis=1) ** 2).sum()) for one in x[1:])]

    def loss(w: np.ndarray) -> float:
        return np.nansum((y - sum(a * b for a, b in zip(w, x, strict=True))) ** 2) / 2 + w @ chance

    expected = minimize(loss, np.full(4, 0.5), bounds=[(0, None)] * 4, options={"ftol": 1e-14}).x
    assert expected[1] > expected[2] > 0.01
    np.testing.assert_allclose(weights_of(members, targets), expected, atol=1e-4)


def test_noise_earns_no_weight() -> None:
    rng = np.random.default_rng(3)
    weights = []
    for _ in range(200):
        targets = (rng.random((100, 3)) < 0.5).astype(np.float32)
        means = np.tile([0.5, 0.51, 0.52], (100, 1))
        weights.append(weights_of([means, rng.normal(size=targets.shape)], targets)[1])
    # One in six is above its standard error, and by little.
    assert np.mean(np.array(weights) > 0) == pytest.approx(1 / 6, abs=0.07)
    assert np.mean(weights) < 0.01


def test_how_hard_prompts_are_earns_no_weight() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random((300, 1))
    targets = (rng.random((300, 2)) < hard).astype(np.float32)
    means = np.tile(targets.mean(axis=0), (300, 1)).astype(np.float64)
    assert weights_of([means, np.tile(hard, (1, 2))], targets)[1] < 1e-6
    assert weights_of([np.zeros((3, 2)), np.zeros((3, 2))], targets[:3]).tolist() == [1, 0]


# The stack


def test_a_stack_trusts_whoever_is_right_whatever_the_scale_of_its_scores() -> None:
    train = signs()
    for slope in (0.2, 30.0):
        stack = Stack((Known(slope), Known(-slope)), folds=3).fit(train)
        assert stack.weights_[1] > 0.5
        assert (stack.predict(train.queries).scores.argmax(axis=1) == train.scores.dense().argmax(axis=1)).all()
    wrong = Stack((Known(-30.0),)).fit(train)
    assert wrong.describe() == "1.00 train means"


def test_a_stack_of_one_regression_shrinks_it_towards_the_train_means() -> None:
    train = signs(noise=3.0)
    router = rv.SklearnRouter(LinearRegression())
    stack = Stack((router,), folds=5).fit(train)
    fold = folds_of(train.queries, 5, seed=0)
    expected = weights_of([out_of_fold_means(train, fold), out_of_fold(router, train, fold, 0)], train.targets)
    np.testing.assert_allclose(stack.weights_, expected)
    alone = router.fit(train).predict(train.queries).scores
    said = expected[0] * train.target_means + expected[1] * alone
    np.testing.assert_allclose(stack.predict(train.queries).scores, said, rtol=1e-6)


def test_a_stack_is_about_as_good_as_its_best_member(easy: rv.Scenario) -> None:
    best = rv.evaluate(rv.BestSingle(), easy).mu
    good = rv.evaluate(rv.KNN(k=20), easy).mu
    assert rv.evaluate(PolicySpec.parse("stack:routers=knn:k=20+kmeans").build(), easy).mu > best + 0.6 * (good - best)
    noise = PolicySpec.parse("stack:routers=shuffled_labels:router=knn").build()
    assert rv.evaluate(noise, easy).mu > best - 0.02


def test_a_model_hardly_observed_stands_behind_the_others() -> None:
    ids = tuple(map(str, range(20)))
    dense = np.stack([np.arange(20) % 5 > 0, np.arange(20) % 2, np.full(20, np.nan), np.full(20, np.nan)], axis=1)
    dense = dense.astype(float)
    dense[1:4, 2] = 1
    scores = rv.ScoreMatrix.from_dense(dense, ids, ("a", "b", "lucky", "never"), missing=True)
    train = rv.Partition(rv.Queries(ids, np.zeros((20, 2), dtype=np.float32)), scores)
    said = Stack((rv.KNN(k=3),)).fit(train).predict(train.queries).scores
    assert (said.argmax(axis=1) == 0).all()


CHEAP = {
    "mlp": "mlp:epochs=2",
    "rorf": "rorf:trees=3",
    "satzilla": "satzilla:trees=3",
    "forest": "forest:trees=5",
    "stack": "stack:routers=(knn+ridge),folds=2",
    "auto": "auto:candidates=ridge,folds=2,seconds=3600",
}
"""Of the core, those that would take long as they are."""


@pytest.mark.parametrize("name", core())
def test_every_router_of_the_core_can_be_stacked(name: str) -> None:
    train, spec = signs(40), CHEAP.get(name, name)
    router = PolicySpec.parse(spec).build()
    stack = Stack((router,), folds=2).fit(train)
    (member,), (scale,) = stack.fitted_, stack.scales_
    assert type(member) is type(router)
    # Told to trust it whatever it said out of fold, the stack says what the router says, on the scale of scores.
    stack.weights_ = np.array([0.0, 1.0])
    queries = train.queries.take(np.arange(7))
    said = stack.predict(queries).check(7, 2).scores
    alone = PolicySpec.parse(spec).build().fit(train).predict(queries).scores.astype(np.float32)
    np.testing.assert_allclose(said, rescaled(alone, scale), atol=1e-5)


@pytest.mark.parametrize("n", [1, 3])
def test_hardly_any_prompts_are_enough(n: int) -> None:
    train = signs(10).rows(np.arange(n))
    said = Stack((rv.KNN(k=1),)).fit(train).predict(train.queries)
    assert np.isfinite(said.scores).all()


def test_routers_are_named_with_their_parameters() -> None:
    stack = PolicySpec.parse("stack:routers=(knn:k=40,ties=first+kmeans:clusters=5),folds=4").build()
    assert stack.members() == ["knn:k=40,ties=first", "kmeans:clusters=5"]
    assert stack.folds == 4
    assert Stack("sklearn.linear_model:Ridge:alpha=1e+3+knn").members() == [
        "sklearn.linear_model:Ridge:alpha=1e+3",
        "knn",
    ]


@pytest.mark.parametrize(
    ("stack", "error", "message"),
    [
        (Stack(""), ParameterError, "no routers"),
        (Stack("knn", folds=1), ParameterError, "folds = 1; it must be at least 2"),
        (Stack("knn+kmaens"), UnknownNameError, "did you mean 'kmeans'"),
    ],
)
def test_a_stack_that_cannot_be_is_refused(stack: Stack, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        stack.fit(signs(30))


def test_a_saved_stack_says_the_same(easy: rv.Scenario, tmp_path) -> None:
    fitted = Stack("knn:k=20+kmeans").fit(easy.train, easy.val)
    save_router(fitted, tmp_path / "saved", model_ids=easy.train.model_ids)
    queries = easy.test.queries
    loaded = load_router(tmp_path / "saved").router
    assert loaded.predict(queries).scores.tobytes() == fitted.predict(queries).scores.tobytes()
