"""Predictions, and the choices that follow from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from routereval.data.prediction import Prediction, choose, softmax
from routereval.errors import RouterError

INF = float("inf")


# Choosing


@pytest.mark.parametrize(
    ("row", "breaker", "choice"),
    [
        ([0.1, 0.7, 0.2], None, 1),
        ([0.4, 0.7, 0.7], None, 1),  # the first wins
        ([0.4, 0.7, 0.7], [0.9, 0.1, 0.2], 2),  # the higher tie breaker wins, whatever those not tied have
        ([0.7, 0.4, 0.7], [0.5, 0.9, 0.5], 0),  # tied again: the first
        ([0.0, 0.0, 0.0], [0.1, 0.3, 0.2], 1),
        ([0.4, 0.7, 0.7], [0.1, np.nan, 0.2], 2),  # a model without a mean loses to one with
        ([-INF, -INF, -3.0], None, 2),
        ([-INF, -INF, -INF], [0.1, 0.3, 0.2], 1),
        ([INF, 2.0, INF], [0.1, 0.2, 0.3], 2),
    ],
)
def test_the_highest_score_wins_and_ties_are_broken(row: list[float], breaker: list[float] | None, choice: int) -> None:
    tie_breaker = None if breaker is None else np.array(breaker)
    assert choose(np.array([row]), tie_breaker).tolist() == [choice]


@pytest.mark.parametrize(
    ("row", "breaker", "allowed", "choice"),
    [
        ([0.9, 0.7, 0.2], None, [0, 1, 1], 1),
        ([0.9, 0.7, 0.7], [0.9, 0.1, 0.2], [0, 1, 1], 2),
        ([0.7, 0.7, 0.7], [0.9, 0.1, 0.2], [0, 1, 1], 2),
        ([0.9, 0.7, 0.2], None, [0, 0, 0], -1),
        ([0.9, 0.7, 0.2], [0.1, 0.2, 0.3], [0, 0, 0], -1),
        ([-INF, -INF, -INF], None, [0, 1, 1], 1),
        ([-INF, -INF, -INF], [0.9, 0.1, 0.2], [0, 1, 1], 2),
        ([0.9, -INF, -INF], [0.9, 0.1, 0.2], [0, 1, 1], 2),
        ([0.9, -INF, -INF], None, [0, 0, 1], 2),
    ],
)
def test_only_what_is_allowed_is_chosen_and_minus_one_where_nothing_is(
    row: list[float], breaker: list[float] | None, allowed: list[int], choice: int
) -> None:
    tie_breaker = None if breaker is None else np.array(breaker)
    assert choose(np.array([row]), tie_breaker, np.array([allowed], dtype=bool)).tolist() == [choice]


def test_rows_are_chosen_for_independently() -> None:
    scores = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    allowed = np.array([[1, 1], [0, 1], [1, 1], [0, 0]], dtype=bool)
    assert choose(scores, np.array([0.1, 0.2]), allowed).tolist() == [1, 1, 1, -1]


LEVELS = st.sampled_from([-INF, -1.0, 0.0, 0.25, 1.0])


@settings(max_examples=60, deadline=None, database=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 5), st.booleans(), st.booleans())
def test_a_choice_is_the_best_by_score_then_tie_breaker_then_position(
    data: st.DataObject, n: int, m: int, breaks: bool, masks: bool
) -> None:
    def table(values: st.SearchStrategy, rows: int) -> np.ndarray:
        return np.array([data.draw(st.lists(values, min_size=m, max_size=m)) for _ in range(rows)])

    scores = table(LEVELS, n)
    breaker = table(st.sampled_from([0.0, 0.5, 1.0]), 1)[0] if breaks else None
    allowed = table(st.booleans(), n) if masks else None
    expected = []
    for row in range(n):
        open_ = [c for c in range(m) if allowed is None or allowed[row, c]]
        key = [(scores[row, c], 0.0 if breaker is None else breaker[c], -c) for c in open_]
        expected.append(-max(key)[2] if open_ else -1)
    assert choose(scores, breaker, allowed).tolist() == expected


def test_choosing_changes_nothing_it_is_given() -> None:
    scores, breaker = np.array([[0.9, 0.7]]), np.array([0.5, np.nan])
    choose(scores, breaker, np.array([[False, True]]))
    assert scores.tolist() == [[0.9, 0.7]]
    np.testing.assert_array_equal(breaker, [0.5, np.nan])


# Softmax


def test_softmax_is_that_of_scipy_however_large_the_scores() -> None:
    scores = np.array([[0.0, 1.0, -2.0], [1000.0, 999.0, -1000.0], [-1e4, -1e4, -1e4]])
    np.testing.assert_allclose(softmax(scores), special.softmax(scores, axis=1), rtol=1e-12)
    assert softmax(np.float32(scores)).dtype == np.float64


# What a prediction is


def test_a_prediction_of_names_is_one_for_the_named_model() -> None:
    prediction = Prediction.from_choices(["y", "x", "y"], ("x", "y", "z"))
    assert prediction.scores.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert prediction.probs is None
    assert choose(prediction.scores).tolist() == [1, 0, 1]
    assert Prediction.from_choices([], ("x", "y")).check(0, 2).scores.shape == (0, 2)


def test_names_outside_the_pool_are_listed_once_each_the_first_five_of_them() -> None:
    with pytest.raises(RouterError, match=r"^7 chosen models are not in the pool: a, b, c, d, e$"):
        Prediction.from_choices([*"gfedcbaabc", "x"], ("x", "y"))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, np.float64])
def test_scores_may_be_of_any_numeric_type(dtype: type) -> None:
    prediction = Prediction(np.eye(2, dtype=dtype), np.eye(2, dtype=dtype))
    assert prediction.check(2, 2) is prediction


def test_infinite_scores_are_scores() -> None:
    Prediction(np.array([[-INF, INF]])).check(1, 2)


HALF = np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("scores", "probs", "message"),
    [
        ([[0.5, 0.5]] * 2, None, "scores must be a numeric array, not list"),
        (np.array([["a", "b"]] * 2), None, "scores must be a numeric array, not ndarray"),
        (np.array([[None, 1.0]] * 2, dtype=object), None, "scores must be a numeric array"),
        (HALF, [[0.5, 0.5]] * 2, "probs must be a numeric array, not list"),
        (HALF[:1], None, r"scores have shape \(1, 2\); expected \(2, 2\): 2 queries x 2 models"),
        (HALF[:, 0], None, r"scores have shape \(2,\); expected \(2, 2\)"),
        (HALF, np.full((2, 3), 1 / 3), r"probs have shape \(2, 3\); expected \(2, 2\)"),
        (np.array([[0, np.nan], [np.nan, np.nan]]), None, "3 of 4 scores are nan"),
        (HALF, np.array([[0.5, 0.5], [np.nan, 1]]), "1 of 4 probs are nan"),
        (HALF, np.array([[0.5, 0.5], [1.5, -0.5]]), r"no distribution: smallest -0\.5, row sums 1 to 1"),
        (HALF, np.array([[0.5, 0.5], [0.5, 0.25]]), r"no distribution: smallest 0\.25, row sums 0\.75 to 1"),
        (HALF, np.array([[0.5, 0.5], [0.5, INF]]), "no distribution"),
    ],
)
def test_what_is_no_prediction_says_why(scores, probs, message: str) -> None:
    with pytest.raises(RouterError, match=message):
        Prediction(scores, probs).check(2, 2)


def test_probabilities_may_be_off_by_what_float32_rounds() -> None:
    Prediction(HALF, np.full((2, 2), 0.50002)).check(2, 2)
    with pytest.raises(RouterError, match="no distribution"):
        Prediction(HALF, np.full((2, 2), 0.501)).check(2, 2)


def test_a_tied_model_without_a_tie_breaker_is_still_before_those_that_are_not_tied() -> None:
    nan = float("nan")
    assert choose(np.array([[0.0, 1.0]]), np.array([0.5, nan])).tolist() == [1]
    assert choose(np.array([[1.0, 1.0, 0.0]]), np.array([nan, 0.1, 0.9])).tolist() == [1]
    assert choose(np.array([[0.0, 1.0, 1.0]]), np.array([0.9, nan, nan])).tolist() == [1]
