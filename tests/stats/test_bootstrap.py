"""Bootstrap intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from routereval.data.outcome import Outcome
from routereval.metrics import METRICS
from routereval.stats import DRAWS, interval, intervals, resample_counts, resampled_means, resampled_metrics

RESAMPLED = [name for name, one in METRICS.items() if one.resampled]


def outcome(chosen: np.ndarray, counted: np.ndarray | None = None, **columns: np.ndarray) -> Outcome:
    """An outcome of which only some columns are given; a prompt that does not count has zeros in all of them."""
    counts = np.ones(len(chosen), dtype=bool) if counted is None else counted
    values = {name: np.where(counts, column, 0.0) for name, column in {"chosen": chosen, **columns}.items()}
    return Outcome(tuple(map(str, range(len(chosen)))), ("x", "y"), counts, values, np.array([0.5, 0.5]))


def coins(n: int, p: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < p).astype(float)


def test_every_resample_draws_as_many_prompts_as_there_are() -> None:
    counts = resample_counts(30)
    assert counts.shape == (DRAWS, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == counts.round()).all()
    assert (counts >= 0).all()
    # Each prompt is drawn once on average, with a variance of 1 - 1/30; 30,000 draws, five standard errors.
    assert counts.var() == pytest.approx(1 - 1 / 30, abs=0.05)
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=5 / np.sqrt(DRAWS))


def test_everyone_gets_the_same_resamples() -> None:
    first = resample_counts(17).copy()
    resample_counts.cache_clear()
    np.testing.assert_array_equal(resample_counts(17), first)
    assert not (resample_counts(17)[0] == resample_counts(17)[1]).all()


@pytest.mark.parametrize("holes", [False, True])
def test_a_resampled_mean_is_that_of_the_prompts_drawn(holes: bool) -> None:
    rng = np.random.default_rng(0)
    counted = rng.random(20) > 0.3 if holes else np.ones(20, dtype=bool)
    o = outcome(rng.random(20), counted, oracle=rng.random(20))
    found = resampled_means(o, ("oracle", "chosen", "absent"))
    assert set(found) == {"oracle", "chosen", "absent"}
    assert np.isnan(found["absent"]).all()
    for draw in range(0, DRAWS, 97):
        drawn = np.repeat(np.arange(20), resample_counts(20)[draw].astype(int))
        kept = drawn[counted[drawn]]
        for name in ("oracle", "chosen"):
            assert found[name][draw] == pytest.approx(o.columns[name][kept].mean(), rel=1e-12)


def test_a_ratio_takes_above_and_below_from_the_same_prompts() -> None:
    rng = np.random.default_rng(1)
    chosen, best = rng.random(25), rng.random(25)
    ratios = resampled_metrics(outcome(chosen, best_single=best), [METRICS["V_B"]])["V_B"]
    drawn = np.repeat(np.arange(25), resample_counts(25)[3].astype(int))
    assert ratios[3] == pytest.approx(chosen[drawn].mean() / best[drawn].mean(), rel=1e-12)
    # A policy that is the best single model has V_B 1 in every resample, though both means vary.
    assert intervals(outcome(best, best_single=best))["V_B"] == (1.0, 1.0)


def test_two_policies_are_resampled_as_pairs() -> None:
    rng = np.random.default_rng(2)
    one, two = rng.random(40), rng.random(40)
    draws = [resampled_metrics(outcome(column), [METRICS["mu"]])["mu"] for column in (one, two, one - two)]
    np.testing.assert_allclose(draws[0] - draws[1], draws[2], atol=1e-12)


def test_the_interval_is_between_the_outer_fortieths() -> None:
    draws = np.random.default_rng(0).permutation(np.arange(1001) / 1000)
    assert interval(draws) == pytest.approx((0.025, 0.975), abs=1e-12)
    assert interval(draws, level=0.8) == pytest.approx((0.1, 0.9), abs=1e-12)


def test_where_a_resample_has_no_value_there_is_no_interval() -> None:
    assert np.isnan(interval(np.array([0.1, np.nan, 0.3]))).all()


def test_the_interval_is_about_that_of_scipy() -> None:
    values = np.random.default_rng(3).random(200)
    low, high = intervals(outcome(values))["mu"]
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    # The ends of an interval of width 0.08 vary by about 0.002 from one set of 1000 resamples to the next.
    assert low == pytest.approx(theirs.low, abs=0.008)
    assert high == pytest.approx(theirs.high, abs=0.008)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(300):
        low, high = intervals(outcome(coins(150, 0.3, seed)))["mu"]
        covered += low <= 0.3 <= high
    # 95 % of 300 are 285, with a standard deviation of 3.8; the percentile interval falls a little short.
    assert 268 <= covered <= 297


def test_more_prompts_make_a_narrower_interval() -> None:
    widths = [np.subtract(*intervals(outcome(coins(n, 0.5, 0)))["mu"][::-1]) for n in (50, 800)]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.2)  # sqrt(800 / 50)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_a_score_that_never_varies_has_an_interval_of_one_point(value: float) -> None:
    assert intervals(outcome(np.full(12, value)))["mu"] == pytest.approx((value, value), abs=1e-15)


def test_one_prompt_has_an_interval_of_one_point() -> None:
    assert intervals(outcome(np.array([0.5])))["mu"] == (0.5, 0.5)


def test_where_a_resample_may_have_no_prompt_that_counts_there_is_no_interval() -> None:
    counted = np.array([True, False, False, False])
    assert np.isnan(intervals(outcome(np.ones(4), counted))["mu"]).all()
    assert np.isnan(intervals(outcome(np.ones(4), ~counted & counted))["mu"]).all()


def test_prompts_that_do_not_count_do_not_pull_the_mean_down() -> None:
    counted = np.arange(40) % 4 > 0
    assert intervals(outcome(np.ones(40), counted))["mu"] == (1.0, 1.0)


def test_what_has_no_column_has_no_interval_and_shares_are_not_resampled() -> None:
    found = intervals(outcome(coins(30, 0.5, 0)))
    assert list(found) == RESAMPLED
    assert not np.isnan(found["mu"]).any()
    assert np.isnan(found["V_R"]).all()
    assert "choice_entropy" not in found


def test_the_interval_of_a_metric_holds_its_value_and_does_not_depend_on_the_other_metrics() -> None:
    rng = np.random.default_rng(4)
    names = ("oracle", "best_single", "best_single_train", "baseline", "reference", "entropy")
    columns = {name: rng.random(60) + (1 if name == "oracle" else 0.1) for name in names}
    o = outcome(rng.random(60), **columns)
    found = intervals(o)
    for name in RESAMPLED:
        low, high = found[name]
        assert low < METRICS[name](o) < high
        assert interval(resampled_metrics(o, [METRICS[name]])[name]) == pytest.approx((low, high), rel=1e-12)
    renamed = replace(o, model_ids=("other", "names"))
    assert intervals(renamed) == found


def test_resampling_in_blocks_gives_what_resampling_at_once_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    one = outcome(coins(50, 0.3, 1))
    at_once = resampled_means(one, ["chosen"])["chosen"]
    monkeypatch.setattr("routereval.stats.bootstrap.LARGE", 50 * 7)
    np.testing.assert_allclose(resampled_means(one, ["chosen"])["chosen"], at_once, rtol=1e-12)
