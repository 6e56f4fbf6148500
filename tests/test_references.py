"""Policies that read the answers: closed forms against brute force and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import routereval as rv
from routereval.data.outcome import entropy_bits
from routereval.errors import ParameterError
from routereval.references import REFERENCES, BestSingleHindsight, Oracle, Random, RandomMixture

NAN = float("nan")
KINDS = ("binary", "graded", "binary with holes", "graded with holes")


def dense_scores(kind: str) -> NDArray[np.float64]:
    """Forty prompts and five models; nobody is right on the first prompt, everybody on the second."""
    rng = np.random.default_rng(1)
    dense = rng.integers(0, 5, (40, 5)) / 4
    if kind.startswith("binary"):
        dense = (dense > 0.5).astype(float)
    dense[0], dense[1] = 0, 1
    if kind.endswith("holes"):
        dense[rng.random(dense.shape) < 0.3] = np.nan
        dense[2] = np.nan
    return dense


def matrix(dense: NDArray[np.float64]) -> rv.ScoreMatrix:
    n, m = dense.shape
    return rv.ScoreMatrix.from_dense(dense, [f"p{i}" for i in range(n)], [f"m{i}" for i in range(m)], missing=True)


def scenario(test: list[list[float]]) -> rv.Scenario:
    dense = np.array([*([[1.0] * len(test[0])] * 2), *test])
    scores = matrix(dense)
    models = scores.model_ids
    data = rv.BenchmarkData(
        benchmark="tiny",
        scores=scores,
        queries=rv.Queries(scores.prompt_ids),
        split=rv.Split(np.arange(2), np.arange(0), np.arange(2, len(dense))),
        pools={("all", len(models)): rv.CandidatePool(models, "all")},
        source="a test",
    )
    return data.scenario("all", len(models))


@pytest.mark.parametrize("kind", KINDS)
def test_random_scores_the_mean_and_the_oracle_the_maximum_of_what_was_observed(kind: str) -> None:
    dense = dense_scores(kind)
    random, spread = Random().expected(matrix(dense))
    oracle, best = Oracle().expected(matrix(dense))
    for row, values in enumerate(dense):
        seen = values[~np.isnan(values)]
        if not len(seen):
            assert (random[row], oracle[row]) == (0, 0)
            assert not spread[row].any()
            assert not best[row].any()
            continue
        assert random[row] == pytest.approx(seen.mean(), abs=1e-15)
        assert oracle[row] == seen.max()
        uniform = np.where(np.isnan(values), 0.0, 1 / len(seen))
        np.testing.assert_allclose(spread[row], uniform, atol=1e-15)
        by_score = np.nan_to_num(values) / seen.sum() if seen.sum() > 0 else uniform
        np.testing.assert_allclose(best[row], by_score, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_a_mixture_is_p_parts_oracle_and_the_rest_random(kind: str, p: float) -> None:
    scores = matrix(dense_scores(kind))
    (mixed, spread), (oracle, best), (random, uniform) = (
        policy.expected(scores) for policy in (RandomMixture(p), Oracle(), Random())
    )
    np.testing.assert_allclose(mixed, p * oracle + (1 - p) * random, atol=1e-15)
    np.testing.assert_allclose(spread, p * best + (1 - p) * uniform, atol=1e-15)


@pytest.mark.parametrize("policy", [Oracle(), Random(), RandomMixture(0.4), BestSingleHindsight()])
@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_spreads_over_observed_models_only_and_changes_no_scores(kind: str, policy) -> None:
    scores = matrix(dense_scores(kind))
    _, spread = policy.expected(scores)
    seen = scores.mask()
    np.testing.assert_allclose(spread.sum(axis=1), seen.any(axis=1), atol=1e-12)
    assert (spread >= 0).all()
    assert not spread[~seen].any()
    np.testing.assert_array_equal(scores.dense(), dense_scores(kind).astype(np.float32))


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 1.0])
def test_the_entropy_of_a_mixture_on_binary_scores_is_the_closed_form(p: float) -> None:
    """P is p/c + (1-p)/m on each of c correct models out of m, (1-p)/m on each other; 1/m on all where c is 0."""
    m = 6
    dense = np.tril(np.ones((m + 1, m)), -1)  # the row r has r correct models
    _, spread = RandomMixture(p).expected(matrix(dense))
    for correct, found in enumerate(entropy_bits(spread)):
        right = 1 / m if correct == 0 else p / correct + (1 - p) / m
        wrong = 1 / m if correct == 0 else (1 - p) / m
        terms = [-count * q * np.log2(q) for count, q in ((correct, right), (m - correct, wrong)) if count and q]
        assert found == pytest.approx(sum(terms), abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_mixture_is_what_simulating_it_converges_to(p: float) -> None:
    dense = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1.0]])
    rng = np.random.default_rng(2)
    draws = 20_000
    expected, spread = RandomMixture(p).expected(matrix(dense))
    for row, values in enumerate(dense):
        best = np.flatnonzero(values == values.max())
        chosen = np.where(rng.random(draws) < p, rng.choice(best, draws), rng.integers(0, 4, draws))
        # Five standard errors of a mean of coins: 5 * sqrt(1/4 / 20,000) is 0.018.
        assert values[chosen].mean() == pytest.approx(expected[row], abs=0.018)
        np.testing.assert_allclose(np.bincount(chosen, minlength=4) / draws, spread[row], atol=0.018)


@pytest.mark.parametrize("p", [-0.1, 1.5, NAN])
def test_p_is_a_probability(p: float) -> None:
    with pytest.raises(ParameterError, match=r"r_o takes p in \[0, 1\], not"):
        rv.evaluate(RandomMixture(p), scenario([[0, 1]]))


# The best single model


def test_the_best_single_model_answers_everything_it_was_observed_on() -> None:
    expected, spread = BestSingleHindsight().expected(matrix(np.array([[0, 1], [1, 0], [0, 1.0]])))
    assert expected.tolist() == [1, 0, 1]
    assert spread.tolist() == [[0, 1]] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_no_other_single_model_with_the_next_best_where_it_was_not_observed_scores_more(kind: str) -> None:
    dense = dense_scores(kind)
    expected, spread = BestSingleHindsight().expected(matrix(dense))
    by_mean = sorted(range(5), key=lambda i: -np.nanmean(dense[:, i]))  # every model was observed on more than half
    chosen = {}
    for first in range(5):
        order = [first, *(i for i in by_mean if i != first)]
        chosen[first] = [next((i for i in order if not np.isnan(values[i])), None) for values in dense]
    scored = {
        first: [0.0 if i is None else values[i] for i, values in zip(picks, dense, strict=True)]
        for first, picks in chosen.items()
    }
    best = max(by_mean, key=lambda first: sum(scored[first]))  # max keeps the first of equals
    assert expected.tolist() == scored[best]
    assert spread.tolist() == [[float(i == pick) for i in range(5)] for pick in chosen[best]]


def test_a_model_that_was_hardly_observed_is_not_the_best_single_one() -> None:
    rows = [[1.0, 0.0], [NAN, 1.0], [NAN, 0.0]]
    expected, spread = BestSingleHindsight().expected(matrix(np.array(rows)))
    assert expected.tolist() == [0, 1, 0]
    assert spread.tolist() == [[0, 1]] * 3


# As results


def test_the_metrics_of_references_are_those_worked_out_by_hand() -> None:
    # Two of four, one of four and none of four are right.
    problem = scenario([[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    oracle, random, half, single = (
        rv.evaluate(policy, problem) for policy in (Oracle(), Random(), RandomMixture(0.5), BestSingleHindsight())
    )
    assert oracle.mu == pytest.approx(2 / 3)
    assert random.mu == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)
    assert half.mu == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert single.mu == pytest.approx(1 / 3)
    assert oracle.E_p == pytest.approx((1 + 0 + 2) / 3)
    assert random.E_p == pytest.approx(2)
    assert single.E_p == 0
    assert (oracle.V_B, single.V_B, oracle.regret) == (pytest.approx(2), 1, 0)
    assert random.outcome.share.tolist() == pytest.approx([1 / 4] * 4)
    assert oracle.outcome.share.tolist() == pytest.approx([(1 / 2 + 1 / 4) / 3] * 2 + [1 / 12, (1 + 1 / 4) / 3])
    assert oracle.outcome.choices is None  # it draws


def test_prompts_that_nobody_was_observed_on_count_for_no_reference() -> None:
    problem = scenario([[1, 0], [NAN, NAN], [0, NAN]])
    oracle, random = rv.evaluate(Oracle(), problem), rv.evaluate(Random(), problem)
    assert (oracle.mu, random.mu) == (1 / 2, 1 / 4)
    assert random.E_p == 1 / 2  # one bit on the first prompt, none where one model is left
    assert random.outcome.share.tolist() == [3 / 4, 1 / 4]


def test_the_catalogue_holds_the_four_references() -> None:
    assert list(REFERENCES) == ["oracle", "random", "r_o", "best_single_hindsight"]
    assert REFERENCES["oracle"] is Oracle
    assert REFERENCES["random"] is Random
    assert REFERENCES["r_o"] is RandomMixture
    assert REFERENCES["best_single_hindsight"] is BestSingleHindsight
