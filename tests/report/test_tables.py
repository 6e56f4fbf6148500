"""Groups, tables and rows of stored runs."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import routereval as rv
from routereval.report.groups import groups_of
from routereval.report.rows import json_rows
from routereval.report.tables import results_table
from routereval.results import StoredRun

STRATEGIES = ("all_strong", "all_weak", "strong_to_weak")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[StoredRun]:
    results = tmp_path_factory.mktemp("results") / "r.sqlite"
    return rv.run(["demo_math/*/3", "demo_math/*/5"], ["oracle", "knn", "best_single"], results=results)


def test_routers_whose_means_differ_by_the_order_of_a_sum_are_the_best_together(runs: list[StoredRun]) -> None:
    knn = {run.spec.scenario: run for run in runs if run.spec.router == "knn" and run.spec.m == 3}
    turned = dict(zip(knn, reversed(knn.values()), strict=True))
    ridge = [replace(run, spec=replace(knn[where].spec, router="ridge")) for where, run in turned.items()]
    given = [
        replace(run, metrics=run.metrics | {"mu": mu})
        for run, mu in zip([*knn.values(), *ridge], (0.1, 0.2, 0.3, 0.3, 0.2, 0.1), strict=True)
    ]
    assert [(group.router, group.best) for group in groups_of(given)] == [("knn", True), ("ridge", True)]


def text_of(runs: list[StoredRun]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(results_table(runs))
    return console.export_text()


def as_published(run: StoredRun) -> StoredRun:
    """The same run, said to be of a published benchmark under the paper's rules."""
    scenario = run.spec.scenario.replace("demo_math", "gsm8k")
    return replace(run, spec=replace(run.spec, scenario=scenario, protocol="paper"))


def test_a_group_is_the_unweighted_mean_over_strategies_for_ratios_too(runs: list[StoredRun]) -> None:
    groups = {(g.m, g.router): g for g in groups_of(runs)}
    assert len(groups) == 6
    members = [run for run in runs if run.spec.router == "knn" and run.spec.m == 5]
    assert sorted(run.spec.scenario.split("/")[1] for run in members) == sorted(STRATEGIES)
    for name in ("mu", "V_B", "E_p"):
        assert groups[5, "knn"].values[name] == pytest.approx(np.mean([run.metrics[name] for run in members]))


def test_the_tables_state_where_their_runs_come_from(runs: list[StoredRun]) -> None:
    data = f"data demo_math {runs[0].spec.data_hash[:8]}; routereval {rv.__version__}"
    assert f"protocol strict; encoder shipped; seed 0; {data}" in text_of(runs)
    more = [replace(runs[0], spec=replace(runs[0].spec, seed=7, protocol="paper"))]
    assert f"protocol paper; encoder shipped; seed 7; {data}" in text_of([*runs, *more])


def test_the_interval_of_a_mean_is_that_of_paired_resamples(runs: list[StoredRun]) -> None:
    (group,) = [g for g in groups_of(runs) if (g.m, g.router) == (5, "knn")]
    low, high = group.intervals["mu"]
    per_prompt = np.mean(
        [run.outcome.columns["chosen"] for run in runs if run.spec.router == "knn" and run.spec.m == 5], axis=0
    )
    # The mean over strategies is one value per prompt; its normal interval is close to the bootstrap's.
    half = 1.96 * per_prompt.std(ddof=1) / math.sqrt(len(per_prompt))
    assert low == pytest.approx(per_prompt.mean() - half, abs=0.015)
    assert high == pytest.approx(per_prompt.mean() + half, abs=0.015)


def test_the_best_router_is_marked_and_a_reference_never(runs: list[StoredRun]) -> None:
    for m in (3, 5):
        cells = [g for g in groups_of(runs) if g.m == m]
        best = [g for g in cells if g.best]
        assert [g.router for g in best] == ["knn"]
        assert next(g for g in cells if g.router == "oracle").values["mu"] > best[0].values["mu"]


def test_a_failed_member_leaves_no_average(runs: list[StoredRun]) -> None:
    broken = [
        replace(run, error="RouterError: no", outcome=None, metrics={}, intervals={})
        if run.spec.router == "knn" and run.spec.scenario == "demo_math/all_weak/3"
        else run
        for run in runs
    ]
    (group,) = [g for g in groups_of(broken) if (g.m, g.router) == (3, "knn")]
    assert group.values == {}
    assert not group.best
    text = text_of(broken)
    assert "1 of 3 failed" in text
    assert "failed: knn on demo_math/all_weak/3: RouterError: no" in text


def test_the_published_value_stands_beside_ours_where_the_same_cell_was_published(runs: list[StoredRun]) -> None:
    text = text_of([as_published(run) for run in runs])
    assert "0.87 / 0.95 / 1.29 / 1.10" in text  # oracle, gsm8k, m = 3 (facts/published_results.csv)
    assert "published: Huang et al. 2025" in text
    assert "not the same data: gsm8k (92 test prompts" in text


def test_no_published_value_stands_beside_other_parameters_or_fewer_strategies(runs: list[StoredRun]) -> None:
    published = [as_published(run) for run in runs]
    changed = [replace(run, spec=replace(run.spec, params={"k": 50})) for run in published if run.spec.router == "knn"]
    assert all(g.published is None for g in groups_of(changed))
    fewer = [run for run in published if "/all_weak/" not in run.spec.scenario]
    assert all(g.published is None for g in groups_of(fewer))


def test_the_table_says_what_it_averages_over_and_by_which_rules(runs: list[StoredRun]) -> None:
    text = text_of(runs)
    assert "each number is the mean over 3 strategies (all_strong, all_weak, strong_to_weak)" in text
    assert "strict: sound" in text
    assert "95 % bootstrap intervals" in text


def test_groups_of_different_size_are_told_apart_below_the_table(runs: list[StoredRun]) -> None:
    uneven = [run for run in runs if run.spec.scenario != "demo_math/all_weak/3"]
    text = text_of(uneven)
    assert "the mean over 2 strategies (all_strong, strong_to_weak): demo_math m=3 best_single" in text
    assert "the mean over 3 strategies (all_strong, all_weak, strong_to_weak): demo_math m=5 best_single" in text


def test_a_router_that_lacks_a_strategy_says_so_and_is_not_compared(runs: list[StoredRun]) -> None:
    fewer = [run for run in runs if run.spec.router != "knn" or run.spec.scenario != "demo_math/all_weak/3"]
    (knn,) = [g for g in groups_of(fewer) if (g.m, g.router) == (3, "knn")]
    (best,) = [g for g in groups_of(fewer) if g.m == 3 and g.best]
    assert knn.values["mu"] > best.values["mu"]
    assert best.router == "best_single"
    assert "knn (all_strong, strong_to_weak only)" in text_of(fewer)


def test_seeds_are_averaged_within_a_strategy_first(runs: list[StoredRun]) -> None:
    members = [run for run in runs if run.spec.router == "knn" and run.spec.m == 3]
    one = members[0]
    again = [replace(one, spec=replace(one.spec, seed=seed)) for seed in range(1, 6)]
    (group,) = groups_of([*members, *again])
    assert group.seeds == (0, 1, 2, 3, 4, 5)
    assert group.values["mu"] == pytest.approx(np.mean([run.metrics["mu"] for run in members]))
    assert "the mean over 3 strategies (all_strong, all_weak, strong_to_weak) x 6 seeds" in text_of([*members, *again])


def test_runs_on_other_data_of_the_same_name_stand_in_a_table_of_their_own(runs: list[StoredRun]) -> None:
    older = [
        replace(run, spec=replace(run.spec, data_hash="0" * 64), ended="2020-01-01T00:00:00+00:00") for run in runs
    ]
    groups = groups_of([*older, *runs])
    assert [g.data_hash for g in groups[: len(groups) // 2]] == [runs[0].spec.data_hash] * (len(groups) // 2)
    assert {g.data_hash for g in groups[len(groups) // 2 :]} == {"0" * 64}
    text = text_of([*older, *runs])
    assert "data 00000000, run 2020-01-01" in text
    assert f"data {runs[0].spec.data_hash[:8]}" in text
    assert "data 0" not in text_of(older)


def test_of_two_versions_of_a_router_the_newer_is_compared(runs: list[StoredRun]) -> None:
    def version(code: str, ended: str) -> list[StoredRun]:
        members = [run for run in runs if run.spec.router == "knn"]
        spec = {"router": "mine:Mine", "params": {}, "code": code}
        return [replace(run, spec=replace(run.spec, **spec), ended=ended) for run in members]

    both = [*version("a" * 64, "2026-01-01"), *version("b" * 64, "2026-01-02")]
    groups = groups_of(both)
    assert {(g.code[0], g.superseded, g.best) for g in groups} == {("a", True, False), ("b", False, True)}
    assert text_of(both).count("mine:Mine (earlier code)") == 2


def test_a_predictions_file_with_a_routers_name_is_no_version_of_it(runs: list[StoredRun]) -> None:
    knn = [run for run in runs if run.spec.router == "knn"]
    file = [replace(run, spec=replace(run.spec, router="file:knn"), ended="2027-01-01") for run in knn]
    groups = groups_of([*knn, *file])
    assert {g.router for g in groups} == {"knn", "file:knn"}
    assert not any(g.superseded for g in groups)


def test_a_narrow_terminal_loses_columns_and_never_a_digit_or_an_interval(runs: list[StoredRun]) -> None:
    def shown(width: int) -> str:
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(results_table(runs, width))
        return console.export_text()

    for width, metrics in ((160, 4), (80, 4), (66, 3), (52, 2), (38, 1)):
        text = shown(width)
        assert "…" not in text, width
        assert text.count("[95 %]") == metrics, width
        # Six cells of each metric, each with its number and its interval.
        assert len(re.findall(r"\d\.\d{3}", text)) == 6 * metrics, width
        assert len(re.findall(r"\[\d\.\d\d, \d\.\d\d\]", text)) == 6 * metrics, width
        assert ("leaves out" in " ".join(text.split())) is (metrics < 4), width


def test_few_test_prompts_are_said(runs: list[StoredRun]) -> None:
    assert "few test prompts" not in text_of(runs)
    few = [
        replace(run, outcome=replace(run.outcome, counted=np.arange(92) < 7)) for run in runs if run.outcome is not None
    ]
    assert "few test prompts, so differences mean little: demo_math has 7" in text_of(few)


def test_no_runs_are_said_to_be_none() -> None:
    assert "no runs are stored yet" in text_of([])


def test_rows_have_no_nan(runs: list[StoredRun]) -> None:
    for row in json_rows(runs):
        assert not any(isinstance(value, float) and math.isnan(value) for value in row.values())
