"""Metrics of how choices spread over the pool."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from routereval.data.outcome import Outcome
from routereval.metrics import METRICS


def outcome(share: list[float], entropy: list[float] | None = None) -> Outcome:
    columns = {} if entropy is None else {"entropy": np.array(entropy)}
    counted = np.array([True, True, False])
    return Outcome(tuple("abc"), tuple(f"m{i}" for i in range(len(share))), counted, columns, np.array(share))


@pytest.mark.parametrize(
    ("share", "bits", "used", "largest"),
    [
        ([1.0, 0.0, 0.0, 0.0], 0.0, 1, 1.0),
        ([0.5, 0.0, 0.5, 0.0], 1.0, 2, 0.5),
        ([0.25, 0.25, 0.25, 0.25], 2.0, 4, 0.25),
        ([0.5, 0.25, 0.125, 0.125], 1.75, 4, 0.5),
    ],
)
def test_the_values_worked_out_by_hand(share: list[float], bits: float, used: int, largest: float) -> None:
    o = outcome(share)
    assert METRICS["choice_entropy"](o) == bits
    assert METRICS["models_used"](o) == used
    assert METRICS["largest_share"](o) == largest


def test_the_entropy_of_one_model_taking_all_has_no_sign() -> None:
    assert math.copysign(1, METRICS["choice_entropy"](outcome([0.0, 1.0]))) == 1


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any))
def test_choice_entropy_is_that_of_scipy_and_within_its_bounds(counts: list[int]) -> None:
    share = np.array(counts) / sum(counts)
    found = METRICS["choice_entropy"](outcome(share.tolist()))
    assert found == pytest.approx(stats.entropy(share, base=2), abs=1e-12)
    used, largest = (METRICS[name](outcome(share.tolist())) for name in ("models_used", "largest_share"))
    assert 0 <= found <= math.log2(used) + 1e-12
    assert found >= -math.log2(largest) - 1e-12  # no entropy is below the smallest surprise


def test_classification_bias_is_the_mean_entropy_of_the_prompts_that_count() -> None:
    assert METRICS["E_p"](outcome([1.0], [1.0, 0.5, 0.0])) == 0.75
    assert np.isnan(METRICS["E_p"](outcome([1.0])))


def test_a_policy_that_chose_nothing_has_no_entropy() -> None:
    assert np.isnan(METRICS["choice_entropy"](outcome([0.0, 0.0])))
    assert METRICS["models_used"](outcome([0.0, 0.0])) == 0


def test_neither_more_nor_less_spread_is_better_and_shares_are_not_resampled() -> None:
    spread = ("E_p", "choice_entropy", "models_used", "largest_share")
    assert [METRICS[name].higher_is_better for name in spread] == [None] * 4
    assert [METRICS[name].resampled for name in spread] == [True, False, False, False]
