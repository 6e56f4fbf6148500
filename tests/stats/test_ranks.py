"""Mean ranks, Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from routereval.stats.ranks import friedman, mean_ranks, nemenyi


def test_ranks_are_means_over_cells_and_equals_share() -> None:
    np.testing.assert_allclose(mean_ranks(np.array([[0.9, 0.5, 0.5], [0.1, 0.3, 0.2]])), [2, 1.75, 2.25])


def test_sums_in_another_order_share_a_rank() -> None:
    np.testing.assert_allclose(mean_ranks(np.array([[0.1 + 0.2, 0.3]])), [1.5, 1.5])


def test_friedman_by_hand_and_by_scipy() -> None:
    # Three in the same order over four cells: chi2 = 8 with 2 degrees of freedom.
    assert friedman(np.tile([[3.0, 2.0, 1.0]], (4, 1))) == pytest.approx(math.exp(-4))
    scores = np.random.default_rng(0).random((9, 4))
    assert friedman(scores) == pytest.approx(friedmanchisquare(*scores.T).pvalue)


def test_too_few_have_no_test_and_equal_ones_do_not_differ() -> None:
    assert math.isnan(friedman(np.ones((2, 5))))
    assert math.isnan(friedman(np.ones((5, 2))))
    assert friedman(np.ones((5, 3))) == 1.0


def test_nemenyis_critical_difference_is_that_of_demsars_table() -> None:
    # Demsar 2006, table 5: q(0.05) is 2.569 for 4 routers, 2.949 for 7; his example: 4 classifiers, 14 data sets.
    assert nemenyi(4, 14) == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=2e-3)
    assert nemenyi(7, 10) == pytest.approx(2.949 * math.sqrt(7 * 8 / (6 * 10)), abs=2e-3)
    assert math.isnan(nemenyi(1, 10))
