"""A comparison on a terminal: it fits, it says what it means, and names in it do nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.report.comparison import Comparison, compare
from routereval.report.comparison_table import as_text, sentences
from routereval.report.oracle_estimates import KINDS, OracleEstimate


def result(router: str, chosen: np.ndarray, scenario: str = "one/all/3", error: str | None = None) -> rv.RunResult:
    n = len(chosen)
    columns = {name: np.ones(n) for name in ("oracle", "best_single", "best_single_train", "baseline")}
    outcome = Outcome(
        tuple(map(str, range(n))),
        ("a", "b"),
        np.ones(n, dtype=bool),
        columns | {"chosen": chosen},
        np.array([0.5, 0.5]),
    )
    spec = rv.RunSpec(scenario, router, {}, "shipped", "strict", 0, "0" * 8)
    return rv.RunResult(spec, None if error else outcome, 1.0, error=error)


def coins(seed: int, p: float = 0.5, n: int = 80) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < p).astype(float)


ROUTERS = ("knn", "a_router_with_quite_a_long_name", "ridge", "gmm")
SCENARIOS = ("a_long_benchmark_name/strong_to_weak/1000", "one/all_strong/5", "two/all_weak/10")


def several() -> Comparison:
    return compare([result(r, coins(i + 7 * j), s) for i, r in enumerate(ROUTERS) for j, s in enumerate(SCENARIOS)])


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("pairs", ["all", "one"])
def test_it_fits_and_no_number_is_cut(width: int, pairs: str) -> None:
    found = several()
    if pairs == "one":
        runs = [result(r, coins(i + 7 * j), s) for i, r in enumerate(ROUTERS[:2]) for j, s in enumerate(SCENARIOS)]
        found = compare(runs)
    text = as_text(found, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in found.pairs:
        assert f"{row.difference:+.3f}" in text
        assert f"[{row.low:+.3f}, {row.high:+.3f}]" in text
        assert f"{row.wins}/{row.ties}/{row.losses}" in text
    if pairs == "one":
        assert all(f"{row.differ} of {row.clusters}" in text for row in found.by_scenario)


def test_the_wide_table_has_the_means_and_the_uncorrected_p() -> None:
    found = several()
    wide, narrow = as_text(found, 120), as_text(found, 80)
    row = found.pairs[0]
    assert f"{row.first_mean:.3f}" in wide
    assert "p    p Holm" in wide
    assert "p    p Holm" not in narrow


def test_a_pair_that_differs_is_marked_and_the_mark_explained() -> None:
    found = compare([result("knn", coins(0, 0.9)), result("ridge", coins(1, 0.2))])
    text = as_text(found)
    assert "<0.001 *" in text
    assert "*: p below 0.05; +/=/-" in text
    assert "1 of 1 pairs differ at 5 %; tested by McNemar, exact" in text
    assert "0 of 6 pairs differ at 5 %; tested by sign flips (9,999)" in as_text(several())
    assert "corrected for 6 pairs (any false alarm among them at most 5 %)" in " ".join(as_text(several()).split())


def test_what_is_said_is_about_ranks_and_what_prompts_can_tell() -> None:
    said = "\n".join(sentences(several()))
    assert "mean ranks over 3 cells" in said
    assert "Friedman p" in said
    assert "two: 80 prompts cannot tell 3 points apart" in said
    assert "before any correction for several pairs" in said


def test_runs_that_failed_alike_are_one_line() -> None:
    runs = [result(r, coins(i), s) for i, r in enumerate(("knn", "ridge")) for s in SCENARIOS]
    runs += [result("mlp", coins(3), f"one/all/{m}", error="no memory") for m in range(2, 7)]
    assert "failed: mlp on one/all/2, one/all/3, one/all/4 and 2 more: no memory" in " ".join(
        as_text(compare(runs)).split()
    )


def test_more_pairs_than_fit_on_a_screen_are_counted() -> None:
    text = as_text(compare([result(f"r{i}", coins(i)) for i in range(12)]))
    assert "26 more pairs: --json" in text
    assert text.count("\n") < 80


def test_how_it_was_computed_is_stated() -> None:
    text = " ".join(as_text(several()).split())
    data = "a_long_benchmark_name 00000000, one 00000000, two 00000000"
    assert f"protocol strict; encoder shipped; seed 0; data {data}; routereval {rv.__version__} 1,000" in text
    assert f"1,000 resamples, their seed 0; computed by routereval {rv.__version__}" in text
    runs = [replace(one, spec=replace(one.spec, seed=s)) for s in (3, 5) for one in (result("knn", coins(s)),)]
    assert "encoder shipped; seeds 0, 3, 5; data one" in as_text(compare([*runs, result("ridge", coins(1))]))


HOSTILE = "\x1b[31m[bold]x[/bold]\u202e<script>"


def test_names_of_strangers_are_text() -> None:
    runs = [result(HOSTILE, coins(0), f"{HOSTILE}/all/3"), result("knn", coins(1), f"{HOSTILE}/all/3")]
    runs += [result("mlp", coins(2), f"{HOSTILE}/all/3", error=HOSTILE)]
    for width in (80, 120):
        text = as_text(compare(runs), width)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert r"\x1b[31m[bold]x[/bold]\u202e<script>" in text.replace("\n", "")


def hindsight(scenario: str, kind: str) -> OracleEstimate:
    half = (0.25, 0.75)
    return OracleEstimate(scenario, "strict", "shipped", kind, 5, 1, 80, 0.5, half, 0.4, half)


def test_hindsight_fits_beside_names_that_can_be_read() -> None:
    rows = tuple(hindsight(SCENARIOS[0], kind) for kind in KINDS)
    found = replace(several(), oracles=rows)
    for width, inside in ((80, False), (120, True)):
        text = as_text(found, width)
        assert max(map(len, text.splitlines())) <= width
        assert ("best router" in text) is inside
        assert (text.count("in hindsight") > 1) is inside  # the legend has it once
        assert "a_long_benchmark_name" in text
        assert text.count("[0.250, 0.750]") == (4 if inside else 3)
    many = replace(found, oracles=tuple(hindsight(f"one/all/{m}", "best model") for m in range(2, 16)))
    assert "2 more scenarios: --scenario, --json" in as_text(many)
