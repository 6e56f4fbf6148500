"""Groups, tables and rows of stored runs."""

from __future__ import annotations

import io
import math
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
    assert "mean over 3 runs (all_strong, all_weak, strong_to_weak)" in text
    assert "strict: sound" in text
    assert "95 % bootstrap intervals" in text


def test_groups_of_different_size_are_told_apart_below_the_table(runs: list[StoredRun]) -> None:
    uneven = [run for run in runs if run.spec.scenario != "demo_math/all_weak/3"]
    text = text_of(uneven)
    assert "2 runs (all_strong, strong_to_weak): demo_math m=3" in text


def test_rows_have_no_nan(runs: list[StoredRun]) -> None:
    for row in json_rows(runs):
        assert not any(isinstance(value, float) and math.isnan(value) for value in row.values())
