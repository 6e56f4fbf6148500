"""Random forests, one for all models and one for each pair, against scikit-learn and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

import routereval as rv
from routereval.errors import ParameterError
from routereval.policies import describe
from routereval.routers.components import projected
from routereval.routers.forests import as_arrays, ends, means_of
from routereval.routers.pairs import balance, pairs_of, placed, strongest
from routereval.routers.saving import load_router, save_router
from routereval.sources.synthetic import Synthetic, SyntheticSpec


def forest_per_model(**parameters: Any) -> rv.Forest:
    return rv.Forest(per_model=True, **parameters)


ROUTERS = [rv.Forest, forest_per_model, rv.RoRF, rv.SATzilla]
SMALL = {"trees": 5}


def part(dense: Any, x: Any) -> rv.Partition:
    dense = np.asarray(dense, dtype=float)
    ids = tuple(f"p{i}" for i in range(len(dense)))
    scores = rv.ScoreMatrix.from_dense(dense, ids, tuple(f"m{j}" for j in range(dense.shape[1])), missing=True)
    return rv.Partition(rv.Queries(ids, np.asarray(x, dtype=np.float32)), scores)


def world(n: int = 80, m: int = 3, *, graded: bool = False) -> rv.Partition:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 4))
    p = 1 / (1 + np.exp(-3 * x @ rng.normal(size=(4, m))))
    return part(p if graded else rng.random((n, m)) < p, x)


def test_a_forest_as_arrays_says_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    forests = [RandomForestClassifier(7, random_state=s).fit(x, x[:, s] > rng.normal(size=90)) for s in (0, 1)]
    arrays = as_arrays(forests, lambda values, _: values[:, 1])
    asked = rng.normal(size=(300, 3)).astype(np.float32)
    expected = np.stack([one.predict_proba(asked)[:, 1] for one in forests], axis=1)
    np.testing.assert_allclose(means_of(arrays, asked), expected, atol=1e-6)
    starts = np.repeat(arrays["roots"].ravel(), 1)
    theirs = np.concatenate([one.apply(asked) for one in forests], axis=1)
    assert np.array_equal(ends(arrays, asked) - starts, theirs)


def test_without_shrinkage_the_forest_is_the_mean_of_its_leaf_means() -> None:
    given = world()
    router = rv.Forest(trees=9, shrinkage=0).fit(given)
    features = projected(given.queries.require_embeddings(), router.components_)
    theirs = RandomForestRegressor(9, min_samples_leaf=5, max_features=0.3, random_state=0)
    dense = given.scores.dense()
    theirs.fit(features, dense - dense.mean(axis=0))
    leaves = theirs.apply(features)
    # scikit-learn's own values are of bootstrap samples; ours of every training prompt.
    expected = np.mean(
        [[dense[leaves[:, t] == leaves[i, t]].mean(axis=0) for i in range(len(dense))] for t in range(9)], axis=0
    )
    np.testing.assert_allclose(router.predict(given.queries).scores, expected, atol=1e-5)


def test_leaf_means_are_drawn_towards_the_train_mean_and_missing_cells_count_as_it() -> None:
    # One leaf for all four prompts: m0 was right on 3 of 4, m1 on 1 of the 2 it was observed on.
    given = part([[1, 1], [1, 0], [1, np.nan], [0, np.nan]], [[0.0], [1], [2], [3]])
    said = rv.Forest(trees=2, min_leaf=4).fit(given).predict(given.queries).scores
    np.testing.assert_allclose(said, np.tile([0.75, 0.5], (4, 1)), atol=1e-6)
    # Two leaves of two, s = 2: m0's deviations from 1/2 are (1/2 + 1/2) / (2 + 2) on the left.
    sides = part([[1], [1], [0], [0]], [[0.0], [0], [9], [9]])
    router = rv.Forest(trees=200, min_leaf=1, max_features=1, shrinkage=2, seed=3).fit(sides)
    left = router.predict(sides.queries).scores[0, 0]
    # Trees whose bootstrap sample had one side only have one leaf and say 1/2: 1 - 2 / 2^4 of them do not.
    assert left == pytest.approx(0.5 + 0.25 * (1 - 2 / 16), abs=0.02)


def test_more_than_sixteen_models_share_the_splits_of_their_components() -> None:
    given = world(m=40)
    said = rv.Forest(trees=20).fit(given).predict(given.queries).scores
    dense = given.scores.dense()
    assert (
        np.corrcoef(said.ravel() - np.tile(dense.mean(axis=0), len(dense)), (dense - dense.mean(axis=0)).ravel())[0, 1]
        > 0.4
    )


def test_relative_splits_do_not_see_how_hard_a_prompt_is() -> None:
    x = np.arange(40.0)[:, None]
    hard = np.tile((x > 20).astype(float), (1, 3))
    given = part(hard, x)
    flat = rv.Forest(trees=3, relative=True, min_leaf=2).fit(given).predict(given.queries).scores
    np.testing.assert_allclose(flat, np.tile(hard.mean(axis=0), (40, 1)), atol=1e-6)
    assert np.ptp(rv.Forest(trees=3, min_leaf=2).fit(given).predict(given.queries).scores[:, 0]) > 0.3


@pytest.mark.parametrize("shrinkage", [0, 5])
def test_per_model_each_column_is_a_forest_of_scikit_learn_on_the_prompts_it_was_observed_on(shrinkage: float) -> None:
    dense = world().scores.dense().copy()
    x = world().queries.require_embeddings()
    dense[np.random.default_rng(2).random(dense.shape) < 0.3] = np.nan
    given = part(dense, x)
    router = rv.Forest(trees=9, shrinkage=shrinkage, per_model=True).fit(given)
    features = projected(x, router.components_)
    said = router.predict(given.queries).scores
    for column, scores in zip(said.T, dense.T, strict=True):
        seen = ~np.isnan(scores)
        own, mean = scores[seen], scores[seen].mean()
        theirs = RandomForestRegressor(9, min_samples_leaf=5, max_features=0.3, random_state=0)
        theirs.fit(features[seen], own - mean)
        asked, learned = theirs.apply(features), theirs.apply(features[seen])
        together = asked[:, None, :] == learned[None, :, :]
        # scikit-learn's own values are of bootstrap samples; ours of every prompt the model was observed on.
        sums = (together * (own - mean)[None, :, None]).sum(axis=1)
        np.testing.assert_allclose(column, mean + (sums / (together.sum(axis=1) + shrinkage)).mean(axis=1), atol=1e-5)


def test_per_model_a_model_is_as_in_a_pool_of_its_own_and_one_that_was_never_observed_is_never_right() -> None:
    given = world()
    whole = rv.Forest(trees=7, per_model=True).fit(given).predict(given.queries).scores
    for j in range(whole.shape[1]):
        alone = rv.Partition(given.queries, given.scores.columns(np.array([j])))
        for per_model in (True, False):
            said = rv.Forest(trees=7, per_model=per_model).fit(alone).predict(given.queries).scores
            np.testing.assert_allclose(whole[:, [j]], said, atol=1e-6)
    unseen = part([[1, np.nan], [0, np.nan], [1, np.nan]], np.eye(3))
    assert (rv.Forest(trees=2, per_model=True).fit(unseen).predict(unseen.queries).scores[:, 1] == 0).all()


def test_per_model_relative_splits_look_at_how_a_model_compares() -> None:
    x = np.arange(40.0)[:, None]
    given = part(np.tile((x > 20).astype(float), (1, 3)), x)
    flat = rv.Forest(trees=3, relative=True, min_leaf=2, per_model=True).fit(given).predict(given.queries).scores
    np.testing.assert_allclose(flat, np.full((40, 3), 19 / 40), atol=1e-6)


def test_a_forest_per_model_is_saved_and_another_run_while_that_for_all_is_the_run_it_was(tmp_path: Path) -> None:
    given = world()
    router = rv.Forest(trees=3, per_model=True).fit(given)
    save_router(router, tmp_path / "saved", model_ids=given.model_ids)
    loaded = load_router(tmp_path / "saved").router
    assert loaded == router
    assert loaded.predict(given.queries).scores.tobytes() == router.predict(given.queries).scores.tobytes()
    assert describe(router)[1]["per_model"] is True
    assert "per_model" not in describe(rv.Forest())[1]


def test_rorf_says_the_difference_of_two_classes_of_scikit_learn() -> None:
    given = world(m=2)
    router = rv.RoRF(trees=11, shrinkage=0, min_leaf=1).fit(given)
    features = projected(given.queries.require_embeddings(), router.components_)
    right = given.scores.dense()
    labels = [f"{int(a)}{int(b)}" for a, b in right]
    theirs = RandomForestClassifier(11, max_depth=20, max_features=1.0, random_state=0).fit(features, labels)
    probabilities = dict(zip(theirs.classes_, theirs.predict_proba(features).T, strict=True))
    advantage = probabilities["10"] - probabilities["01"]
    np.testing.assert_allclose(
        router.predict(given.queries).scores, np.stack([advantage, -advantage], axis=1), atol=1e-6
    )


def test_satzilla_weighs_prompts_by_how_much_two_models_differ() -> None:
    given = world(m=2, graded=True)
    router = rv.SATzilla(trees=11, shrinkage=0).fit(given)
    features = projected(given.queries.require_embeddings(), router.components_)
    gains = given.scores.dense().astype(np.float64) @ [1, -1]
    theirs = RandomForestClassifier(11, min_samples_leaf=5, random_state=0)
    theirs.fit(features, gains > 0, sample_weight=np.abs(gains))
    wins = theirs.predict_proba(features)[:, 1]
    said = router.predict(given.queries).scores
    np.testing.assert_allclose(said[:, 0], (wins > 0.5) + 0.5 * (wins == 0.5) + 0.2 * (2 * wins - 1), atol=1e-6)
    # With one vote against one the scores add up to one vote.
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-9)


def test_fully_shrunk_pairs_choose_the_best_single_model() -> None:
    given = world(m=4)
    best = given.scores.model_means.argmax()
    for router in (rv.RoRF(trees=3, shrinkage=1), rv.SATzilla(trees=3, shrinkage=1)):
        assert (router.fit(given).predict(given.queries).scores.argmax(axis=1) == best).all()


@pytest.mark.parametrize("cls", [rv.RoRF, rv.SATzilla])
def test_models_that_do_not_meet_stand_below_by_their_means(cls: Any) -> None:
    given = world(m=6)
    means = given.scores.model_means
    order = np.argsort(-means)
    said = cls(top=2, trees=5).fit(given).predict(given.queries).scores
    assert (said[:, order[:2]].min(axis=1) > said[:, order[2:]].max(axis=1)).all()
    assert (np.diff(said[:, order[2:]], axis=1) < 0).all()


@pytest.mark.parametrize("cls", [rv.RoRF, rv.SATzilla])
@pytest.mark.parametrize("parameters", [{"shrinkage": 0.6}, {"top": 3, "shrinkage": 0.0}, {"top": 1}, {"top": 5}])
def test_a_refitted_router_is_a_newly_fitted_one_to_the_last_bit(
    cls: Any, parameters: dict[str, Any], tmp_path: Path
) -> None:
    given = world(m=6)
    fitted = cls(top=5, trees=4).fit(given)
    before = fitted.predict(given.queries).scores.copy()
    again = fitted.refitted(parameters)
    fresh = cls(**{"top": 5, "trees": 4} | parameters).fit(given)
    assert again == fresh
    assert again.predict(given.queries).scores.tobytes() == fresh.predict(given.queries).scores.tobytes()
    assert fitted.predict(given.queries).scores.tobytes() == before.tobytes()
    for name, router in (("again", again), ("fresh", fresh)):
        save_router(router, tmp_path / name, model_ids=given.model_ids)
    sizes = [sum(p.stat().st_size for p in (tmp_path / name).iterdir()) for name in ("again", "fresh")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)  # no forest of a pair that no longer meets


@pytest.mark.parametrize("cls", [rv.RoRF, rv.SATzilla])
def test_other_forests_have_to_be_grown_anew(cls: Any) -> None:
    fitted = cls(top=3, trees=3).fit(world(m=5))
    assert fitted.refitted({"min_leaf": 9}) is None
    assert fitted.refitted({"top": 4}) is None
    assert cls(top=3, trees=3).fit(world(m=2)).refitted({"top": 9}) is not None
    with pytest.raises(ParameterError, match="shrinkage = 2"):
        fitted.refitted({"shrinkage": 2})


def test_every_pair_meets_once_and_a_model_is_worth_its_mean_advantage() -> None:
    assert pairs_of(3).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert pairs_of(1).shape == (0, 2)
    # Model 0 is 0.4 ahead of 1 and 0.2 behind 2, which is 0.6 ahead of 1.
    worth = balance(np.array([[0.4, -0.2, -0.6]]), pairs_of(3), 3)
    np.testing.assert_allclose(worth, [[0.1, -0.5, 0.4]])


def test_the_strongest_are_those_best_single_ranks_first() -> None:
    # m2 was right on the one prompt it was observed on: it stands behind.
    given = part([[1, 0, 1, 0], [1, 1, np.nan, 0], [0, 0, np.nan, 0], [1, 0, np.nan, 0]], np.eye(4))
    assert strongest(given, 2).tolist() == [0, 1]
    assert strongest(given, 9).tolist() == [0, 1, 2, 3]
    row = placed(np.array([[0.1, 0.7]]), np.array([1, 2]), np.array([0.2, 0.9, 0.9, 1.0]))
    np.testing.assert_allclose(row, [[0.1 - 1.8, 0.1, 0.7, 0.1 - 1.0]])


@pytest.mark.parametrize("cls", ROUTERS)
@pytest.mark.parametrize(
    ("dense", "x"),
    [
        (np.ones((8, 3)), np.eye(8)),
        (np.zeros((8, 3)), np.eye(8)),
        (np.tile([[1.0], [0.0]], (4, 1)), np.eye(8)),
        (np.tile([1.0, 0.0, np.nan], (8, 1)), np.zeros((8, 2))),
        ([[1, np.nan], [1, np.nan], [np.nan, 1], [np.nan, 0]], np.eye(4)),
        (np.eye(3), np.eye(3) * 1e15),
        (np.tile([0.2, 0.7], (12, 1)), np.ones((12, 5))),
    ],
    ids=[
        "all right",
        "none right",
        "one model",
        "never observed",
        "never together",
        "three prompts",
        "graded constants",
    ],
)
def test_hard_cases_have_finite_scores_and_the_better_model_wins_where_there_is_one(
    cls: Any, dense: Any, x: Any
) -> None:
    given = part(dense, x)
    said = cls(**SMALL).fit(given).predict(given.queries).check(len(given), given.scores.shape[1]).scores
    means = np.nan_to_num(given.scores.model_means)
    if len(np.unique(means)) == len(means) and len(given) > 3:
        assert (said.argmax(axis=1) == means.argmax()).all()


@pytest.mark.parametrize("cls", ROUTERS)
def test_it_learns_where_there_is_something_to_learn_and_the_seed_decides_the_trees(cls: Any) -> None:
    spec = SyntheticSpec(
        "woods", prompts=500, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    planted = Synthetic(spec)
    scenario = planted.data.scenario("strong_to_weak", 5)
    single = rv.evaluate(rv.BestSingle(), scenario).mu
    mu = rv.evaluate(cls(trees=30), scenario).mu
    assert mu > single + 0.3 * (planted.optimal_score(scenario) - single)
    scores = [
        cls(trees=30, seed=seed).fit(scenario.train).predict(scenario.test.queries).scores.tobytes()
        for seed in (0, 0, 1)
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (rv.Forest(trees=0), "forest has trees = 0; it must be at least 1"),
        (rv.Forest(max_features=0), "max_features = 0"),
        (rv.Forest(shrinkage=-1), "shrinkage = -1"),
        (rv.RoRF(top=0), "rorf has top = 0; it must be at least 1"),
        (rv.RoRF(max_features=2), "max_features = 2"),
        (rv.RoRF(shrinkage=2), "shrinkage = 2; it must be 0 to 1"),
        (rv.SATzilla(trees=0), "satzilla has trees = 0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(router: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        router.fit(world())
