"""Bradley-Terry strengths and Elo ratings, global and local, by hand, by scikit-learn and by plain loops."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import routereval as rv
from routereval.errors import ParameterError
from routereval.kernels.ratings import battles, local_ratings
from routereval.routers.elo import elo_ratings, meetings
from routereval.routers.strengths import POINTS, strengths, wins_by_prompt
from routereval.seeding import generator
from routereval.sources.synthetic import Synthetic, SyntheticSpec

Floats = NDArray[np.float64]
ROUTERS = [rv.BradleyTerry, rv.SimilarityBT, rv.Elo, rv.Eagle]


def part(dense: Any, x: Any = None) -> rv.Partition:
    dense = np.asarray(dense, dtype=float)
    ids = tuple(f"p{i}" for i in range(len(dense)))
    scores = rv.ScoreMatrix.from_dense(dense, ids, tuple(f"m{j}" for j in range(dense.shape[1])), missing=True)
    return rv.Partition(rv.Queries(ids, None if x is None else np.asarray(x, dtype=np.float32)), scores)


def world(n: int = 60, m: int = 4, *, holes: bool = False, graded: bool = False) -> rv.Partition:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 3))
    p = 1 / (1 + np.exp(-2 * x @ rng.normal(size=(3, m)) - rng.normal(size=m)))
    dense = p if graded else (rng.random((n, m)) < p).astype(float)
    if holes:
        dense[rng.random((n, m)) < 0.4] = np.nan
    return part(dense, x)


def logistic_strengths(dense: Floats, weights: Floats, prior: float) -> Floats:
    """The same likelihood by scikit-learn: two rows per battle, one for each side's share of it."""
    n, m = dense.shape
    rows, wins, shares = [], [], []
    for j in range(n):
        for a, b in combinations(range(m), 2):
            if np.isnan(dense[j, [a, b]]).any():
                continue
            share = 0.5 + 0.5 * np.sign(dense[j, a] - dense[j, b])
            for won, weight in ((1, share), (0, 1 - share)):
                rows.append(np.eye(m)[a] - np.eye(m)[b])
                wins.append(won)
                shares.append(weight * weights[j])
    for a in range(m):
        for won in (1, 0):
            rows.append(np.eye(m)[a])
            wins.append(won)
            shares.append(prior * (m - 1) / 2)
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=5000)
    return np.asarray(model.fit(rows, wins, sample_weight=shares).coef_[0])


@pytest.mark.parametrize("kind", [{}, {"holes": True}, {"graded": True}])
def test_strengths_are_those_of_logistic_regression_on_all_battles(kind: dict[str, bool]) -> None:
    train = world(25, **kind)
    said = rv.BradleyTerry().fit(train).predict(train.queries).scores[0]
    expected = logistic_strengths(train.scores.dense().astype(float), np.ones(25), 1.0)
    np.testing.assert_allclose((said - 1000) / POINTS, expected, atol=1e-4)


@pytest.mark.parametrize("holes", [False, True])
def test_strengths_of_a_query_are_those_of_logistic_regression_on_weighted_battles(holes: bool) -> None:
    train = world(25, holes=holes)
    query = rv.Queries(("q",), np.array([[1.0, -0.5, 0.2]], dtype=np.float32))
    said = rv.SimilarityBT(sharpness=3).fit(train).predict(query).scores[0]
    x = train.queries.require_embeddings().astype(float)
    similarity = x @ [1.0, -0.5, 0.2] / np.linalg.norm(x, axis=1) / np.linalg.norm([1.0, -0.5, 0.2])
    weights = 10 * 10 ** (3 * similarity / similarity.max())
    weights *= weights.sum() / (weights**2).sum()
    expected = logistic_strengths(train.scores.dense().astype(float), weights, 1.0)
    np.testing.assert_allclose((said - 1000) / POINTS, expected, atol=1e-3)


def test_two_models_stand_as_far_apart_as_their_battles_say() -> None:
    # Nine wins, one loss, and the prior: each draws one battle with a model of strength 0.
    train = part([[1, 0]] * 9 + [[0, 1]])
    said = rv.BradleyTerry(prior=1e-9).fit(train).predict(train.queries).scores[0]
    assert said[0] - said[1] == pytest.approx(400 * np.log10(9), rel=1e-6)
    drawn_in = rv.BradleyTerry(prior=10).fit(train).predict(train.queries).scores[0]
    assert 0 < drawn_in[0] - drawn_in[1] < 0.7 * (said[0] - said[1])


def test_on_complete_binary_scores_the_order_is_that_of_the_means() -> None:
    train = world(m=20)
    said = rv.BradleyTerry().fit(train).predict(train.queries).scores[0]
    means = train.scores.model_means
    for a, b in combinations(range(20), 2):
        assert np.sign(np.round(said[a] - said[b], 6)) == np.sign(np.round(means[a] - means[b], 9))


def test_with_missing_cells_it_allows_for_whom_a_model_met() -> None:
    # m2 was observed on hard prompts only; there it beats m0, which has the higher mean.
    dense = [[1, 0, np.nan]] * 10 + [[1, 1, np.nan]] * 10 + [[0, 0, 1]] * 6 + [[0, 0, 0]] * 6
    train = part(dense)
    assert train.scores.model_means.argmax() == 0
    assert rv.BradleyTerry().fit(train).predict(train.queries).scores[0].argmax() == 2


def test_a_win_is_a_rank_and_a_draw_half_of_one() -> None:
    targets = np.array([[1, 0, 0.5, 0.5], [1, np.nan, 0, np.nan], [np.nan] * 4], dtype=np.float32)
    assert wins_by_prompt(targets).tolist() == [[3, 0, 1.5, 1.5], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_problems_solved_together_are_solved_as_alone() -> None:
    rng = np.random.default_rng(0)
    met = rng.uniform(0, 5, size=(6, 3, 3))
    met += met.transpose(0, 2, 1)
    share = rng.uniform(size=(6, 3, 3))
    won = met * np.where(np.triu(np.ones((3, 3)), 1) > 0, share, 1 - share.transpose(0, 2, 1))
    wins = (won * (1 - np.eye(3))).sum(axis=2)
    together = strengths(wins, met, 0.5)
    alone = np.concatenate([strengths(wins[[i]], met[[i]], 0.5) for i in range(6)])
    np.testing.assert_allclose(together, alone, atol=1e-8)


def test_sharpness_zero_is_the_global_rating_and_opposed_prompts_count_the_same() -> None:
    train = world(m=3)
    overall = rv.BradleyTerry().fit(train).predict(train.queries).scores
    np.testing.assert_allclose(
        rv.SimilarityBT(sharpness=0).fit(train).predict(train.queries).scores, overall, atol=1e-3
    )
    behind = part(train.scores.dense(), np.abs(train.queries.require_embeddings()))
    query = rv.Queries(("q",), -np.ones((1, 3), dtype=np.float32))
    np.testing.assert_allclose(rv.SimilarityBT().fit(behind).predict(query).scores[0], overall[0], atol=1e-3)


def test_prompts_like_the_query_decide_where_the_overall_rating_says_otherwise() -> None:
    dense = [[1, 0]] * 6 + [[0, 1]] * 4
    train = part(dense, [[1, 0]] * 6 + [[0, 1]] * 4)
    asked = rv.Queries(("left", "right"), np.array([[1, 0], [0, 1]], dtype=np.float32))
    assert rv.SimilarityBT().fit(train).predict(asked).scores.argmax(axis=1).tolist() == [0, 1]
    assert rv.Eagle(neighbours=4).fit(train).predict(asked).scores.argmax(axis=1).tolist() == [0, 1]
    assert rv.Eagle(neighbours=4, p=1).fit(train).predict(asked).scores.argmax(axis=1).tolist() == [0, 0]


def plain_battles(ratings: Floats, y: Floats, first: Any, second: Any, k: float) -> Floats:
    """Elo's update as it is written in books."""
    ratings = ratings.copy()
    for i, j in zip(first, second, strict=True):
        if np.isnan(y[[i, j]]).any():
            continue
        expected = 1 / (1 + 10 ** ((ratings[j] - ratings[i]) / 400))
        actual = 1.0 if y[i] > y[j] else 0.5 if y[i] == y[j] else 0.0
        ratings[[i, j]] += k * (actual - expected) * np.array([1, -1])
    return ratings


@settings(max_examples=40, deadline=None)
@drawn(st.integers(2, 7), st.integers(1, 30), st.floats(0.5, 64), st.integers(0, 10**6))
def test_battles_are_those_of_their_plain_twin(m: int, count: int, k: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.choice([0, 0.5, 1, np.nan], size=(4, m)).astype(np.float32)
    first = rng.integers(0, m, size=count)
    second = (first + rng.integers(1, m, size=count)) % m
    start = rng.normal(1000, 100, size=m)
    found = start.copy()
    battles(found, y[0], first, second, k)
    np.testing.assert_allclose(found, plain_battles(start, y[0], first, second, k), rtol=1e-9)
    assert found.sum() == pytest.approx(start.sum())
    out = np.empty((2, m))
    local_ratings(start, y, np.array([[0, 1], [3, 2]]), first, second, k, out)
    for row, (a, b) in zip(out, [(0, 1), (3, 2)], strict=True):
        expected = plain_battles(plain_battles(start, y[a], first, second, k), y[b], first, second, k)
        np.testing.assert_allclose(row, expected, rtol=1e-9)


def test_an_equal_opponent_is_worth_half_the_stake() -> None:
    said = elo_ratings(np.array([[1, 0]], dtype=np.float32), 32, 1, np.random.default_rng(0), averaged=False)
    assert said.tolist() == [1016, 984]


@settings(max_examples=30, deadline=None)
@drawn(st.integers(1, 30), st.integers(1, 40))
def test_no_two_models_meet_twice_on_a_prompt(m: int, opponents: int) -> None:
    first, second = meetings(m, opponents, generator("meetings", m, opponents))
    met = {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    assert all(len(pair) == 2 for pair in met)
    assert len(met) == len(first)
    if opponents >= m - 1:
        assert len(met) == m * (m - 1) // 2
    else:
        assert len(met) == m * max(1, opponents // 2)


def test_averaged_ratings_depend_less_on_the_order_of_the_prompts() -> None:
    targets = world(200, 5).targets
    spread = {
        averaged: np.std(
            [elo_ratings(targets, 16, 4, generator(s), averaged=averaged) for s in range(20)], axis=0
        ).mean()
        for averaged in (False, True)
    }
    assert spread[True] < 0.7 * spread[False]


def test_elo_ends_up_near_bradley_terry() -> None:
    train = world(400, 4)
    battled = rv.Elo(k=1, opponents=3).fit(train).ratings_
    solved = rv.BradleyTerry().fit(train).predict(train.queries).scores[0]
    np.testing.assert_allclose(battled, solved, atol=30)


def test_eagle_is_the_mixture_it_says() -> None:
    train = world(m=3)
    ends = [rv.Eagle(p=p, seed=4).fit(train).predict(train.queries).scores for p in (0, 0.25, 1)]
    np.testing.assert_allclose(ends[1], 0.75 * ends[0] + 0.25 * ends[2], rtol=1e-9)
    assert np.ptp(ends[2], axis=0).max() == 0
    assert np.ptp(ends[0], axis=0).min() > 0


@pytest.mark.parametrize("cls", [rv.SimilarityBT, rv.Eagle])
def test_models_that_do_not_battle_stand_below_by_their_means(cls: Any) -> None:
    train = world(m=6)
    order = np.argsort(-train.scores.model_means)
    said = cls(top=2).fit(train).predict(train.queries).scores
    assert (said[:, order[:2]].min(axis=1) > said[:, order[2:]].max(axis=1)).all()
    assert (np.diff(said[:, order[2:]], axis=1) < 0).all()


@pytest.mark.parametrize("cls", ROUTERS)
@pytest.mark.parametrize(
    ("dense", "x"),
    [
        (np.ones((8, 3)), np.eye(8)),
        (np.zeros((8, 3)), np.zeros((8, 2))),
        (np.tile([1.0, 0.0, 0.0], (50, 1)), np.ones((50, 2))),
        (np.tile([[1.0], [0.0]], (4, 1)), np.eye(8)),
        (np.tile([1.0, 0.0, np.nan], (8, 1)), np.eye(8)),
        ([[1, np.nan], [1, np.nan], [np.nan, 1], [np.nan, 0]], np.eye(4)),
        (np.eye(3), np.eye(3)),
        (np.tile([0.2, 0.7], (12, 1)), -np.ones((12, 5))),
    ],
    ids=[
        "all right",
        "none right",
        "always",
        "one model",
        "never observed",
        "never together",
        "three prompts",
        "graded",
    ],
)
def test_hard_cases_have_finite_ratings_and_whoever_always_wins_is_chosen(cls: Any, dense: Any, x: Any) -> None:
    train = part(dense, x)
    said = cls().fit(train).predict(train.queries).check(len(train), train.scores.shape[1]).scores
    assert np.isfinite(said).all()
    targets = train.targets
    for j in range(targets.shape[1]):
        others = np.delete(targets, j, axis=1)
        if others.shape[1] and (targets[:, j] > np.nan_to_num(others, nan=-1).max(axis=1)).all():
            assert (said.argmax(axis=1) == j).all()
        if np.isnan(targets[:, j]).all():
            assert (said.argmin(axis=1) == j).all()


@pytest.mark.parametrize("cls", [rv.SimilarityBT, rv.Eagle])
def test_it_learns_where_there_is_something_to_learn(cls: Any) -> None:
    spec = SyntheticSpec(
        "duel", prompts=500, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    planted = Synthetic(spec)
    scenario = planted.data.scenario("strong_to_weak", 5)
    single = rv.evaluate(rv.BestSingle(), scenario).mu
    assert rv.evaluate(cls(), scenario).mu > single + 0.3 * (planted.optimal_score(scenario) - single)


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (rv.BradleyTerry(prior=0), "bradley_terry has prior = 0; it must be above 0"),
        (rv.SimilarityBT(sharpness=-1), "sharpness = -1"),
        (rv.SimilarityBT(top=0), "similarity_bt has top = 0"),
        (rv.SimilarityBT(prior=-1), "prior = -1"),
        (rv.Elo(k=0), "elo has k = 0; it must be above 0"),
        (rv.Elo(opponents=0), "elo has opponents = 0"),
        (rv.Eagle(p=1.1), "eagle has p = 1.1; it must be 0 to 1"),
        (rv.Eagle(neighbours=0), "eagle has neighbours = 0; it must be at least 1"),
        (rv.Eagle(top=0), "eagle has top = 0; it must be at least 1"),
        (rv.Eagle(global_k=0), "eagle has global_k = 0; it must be above 0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(router: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        router.fit(world())
