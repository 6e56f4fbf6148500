"""Scaling curves: random pools of every size, drawn once, stored, sliced out of one fit."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import routereval as rv
from routereval.data.benchmark import BenchmarkData
from routereval.errors import ParameterError
from routereval.report.curves import curve_rows, curve_tables
from routereval.scaling import ScalingPlan, missing, pools_of, scale
from routereval.sources.synthetic import Synthetic, SyntheticSpec


def world(*, graded: bool = False, holes: bool = False) -> BenchmarkData:
    spec = SyntheticSpec("scaled", prompts=150, models=30, skills=3, dimensions=8, sizes=(), graded=graded, seed=3)
    data = Synthetic(spec).data
    if not holes:
        return data
    dense = data.scores.dense().copy()
    dense[np.random.default_rng(0).random(dense.shape) < 0.3] = np.nan
    scores = rv.ScoreMatrix.from_dense(dense, data.scores.prompt_ids, data.scores.model_ids, missing=True)
    return replace(data, scores=scores, data_hash="4" * 64, store_dir=None)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("kind", ["binary", "graded", "holes"])
def test_a_router_on_a_random_pool_scores_what_it_scores_when_fitted_on_that_pool_alone(
    kind: str, protocol: str, tmp_path: Path
) -> None:
    if (kind, protocol) == ("graded", "paper"):
        pytest.skip("the published labels depend on the pool: refused, and tested below")
    data = world(graded=kind == "graded", holes=kind == "holes")
    routers = [rv.KNN(), rv.KMeans(), rv.BestSingle()]
    plan = ScalingPlan(data, [2, 7, 30], routers, "test", protocol, draws=4)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        points = {(p.spec.policy, p.m): p for p in scale(plan, store)}
    # As published, candidates stand in ascending mean over all prompts.
    order = np.argsort(np.nan_to_num(data.scores.model_means), kind="stable")
    place = np.argsort(order)
    for m in plan.sizes:
        for d, pool in enumerate(pools_of(plan, m)):
            ascending = pool[np.argsort(place[pool])]
            candidates = rv.CandidatePool(tuple(data.scores.model_ids[i] for i in ascending), "drawn")
            scenario = replace(data, pools={("drawn", m): candidates}).scenario("drawn", m)
            for router, name in zip(routers, ("knn", "kmeans", "best_single"), strict=True):
                alone = rv.evaluate(router, scenario, protocol=protocol)
                assert points[name, m].means[d] == pytest.approx(alone.mu, abs=1e-6), (name, m, d)
            for reference, name in ((rv.Oracle(), "oracle"), (rv.Random(), "random")):
                alone = rv.evaluate(reference, scenario, protocol=protocol)
                assert points[name, m].means[d] == pytest.approx(alone.mu, abs=1e-6), (name, m, d)


def test_drawn_means_lie_around_the_exact_expectation(tmp_path: Path) -> None:
    plan = ScalingPlan(world(), [2, 5, 10, 30], draws=400)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        points = scale(plan, store)
    for point in points:
        assert point.expected is not None
        error = point.means.std(ddof=1) / np.sqrt(len(point.means))
        assert abs(point.means.mean() - point.expected) <= 4.5 * error + 1e-9


def test_what_is_stored_is_not_drawn_again_and_new_sizes_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ScalingPlan(world(), [2, 5], draws=5)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        first = scale(plan, store)
        assert missing(plan, store) == 0
        more = replace(plan, sizes=[2, 5, 9])
        assert missing(more, store) == 2
        drawn = []
        monkeypatch.setattr("routereval.scaling.pools_of", lambda plan, m: drawn.append(m) or pools_of(plan, m))
        again = scale(more, store)
    assert drawn == [9]
    stored = {(p.spec.policy, p.m): p.means.tolist() for p in again}
    assert all(stored[p.spec.policy, p.m] == p.means.tolist() for p in first)


def test_r_o_is_the_oracle_with_probability_p_else_chance(tmp_path: Path) -> None:
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        rows = curve_rows(scale(ScalingPlan(world(), [4], draws=6), store), [0.25])
    by = {row["policy"]: row for row in rows}
    for value in ("mu", "expected"):
        assert by["r_o:p=0.25"][value] == pytest.approx(0.25 * by["oracle"][value] + 0.75 * by["random"][value])
    assert by["oracle"]["mu_low"] < by["oracle"]["mu"] < by["oracle"]["mu_high"]


def test_a_narrow_terminal_gets_more_tables_and_never_less_of_a_number(tmp_path: Path) -> None:
    plan = ScalingPlan(world(), [2, 9], [rv.KNN(), rv.BestSingle()], "test", draws=5)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        rows = curve_rows(scale(plan, store), [0.5])
    for width, tables in ((160, 1), (80, 2), (40, 5)):
        made = curve_tables(rows, "scaled", width)
        assert len(made) == tables
        console = Console(width=width, record=True, file=io.StringIO())
        for table in made:
            console.print(table)
        text = console.export_text()
        assert "…" not in text
        assert len(re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", text)) == 10


def test_a_plan_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="pools of 31 models cannot be drawn from 30"):
        ScalingPlan(world(), [2, 31])
    with pytest.raises(ParameterError, match="draw it on the test prompts"):
        ScalingPlan(world(), [2], [rv.KNN()])
    with pytest.raises(ParameterError, match="mlp cannot be drawn"):
        ScalingPlan(world(), [2], [rv.MLP()], "test")
    with pytest.raises(ParameterError, match="scope is 'train'"):
        ScalingPlan(world(), [2], scope="train")
    plan = ScalingPlan(world(graded=True), [2], [rv.KNN()], "test", "paper")
    with (
        rv.ResultStore(tmp_path / "r.sqlite") as store,
        pytest.raises(ParameterError, match="labels depend on the pool"),
    ):
        scale(plan, store)


def test_the_command_prints_a_table_or_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from routereval import cli

    monkeypatch.chdir(tmp_path)
    for words in (["--json"], []):
        monkeypatch.setattr(
            "sys.argv", ["routereval", "scale", "demo_math", "-m", "2", "-m", "10", "-r", "knn", "--draws", "3", *words]
        )
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 0
        printed = capsys.readouterr()
        if words:
            rows = json.loads(printed.out)
            assert {(row["policy"], row["m"]) for row in rows} == {
                (policy, m) for policy in ("oracle", "random", "knn", "r_o:p=0.5") for m in (2, 10)
            }
            assert "6 points: 6 new" in printed.err
        else:
            assert "6 points: 0 new, 6 stored" in printed.err
            assert "demo_math  ·  test prompts  ·  3 random pools of each size" in printed.out
