"""Labels of graded scores."""

from __future__ import annotations

import numpy as np
import pytest

from routereval.data.labels import pool_labels

NAN = float("nan")


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        # 0.95 of the best: of 0.8 that is 0.76, of 0.2 it is 0.19.
        ([0.8, 0.77, 0.75, 0.0], [1, 1, 0, 0]),
        ([0.18, 0.195, 0.2, 0.0], [0, 1, 1, 0]),
        ([1.0, 0.95, 0.9375, 0.0], [1, 1, 0, 0]),
        ([0.0, 0.0, 0.0, 0.0], [1, 1, 1, 1]),  # each reaches 0.95 of 0
        ([NAN, 0.5, 0.25, NAN], [NAN, 1, 0, NAN]),
        ([NAN, NAN, NAN, 0.125], [NAN, NAN, NAN, 1]),
        ([NAN, NAN, NAN, NAN], [NAN, NAN, NAN, NAN]),
    ],
)
def test_a_model_is_right_from_95_percent_of_the_best_of_the_pool_on(scores: list[float], labels: list[float]) -> None:
    found = pool_labels(np.array([scores], dtype=np.float32))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [labels])


def test_prompts_are_judged_each_by_its_own_best() -> None:
    scores = np.array([[0.5, 0.4], [0.1, 0.4]], dtype=np.float32)
    assert pool_labels(scores).tolist() == [[1, 0], [0, 1]]


def test_zeros_and_ones_are_their_own_labels_where_somebody_is_right() -> None:
    scores = np.array([[0, 1, 1], [1, 0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(pool_labels(scores), scores)


def test_the_labels_depend_on_who_is_in_the_pool() -> None:
    scores = np.array([[0.5, 0.4, 0.9]], dtype=np.float32)
    assert pool_labels(scores).tolist() == [[0, 0, 1]]
    assert pool_labels(scores[:, :2]).tolist() == [[1, 0]]


def test_the_scores_stay_as_they_were() -> None:
    scores = np.array([[0.5, NAN]], dtype=np.float32)
    pool_labels(scores)
    np.testing.assert_array_equal(scores, np.float32([[0.5, NAN]]))
