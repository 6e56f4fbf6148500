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
from routereval.data.building import PoolPlan, built, with_split
from routereval.data.scaling import published_grid
from routereval.errors import ParameterError, RouterError
from routereval.report.curves import curve_rows, curve_tables, published_rows
from routereval.scaling import ScalingPlan, cost, scale
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


def scenario_of(data: BenchmarkData, pool: np.ndarray, protocol: str) -> rv.Scenario:
    """The pool as ``build`` would make it: models in ascending mean score of the prompts that may be looked at."""
    seen = data.scores if protocol == "paper" else data.scores.rows(np.sort(np.r_[data.split.train, data.split.val]))
    place = np.argsort(np.argsort(np.nan_to_num(seen.model_means, nan=-1.0), kind="stable"))
    ascending = pool[np.argsort(place[pool])]
    candidates = rv.CandidatePool(tuple(data.scores.model_ids[i] for i in ascending), "drawn")
    return replace(data, pools={("drawn", len(pool)): candidates}).scenario("drawn", len(pool))


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("kind", ["binary", "graded", "holes"])
def test_a_router_on_a_random_pool_scores_what_it_scores_when_fitted_on_that_pool_alone(
    kind: str, protocol: str, tmp_path: Path
) -> None:
    data = world(graded=kind == "graded", holes=kind == "holes")
    routers = {"knn": rv.KNN(), "kmeans": rv.KMeans(), "best_single": rv.BestSingle()}
    plan = ScalingPlan(data, [2, 7, 30], list(routers.values()), "test", protocol, draws=4, router_draws=4)
    # Published labels of graded scores depend on the pool, so no fit serves all of them.
    assert all(curve.sliced == ((kind, protocol) != ("graded", "paper")) for curve in plan.curves[2:])
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        points = {(p.spec.policy, p.m): p for p in scale(plan, store)}
    policies = routers | {"oracle": rv.Oracle(), "random": rv.Random()}
    for m in plan.sizes:
        for d, pool in enumerate(plan.pools(m)):
            scenario = scenario_of(data, pool, protocol)
            for name, policy in policies.items():
                alone = rv.evaluate(policy, scenario, protocol=protocol)
                assert points[name, m].means[d] == pytest.approx(alone.mu, abs=1e-6), (name, m, d)


class Whole:
    """The best on the training prompts, always; it says nothing of scoring each model by itself."""

    fits = 0

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Whole:
        type(self).fits += 1
        self.means_ = train.targets.mean(axis=0)
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        return rv.Prediction(np.tile(self.means_, (len(queries), 1)))


def test_a_router_that_no_fit_serves_is_fitted_on_the_first_of_the_same_pools(tmp_path: Path) -> None:
    data, router = world(), Whole()
    plan = ScalingPlan(data, [2, 3, 7, 30], [router], "test", draws=10, router_draws=3, router_sizes=[2, 7, 30])
    Whole.fits = 0
    steps = []
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        before = cost(plan, store)
        drawn = scale(plan, store, lambda: steps.append(1))
        fits = Whole.fits
        assert cost(plan, store).points == 0
        scale(plan, store)
    # Of all models there is but one pool.
    assert Whole.fits == fits == 3 + 3 + 1
    assert (before.points, before.fits, before.steps) == (4 + 4 + 3, 9, 4 + 4 + 9)
    assert len(steps) == before.steps
    curve = {p.m: p for p in drawn if p.spec.policy not in ("oracle", "random")}
    assert list(curve) == [2, 7, 30]
    for m, point in curve.items():
        assert point.spec.draws == len(point.means) == 3
        for mean, pool in zip(point.means, plan.pools(m)[:3], strict=True):
            assert mean == rv.evaluate(router, scenario_of(data, pool, "strict")).mu
    row = next(row for row in curve_rows(drawn) if row["policy"] not in ("oracle", "random"))
    assert row["draws"] == 3


class Stumbles(Whole):
    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Stumbles:
        if len(train.model_ids) > 5:
            raise ValueError("too many for me")
        super().fit(train, val)
        return self


def test_what_was_drawn_before_a_router_fails_is_stored(tmp_path: Path) -> None:
    plan = ScalingPlan(world(), [2, 7], [Stumbles()], "test", draws=4, router_draws=2)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        with pytest.raises(RouterError, match="Stumbles raised ValueError: too many for me"):
            scale(plan, store)
        left = cost(plan, store)
    assert (left.points, left.fits) == (1, 2)


def test_at_all_models_the_curve_is_the_run_on_the_pool_that_build_makes(tmp_path: Path) -> None:
    data = replace(world(), pools={})
    # Twins of prompts, so that a sound split differs from the published one.
    texts = [f"prompt {i % 110}" for i in range(150)]
    data = replace(data, queries=rv.Queries(data.queries.ids, data.queries.embeddings, texts), data_hash="5" * 64)
    for protocol in ("strict", "paper"):
        whole = built(data, PoolPlan(strategies=(), models=("*",)), protocol=protocol).scenario("chosen", 30)
        routers = [rv.KNN(), rv.BestSingle(), rv.MLP(recipe="minibatch")]
        plan = ScalingPlan(with_split(data, protocol), [30], routers, "test", protocol, draws=2, router_draws=1)
        with rv.ResultStore(tmp_path / "r.sqlite") as store:
            points = {p.spec.policy: p for p in scale(plan, store)}
        for name, router in zip(("knn", "best_single", "mlp"), routers, strict=True):
            run = rv.evaluate(router, whole, protocol=protocol, seed=0)
            assert points[name].means == pytest.approx(run.mu, abs=1e-9), (name, protocol)


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
        assert cost(plan, store).points == 0
        more = replace(plan, sizes=[2, 5, 9])
        assert cost(more, store).points == 2
        drawn, pools = [], ScalingPlan.pools
        monkeypatch.setattr(ScalingPlan, "pools", lambda plan, m: drawn.append(m) or pools(plan, m))
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
    with pytest.raises(ParameterError, match="oracle is no router: the oracle and chance are always drawn"):
        ScalingPlan(world(), [2], [rv.Oracle()], "test")
    with pytest.raises(ParameterError, match="at least one pool"):
        ScalingPlan(world(), [2], router_draws=0)
    with pytest.raises(ParameterError, match="scope is 'train'"):
        ScalingPlan(world(), [2], scope="train")


def test_published_curves_stand_beside_ours() -> None:
    rows = published_rows(["gsm8k", "mine"], [1, 0.1 + 0.2, 0.33])
    assert {row["policy"] for row in rows} == {"r_o:p=1, published", "r_o:p=0.3, published"}
    assert rows[0] == {"benchmark": "gsm8k", "policy": "r_o:p=1, published", "m": 2, "mu": 0.5826}


def command(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from routereval import cli

    monkeypatch.setattr("sys.argv", ["routereval", "scale", *words.split()])
    with pytest.raises(SystemExit) as left:
        cli.main()
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err


def test_the_command_prints_a_table_or_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command("demo_math -m 2 -m 10 -r knn --draws 3 --json", monkeypatch, capsys)
    assert code == 0
    assert {(row["policy"], row["m"]) for row in json.loads(out)} == {
        (policy, m)
        for policy in ("oracle", "random", "knn", *(f"r_o:p={k / 10:g}" for k in range(11)))
        for m in (2, 10)
    }
    assert "6 points: 6 new" in err
    code, out, err = command("demo_math -m 2 -m 10 -r knn --draws 3", monkeypatch, capsys)
    assert code == 0
    assert "6 points: 0 new, 6 stored" in err
    assert "demo_math  ·  test prompts  ·  3 random pools of each size" in out
    assert re.findall(r"r_o:p=[\d.]+", out) == ["r_o:p=0.5"]


def test_the_command_draws_the_published_grid_and_prints_a_selection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "demo_math -r mlp:recipe=minibatch --router-draws 1 --draws 4"
    code, out, err = command(words, monkeypatch, capsys)
    assert code == 0
    data = rv.load_benchmark("demo_math")
    models = data.scores.shape[1]
    short = [m for m in (2, 3, 5, 10, 20, 50, 100, 200) if m < models] + [models]
    assert f"mlp: {len(short)} fits, one for each pool (1 pools of each size" in err
    assert [int(m) for m in re.findall(r"^ +(\d+) ", out, re.MULTILINE)] == short
    assert "mlp:recipe=minibatch (1 pools)" in out
    hidden = set(published_grid(models)) - set(short)
    assert f"{len(hidden)} more sizes up to {max(hidden)}: --json, --plot" in err


def test_the_command_draws_a_figure_and_refuses_what_is_none_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = command("demo_math -m 2 --plot curves.gif", monkeypatch, capsys)
    assert code != 0
    assert "its name should end in .png, .svg, .pdf" in err
    assert not (tmp_path / "routereval.sqlite").exists()
    code, _, err = command("demo_math -m 2 -m 5 --draws 3 --plot curves.svg --published", monkeypatch, capsys)
    assert code == 0
    assert "nothing is published on demo_math" in err
    assert "<svg" in (tmp_path / "curves.svg").read_text()
