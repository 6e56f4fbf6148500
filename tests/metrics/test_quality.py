"""Metrics of quality, worked out by hand on four prompts."""

from __future__ import annotations

import numpy as np
import pytest

from routereval.data.outcome import Outcome
from routereval.metrics import METRICS
from routereval.metrics.definition import metric

# Means over the four prompts that count: chosen 5/8, oracle 7/8, best single 3/8 in hindsight and 5/16 on train.
COLUMNS = {
    "chosen": [1.0, 0.0, 1.0, 0.5, 0.0],
    "oracle": [1.0, 1.0, 1.0, 0.5, 0.0],
    "best_single": [1.0, 0.0, 0.0, 0.5, 0.0],
    "best_single_train": [0.0, 1.0, 0.0, 0.25, 0.0],
    "baseline": [1.0, 0.0, 0.0, 0.5, 0.0],
    "reference": [0.8, 0.8, 0.8, 0.8, 0.0],
}


def outcome(**changes: list[float]) -> Outcome:
    columns = {name: np.array(values) for name, values in (COLUMNS | changes).items()}
    counted = np.array([True, True, True, True, False])
    return Outcome(tuple("abcde"), ("x", "y"), counted, columns, np.array([0.75, 0.25]))


def without(name: str) -> Outcome:
    whole = outcome()
    columns = {key: values for key, values in whole.columns.items() if key != name}
    return Outcome(whole.prompt_ids, whole.model_ids, whole.counted, columns, whole.share)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mu", 5 / 8),
        ("V_R", 25 / 32),  # 5/8 over 4/5
        ("V_B", 5 / 3),
        ("V_B_train", 2.0),
        ("gap_closed", 1 / 2),  # from 3/8, 2/8 of the 4/8 to 7/8
        ("regret", 1 / 4),
    ],
)
def test_the_value_worked_out_by_hand(name: str, value: float) -> None:
    assert METRICS[name](outcome()) == pytest.approx(value, rel=1e-15)


def test_the_gap_is_measured_from_the_protocols_baseline_and_may_be_negative() -> None:
    from_train = outcome(baseline=COLUMNS["best_single_train"])
    assert METRICS["gap_closed"](from_train) == pytest.approx((10 - 5) / (14 - 5))
    worse = outcome(chosen=[0.0, 0.0, 0.0, 0.5, 0.0])
    assert METRICS["gap_closed"](worse) == pytest.approx((1 - 3) / (7 - 3))


def test_the_oracle_closes_the_gap_and_has_no_regret() -> None:
    perfect = outcome(chosen=COLUMNS["oracle"])
    assert METRICS["gap_closed"](perfect) == 1.0
    assert METRICS["regret"](perfect) == 0.0


@pytest.mark.parametrize(
    ("name", "column"),
    [("V_R", "reference"), ("V_B", "best_single"), ("V_B_train", "best_single_train")],
)
def test_a_ratio_to_zero_or_to_nothing_is_nan(name: str, column: str) -> None:
    assert np.isnan(METRICS[name](outcome(**{column: [0.0] * 5})))
    assert np.isnan(METRICS[name](without(column)))


def test_where_there_is_no_gap_there_is_no_share_of_it() -> None:
    assert np.isnan(METRICS["gap_closed"](outcome(baseline=COLUMNS["oracle"])))


def test_the_same_expression_serves_many_resamples_at_once() -> None:
    means = {"chosen": np.array([0.5, 0.75, 0.25]), "baseline": np.array([0.25, 1.0, 0.5])}
    means["oracle"] = np.array([1.0, 1.0, 0.75])
    found = METRICS["gap_closed"].from_means(means)
    np.testing.assert_array_equal(found, [1 / 3, np.nan, -1.0])


def test_a_metric_knows_its_columns_and_which_way_is_better() -> None:
    assert METRICS["gap_closed"].columns == ("chosen", "baseline", "oracle")
    assert [METRICS[name].higher_is_better for name in ("mu", "V_R", "V_B", "V_B_train", "gap_closed")] == [True] * 5
    assert METRICS["regret"].higher_is_better is False
    assert METRICS["mu"].about == "Mean score of the chosen models (Huang et al. 2025)."
    assert METRICS["gap_closed"].about.endswith("(mu - best single) / (oracle - best single).")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_listed_under_its_name_with_a_symbol_and_a_sentence(name: str) -> None:
    one = METRICS[name]
    assert one.name == name
    assert one.symbol
    assert one.about.endswith(".")
    assert "\n" not in one.about
    assert isinstance(one(outcome(entropy=[1.0, 0.0, 0.5, 0.5, 0.0])), float)


def test_no_two_metrics_share_a_symbol() -> None:
    assert len({one.symbol for one in METRICS.values()}) == len(METRICS)


def test_a_name_that_is_taken_cannot_be_defined_again() -> None:
    before = dict(METRICS)
    with pytest.raises(ValueError, match="metric 'mu' is defined twice"):
        metric("mu", symbol="mu", higher_is_better=True)(lambda chosen: chosen)
    assert before == METRICS
