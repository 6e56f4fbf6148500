"""Means, entropies and rankings over prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from routereval.data.outcome import Outcome, best_in_hindsight, entropy_bits, ranking, single_scores
from routereval.data.scores import ScoreMatrix

NAN = float("nan")


def outcome(counted: list[bool], **columns: list[float]) -> Outcome:
    return Outcome(
        tuple(f"p{i}" for i in range(len(counted))),
        ("x", "y"),
        np.array(counted),
        {name: np.array(values) for name, values in columns.items()},
        np.array([0.5, 0.5]),
    )


def test_a_mean_is_over_the_prompts_that_count() -> None:
    o = outcome([True, False, True, True], chosen=[1.0, 0.0, 0.0, 0.5])
    assert o.mean("chosen") == 0.5


def test_there_is_no_mean_of_what_is_not_there() -> None:
    assert np.isnan(outcome([True], chosen=[1.0]).mean("entropy"))
    assert np.isnan(outcome([False], chosen=[0.0]).mean("chosen"))


# Entropy


@pytest.mark.parametrize(
    ("row", "floor", "bits"),
    [
        ([0.5, 0.5, 0.0, 0.0], 0.0, 1.0),
        ([0.25, 0.25, 0.25, 0.25], 0.0, 2.0),
        ([1.0, 0.0, 0.0, 0.0], 0.0, 0.0),
        ([0.0, 0.0, 0.0, 0.0], 0.0, 0.0),
        ([0.5, 0.25, 0.125, 0.125], 0.0, 1.75),
        ([0.5, 0.25, 0.125, 0.125], 0.125, 1.0),  # the two of 0.125 are dropped: a half and a quarter remain
        ([0.5, 0.25, 0.125, 0.125], 0.1, 1.75),
    ],
)
def test_entropies_worked_out_by_hand(row: list[float], floor: float, bits: float) -> None:
    assert entropy_bits(np.array([row]), floor).tolist() == [bits]


@settings(max_examples=40, deadline=None, database=None)
@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(0, 1, allow_subnormal=False)))
def test_entropy_is_that_of_scipy_and_between_zero_and_log2_m(weights: np.ndarray) -> None:
    weights[:, 0] += 0.1
    probs = weights / weights.sum(axis=1, keepdims=True)
    found = entropy_bits(probs)
    np.testing.assert_allclose(found, stats.entropy(probs, base=2, axis=1), atol=1e-12)
    assert (found >= 0).all()
    assert (found <= 2 + 1e-12).all()


def test_a_certain_choice_has_an_entropy_of_zero_and_no_sign_though_it_is_rounded_up() -> None:
    rounded_up = np.array([[np.nextafter(1.0, 2.0), 0.0], [1.0, 0.0]])
    found = entropy_bits(rounded_up)
    assert found.tolist() == [0.0, 0.0]
    assert not np.signbit(found).any()


# Rankings


def test_models_are_ranked_by_mean_and_equal_ones_keep_their_order() -> None:
    means, counts = np.array([0.2, 0.9, 0.5, 0.9, 0.0]), np.full(5, 10)
    assert ranking(means, counts, 10).tolist() == [1, 3, 2, 0, 4]


def test_a_model_observed_on_less_than_half_of_the_prompts_comes_after_all_others() -> None:
    means, counts = np.array([1.0, 0.1, 0.3, NAN, 0.8]), np.array([4, 5, 10, 0, 1])
    # Half of ten are five: 0 and 4 were observed on fewer, 3 on none, and each of them ranks by its mean.
    assert ranking(means, counts, 10).tolist() == [2, 1, 0, 4, 3]


def test_the_best_in_hindsight_is_not_the_highest_mean_where_that_one_does_worse_on_the_same_prompts() -> None:
    # x has a mean of 3/4, y of 11/16; but where y was observed it scores 11/8 and x only 1.
    rows = [[1, NAN], [1, NAN], [1, 0.75], [0, 0.625]]
    scores = ScoreMatrix.from_dense(rows, "abcd", "xy", missing=True)
    assert ranking(scores.model_means, scores.counts, 4).tolist() == [0, 1]
    assert best_in_hindsight(scores).tolist() == [1, 0]
    assert single_scores(scores, best_in_hindsight(scores)).tolist() == [1, 1, 0.75, 0.625]


def test_the_best_in_hindsight_may_be_one_that_was_observed_everywhere() -> None:
    # x has the higher mean, 3/4, but answering as x and elsewhere as y scores 3/2, answering as y alone 7/4.
    rows = [[1, 1], [0.5, 0.75], [NAN, 0], [NAN, 0]]
    scores = ScoreMatrix.from_dense(rows, "abcd", "xy", missing=True)
    assert best_in_hindsight(scores).tolist() == [1, 0]


def test_the_best_in_hindsight_was_observed_on_half_of_the_prompts_where_any_model_was() -> None:
    # x was observed on two of six; answering as x and elsewhere as y would score 5, as y 3.
    rows = [[1, 0, 0], [1, 0, 0], [NAN, 1, 1], [NAN, 1, NAN], [NAN, 1, NAN], [NAN, 0, 0]]
    scores = ScoreMatrix.from_dense(rows, "abcdef", "xyz", missing=True)
    assert best_in_hindsight(scores).tolist() == [1, 2, 0]
    nobody = ScoreMatrix.from_dense([[0.5, NAN], [NAN, 1], [NAN, NAN]], "abc", "xy", missing=True)
    assert best_in_hindsight(nobody).tolist() == [1, 0]


def test_where_everything_was_observed_the_best_in_hindsight_has_the_highest_mean() -> None:
    scores = ScoreMatrix.from_dense([[0, 1, 1], [0, 1, 1], [1, 0, 0]], "abc", "xyz")
    assert best_in_hindsight(scores).tolist() == [1, 2, 0]


@pytest.mark.parametrize("graded", [False, True])
def test_the_score_of_one_model_is_that_of_the_next_best_where_it_was_not_observed(graded: bool) -> None:
    top = 0.5 if graded else 1.0
    rows = [[top, 0, 1], [NAN, top, 0], [NAN, NAN, 1], [NAN, NAN, NAN], [0, 1, 1]]
    scores = ScoreMatrix.from_dense(rows, "abcde", "xyz", missing=True)
    assert scores.binary is not graded
    assert single_scores(scores, np.array([0, 1, 2])).tolist() == [top, top, 1, 0, 0]
    assert single_scores(scores, np.array([2, 1, 0])).tolist() == [1, 0, 1, 0, 1]


def test_where_everything_was_observed_one_model_answers_all() -> None:
    scores = ScoreMatrix.from_dense([[0, 1], [0, 1], [1, 0]], "abc", "xy")
    assert single_scores(scores, np.array([0, 1])).tolist() == [0, 0, 1]
