"""The minimum detectable difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import TTestPower

from routereval.stats.power import detectable, prompts_for


def test_with_many_prompts_it_is_2_80_standard_errors() -> None:
    assert detectable(0.01) == pytest.approx(0.01 * (1.959964 + 0.841621), rel=1e-6)
    assert detectable(0.01, 5000) == pytest.approx(0.0280, abs=1e-4)


def test_with_25_clusters_it_is_what_the_tables_of_students_t_give() -> None:
    # 24 degrees of freedom: 2.0639 at 97.5 %, 0.8569 at 80 %; at 90 % power 1.3178, at alpha = 1 % 2.7969.
    assert detectable(0.1, 25) == pytest.approx(0.1 * (2.0639 + 0.8569), abs=1e-5)
    assert detectable(0.1, 25, power=0.9) == pytest.approx(0.1 * (2.0639 + 1.3178), abs=1e-5)
    assert detectable(0.1, 25, alpha=0.01) == pytest.approx(0.1 * (2.7969 + 0.8569), abs=1e-5)


def test_a_difference_of_that_size_is_found_in_four_of_five_tests() -> None:
    rng = np.random.default_rng(0)
    n, spread = 118, 0.4
    difference = detectable(spread / math.sqrt(n), n)
    samples = rng.normal(difference, spread, (20_000, n))
    t = samples.mean(axis=1) / (samples.std(axis=1, ddof=1) / math.sqrt(n))
    assert np.mean(np.abs(t) > 1.9804) == pytest.approx(0.8, abs=0.01)  # t(0.975) of 117 degrees of freedom


@pytest.mark.parametrize("n", [12, 118, 1000])
def test_it_is_about_what_statsmodels_solves_for(n: int) -> None:
    theirs = TTestPower().solve_power(effect_size=None, nobs=n, alpha=0.05, power=0.8)
    assert detectable(1 / math.sqrt(n), n) == pytest.approx(theirs, rel=0.01)


def test_few_clusters_show_less_and_one_shows_nothing() -> None:
    assert detectable(0.01, 4) > 1.3 * detectable(0.01)
    assert math.isnan(detectable(0.01, 1))


def test_118_prompts_cannot_tell_3_points_apart() -> None:
    # Two routers that differ on 15 % of the prompts: the difference of a prompt has a spread of about sqrt(0.15).
    error = math.sqrt(0.15 / 118)
    found = detectable(error, 118)
    assert found == pytest.approx(0.1007, abs=1e-3)
    assert prompts_for(0.03, 118, found) == math.ceil(118 * (found / 0.03) ** 2)
    n = prompts_for(0.03, 118, found)
    power = 1 - norm.cdf(1.96 - 0.03 / math.sqrt(0.15 / n))
    assert power == pytest.approx(0.8, abs=0.01)
    assert prompts_for(0.05, 100, 0.05) == 100
