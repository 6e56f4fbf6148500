"""Matrix factorisation and item response: against derivatives taken numerically, least squares, and a planted world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import Ridge

import routereval as rv
from routereval.errors import ParameterError
from routereval.routers.item_response import ItemResponse, logistic
from routereval.routers.left_out import LeftOutRidge
from routereval.routers.training import standard, standardised
from routereval.sources.synthetic import Synthetic, SyntheticSpec

ROUTERS = [rv.MatrixFactorisation, rv.MIRT]


@pytest.fixture(scope="module")
def world() -> Synthetic:
    spec = SyntheticSpec("latent", prompts=500, models=150, skills=3, dimensions=12, sizes=(5, 30), noise=0.1, seed=7)
    return Synthetic(spec)


@pytest.fixture(scope="module")
def problem(world: Synthetic) -> rv.Scenario:
    return world.data.scenario("strong_to_weak", 30)


def partition(dense: Any, embeddings: Any) -> rv.Partition:
    dense = np.asarray(dense, dtype=np.float32)
    ids = tuple(map(str, range(len(dense))))
    models = tuple(f"m{j}" for j in range(dense.shape[1]))
    scores = rv.ScoreMatrix.from_dense(dense, ids, models, missing=bool(np.isnan(dense).any()))
    return rv.Partition(rv.Queries(ids, np.asarray(embeddings, dtype=np.float32)), scores)


def random_partition(n: int = 60, m: int = 4, d: int = 5, seed: int = 0) -> rv.Partition:
    rng = np.random.default_rng(seed)
    return partition(rng.random((n, m)) < np.linspace(0.3, 0.7, m), rng.normal(size=(n, d)))


def test_ridge_says_what_it_would_have_said_without_the_sample() -> None:
    rng = np.random.default_rng(0)
    for n, d in ((12, 4), (6, 9)):
        x = rng.normal(size=(n, d))
        x -= x.mean(axis=0)
        y = x[:, :1] + rng.normal(size=(n, 2))
        fit = LeftOutRidge.fit(x, y)
        centred = y - y.mean(axis=0)
        for target, alpha in enumerate(fit.alphas):
            ridge = Ridge(alpha, fit_intercept=False)
            np.testing.assert_allclose(ridge.fit(x, centred[:, target]).coef_, fit.coefficients[:, target], atol=1e-8)
            for i in range(n):
                rest = np.delete(np.arange(n), i)
                said = ridge.fit(x[rest], centred[rest, target]).predict(x[[i]])[0] + y[:, target].mean()
                assert fit.left_out[i, target] == pytest.approx(said, abs=1e-8)


def test_standard_embeddings_have_mean_zero_and_mean_square_length_one() -> None:
    x = np.random.default_rng(0).normal(2, 3, size=(50, 4)).astype(np.float32)
    for scale in (1, 1e18, 1e-18):
        z = standardised((x * scale).astype(np.float32), *standard((x * scale).astype(np.float32)))
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
        assert np.square(z).sum(axis=1).mean() == pytest.approx(1)
    same = np.tile(x[:1], (9, 1))
    assert not standardised(same, *standard(same)).any()


def test_item_response_finds_the_penalised_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routereval.routers.item_response.ROUNDS", 3000)
    rng = np.random.default_rng(3)
    items = np.concatenate([rng.normal(size=(40, 1)), rng.normal(size=(40, 1))], axis=1).astype(np.float32)
    items[:, 0] -= items[:, 0].mean()
    y = (rng.random((40, 2)) < 0.5).astype(np.float32)
    y[3, 1] = np.nan
    start = ItemResponse(items, np.zeros((2, 1), np.float32), np.zeros(2, np.float32))
    found = start.with_items(y, items, 1.0)
    for model in range(2):
        seen = ~np.isnan(y[:, model])

        def loss(w: np.ndarray, model: int = model, seen: np.ndarray = seen) -> float:
            z = items[seen, 0] * w[0] + w[1] - items[seen, 1]
            fit = np.logaddexp(0, z) - y[seen, model] * z
            return float(fit.sum() + 0.5 * w[0] ** 2 + 0.005 * w[1] ** 2)

        theirs = minimize(loss, np.zeros(2), method="BFGS").x
        ours = [found.abilities[model, 0], found.levels[model]]
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_mirt_recovers_planted_abilities(world: Synthetic) -> None:
    data = world.data
    targets = data.scores.dense()
    fit = ItemResponse.fit(targets, 3, 1.0, seed=0)
    found = np.concatenate([fit.abilities, fit.levels[:, None], np.ones((150, 1), np.float32)], axis=1)
    # Up to a linear map, which a factor model leaves open.
    explained = found @ np.linalg.lstsq(found, world.abilities, rcond=None)[0]
    for skill in range(3):
        assert np.corrcoef(explained[:, skill], world.abilities[:, skill])[0, 1] > 0.9
    assert np.corrcoef(fit.items[:, -1], world.difficulties)[0, 1] > 0.9


def test_mirt_predicts_the_planted_chances(world: Synthetic, problem: rv.Scenario) -> None:
    said = rv.MIRT().fit(problem.train).predict(problem.test.queries).scores
    truth = world.test_success(problem)
    # The difficulty has no say in the embedding, so what can be known is how the models compare on a prompt.
    relative = [table - table.mean(axis=1, keepdims=True) for table in (said, truth)]
    assert np.corrcoef(relative[0].ravel(), relative[1].ravel())[0, 1] > 0.8


@pytest.mark.parametrize("neighbours", [0, 20, 10_000])
def test_mirt_with_and_without_neighbours_beats_the_best_single_model(neighbours: int, problem: rv.Scenario) -> None:
    mu = rv.evaluate(rv.MIRT(neighbours=neighbours), problem).mu
    assert mu > rv.evaluate(rv.BestSingle(), problem).mu


def test_neighbours_are_averaged_with_the_regression() -> None:
    train = random_partition(n=9)
    router = rv.MIRT(neighbours=1).fit(train)
    assert router.items_ is not None
    x = standardised(train.queries.require_embeddings(), router.centre_, router.factor_)
    items = (x @ router.coefficients_ + router.intercept_ + router.items_) / 2  # nearest to each is itself
    expected = logistic(items[:, :-1] @ router.abilities_.T + router.levels_ - items[:, -1:])
    np.testing.assert_allclose(router.predict(train.queries).scores, expected, rtol=1e-6)


def test_published_steps_follow_the_gradient_of_the_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    # One step of Adam moves every weight by the learning rate against the sign of its derivative.
    monkeypatch.setattr("routereval.routers.mf._NOISE", 0.0)
    monkeypatch.setattr("routereval.routers.mf._DECAY", 0.0)
    train = random_partition(n=7, m=3, d=2)
    x, y = train.queries.require_embeddings(), train.targets
    still = rv.MatrixFactorisation("published", factors=3, epochs=1, learning_rate=1e-12).fit(train)
    moved = rv.MatrixFactorisation("published", factors=3, epochs=1, learning_rate=1e-3).fit(train)

    def loss(models: np.ndarray, mapping: np.ndarray) -> float:
        z = (x @ mapping[:, :-1].T + mapping[:, -1]) @ models[:, :-1].T + models[:, -1]
        return float((np.logaddexp(0, z) - y * z).mean())

    models, mapping = still.models_.astype(float), still.map_.astype(float)
    for place in np.ndindex(mapping.shape):
        up, down = mapping.copy(), mapping.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        slope = loss(models, up) - loss(models, down)
        assert moved.map_[place] - mapping[place] == pytest.approx(-1e-3 * np.sign(slope), rel=0.02)
    assert loss(moved.models_, moved.map_) < loss(models, mapping)


def test_the_fast_recipe_starts_from_the_train_means() -> None:
    train = partition(random_partition().targets, np.ones((60, 2)))
    router = rv.MatrixFactorisation(epochs=1, learning_rate=1e-9).fit(train)
    said = 1 / (1 + np.exp(-router.predict(train.queries).scores))
    np.testing.assert_allclose(said, np.tile((train.target_means * 60 + 1) / 62, (60, 1)), atol=1e-5)


@pytest.mark.parametrize("recipe", ["minibatch", "published"])
def test_a_cell_that_was_not_observed_gives_no_gradient(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routereval.routers.mf._DECAY", 0.0)
    train = random_partition(n=20, m=3)
    x, names = train.queries.require_embeddings(), train.model_ids
    dense = train.targets.copy()
    dense[:, 2] = np.nan
    router = rv.MatrixFactorisation(recipe, factors=4, epochs=5, learning_rate=0.01)
    vectors = router._initial(5, names)[0]
    trained = router._trained(x, dense, np.zeros(3, np.float32), names)[0]
    # The head multiplies all vectors alike: what is left of model 2's is the head alone, of the others' it is not.
    head = trained[2, :-1] / vectors[2]
    assert np.abs(trained[:2, :-1] / head - vectors[:2]).min(axis=1).max() > 1e-4
    full = router._trained(x, train.targets, np.zeros(3, np.float32), names)[0]
    assert not np.allclose(full[2, :-1] / vectors[2], head, atol=1e-3)
    if recipe == "minibatch":
        assert trained[2, -1] == 0
        assert (trained[:2, -1] != 0).all()


def test_both_recipes_learn_what_is_planted(problem: rv.Scenario) -> None:
    best = rv.evaluate(rv.BestSingle(), problem).mu
    assert rv.evaluate(rv.MatrixFactorisation(), problem).mu > best
    published = rv.MatrixFactorisation("published", learning_rate=0.003, epochs=20)
    assert rv.evaluate(published, problem).mu > rv.evaluate(rv.Random(), problem).mu + 0.05


@pytest.mark.parametrize("cls", ROUTERS)
def test_without_any_signal_the_models_are_ranked_by_their_means(cls: type) -> None:
    rng = np.random.default_rng(0)
    dense = rng.random((80, 6)) < np.linspace(0.2, 0.8, 6)
    train = partition(dense, np.ones((80, 3)))
    said = cls().fit(train).predict(train.queries).scores
    assert np.array_equal(np.argsort(said[0], kind="stable"), np.argsort(train.target_means, kind="stable"))


@pytest.mark.parametrize("cls", ROUTERS)
def test_extreme_tables_are_no_trouble(cls: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    holes = np.where(rng.random((30, 3)) < 0.4, np.nan, rng.random((30, 3)))
    holes[:, 1] = np.nan
    tables = [np.zeros((30, 3)), np.ones((30, 3)), rng.random((30, 1)), holes, np.full((30, 2), np.nan)]
    cases = [(table, x) for table in tables]
    cases += [(tables[1], np.zeros((30, 4))), (rng.random((3, 2)), x[:3]), (tables[2], np.tile(x[:1], (30, 1)))]
    cases += [(rng.random((1, 2)), x[:1]), (rng.random((30, 3)), x * 1e18)]
    settings: list[Any] = [cls()]
    settings.append(rv.MIRT(neighbours=5) if cls is rv.MIRT else rv.MatrixFactorisation("published", epochs=2))
    for router in settings:
        for dense, embeddings in cases:
            train = partition(dense, embeddings)
            said = router.fit(train).predict(train.queries)
            said.check(*np.shape(dense))
            unseen = np.isnan(train.target_means)
            if unseen.any() and not unseen.all():
                assert (said.scores[:, unseen].max(axis=1) < said.scores[:, ~unseen].min(axis=1)).all()


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (rv.MIRT(dimensions=0), "mirt has dimensions = 0; it must be at least 1"),
        (rv.MIRT(penalty=0), "mirt has penalty = 0; it must be positive"),
        (rv.MIRT(neighbours=-1), "neighbours = -1"),
        (rv.MatrixFactorisation(factors=0), "mf has factors = 0; it must be at least 1"),
        (rv.MatrixFactorisation(learning_rate=-1), "mf has learning_rate = -1"),
        (rv.MatrixFactorisation(recipe="fast"), "recipe = 'fast'"),  # type: ignore[arg-type]
        (rv.MatrixFactorisation(epochs=0), "epochs = 0"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(router: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        router.fit(random_partition())
