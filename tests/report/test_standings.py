"""Routers against each other: ranks, gains, and who is compared on what."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import routereval as rv
from routereval.cli import app
from routereval.data.outcome import Outcome
from routereval.errors import ParameterError
from routereval.report.critical_difference import groups_alike, save_diagram
from routereval.report.standings import Score, standings_of
from routereval.report.standings_table import (
    gain_rows,
    legend,
    markdown,
    overall_rows,
    sentences,
    statement,
)
from routereval.results import StoredRun


def run(
    router: str,
    chosen: list[float],
    *,
    benchmark: str = "one",
    m: int = 3,
    strategy: str = "all",
    seed: int = 0,
    error: str | None = None,
    seconds: float = 3.0,
    protocol: str = "strict",
    encoder: str = "shipped",
) -> StoredRun:
    n = len(chosen)
    columns = {
        "chosen": np.array(chosen),
        "oracle": np.ones(n),
        "best_single": np.full(n, 0.5),
        "best_single_train": np.full(n, 0.5),
        "baseline": np.full(n, 0.5),
    }
    outcome = Outcome(tuple(map(str, range(n))), ("a", "b"), np.ones(n, dtype=bool), columns, np.array([0.5, 0.5]))
    spec = rv.RunSpec(f"{benchmark}/{strategy}/{m}", router, {}, encoder, protocol, seed, "0" * 8)
    result = rv.RunResult(spec, None if error else outcome, seconds, error=error, predict_seconds=1.0)
    return StoredRun.of(result)


GOOD, MIDDLING, BAD = [1.0] * 3 + [0.0], [1.0, 0.0, 1.0, 0.0], [0.0] * 3 + [1.0]


def test_the_lead_over_a_published_baseline_is_of_the_same_prompts_and_is_said() -> None:
    n = 60
    better = [1.0] * 50 + [0.0] * 10
    worse = [1.0] * 40 + [0.0] * 20
    found = standings_of([run("ridge", better), run("knn", worse), run("kmeans", better)])
    by_label = {one.label: one for one in found.complete}
    lead = by_label["ridge"].lead(by_label["knn"])
    assert lead.value == pytest.approx(10 / n)
    # A difference of 10 in 60 prompts: its error is that of the difference, not of either mean.
    half = 1.96 * math.sqrt(10 / n * 50 / n / n)
    assert lead.interval == pytest.approx((10 / n - half, 10 / n + half), abs=0.02)
    assert by_label["ridge"].lead(by_label["kmeans"]) == Score(0.0, (0.0, 0.0))
    (said,) = (line for line in sentences(found) if "published baselines" in line)
    assert said.startswith("ridge less the published baselines, in the mean: ")
    assert "kmeans +0.000" in said
    assert "knn +0.167 [" in said


def test_a_benchmark_that_few_have_is_said_to_be_left_out() -> None:
    few = [run("knn", GOOD), run("knn", BAD, benchmark="rare")]
    found = standings_of([*few, run("kmeans", GOOD), run("ridge", BAD)])
    assert found.benchmarks == ("one",)
    assert found.notes == ("not compared: rare; less than half as many routers have them",)
    assert [line for line in sentences(found) if line.startswith("over all of it: ")]
    assert standings_of([run("knn", GOOD), run("kmeans", BAD)]).notes == ()


def test_ranks_are_means_over_cells_and_equals_share() -> None:
    runs = [run("knn", GOOD), run("kmeans", MIDDLING), run("ridge", MIDDLING)]
    runs += [run("knn", BAD, m=5), run("kmeans", MIDDLING, m=5), run("ridge", GOOD, m=5)]
    found = standings_of(runs)
    assert {one.label: one.rank for one in found.complete} == {"knn": 2.0, "kmeans": 2.25, "ridge": 1.75}
    assert [one.label for one in found.complete] == ["ridge", "knn", "kmeans"]
    assert found.cells == 2


def test_a_benchmark_counts_once_however_many_pools_it_has() -> None:
    runs = [run("knn", GOOD, m=m) for m in (3, 5, 10)] + [run("knn", BAD, benchmark="two")]
    (one,) = standings_of(runs).complete
    assert one.mu.value == pytest.approx((0.75 + 0.25) / 2)
    assert one.gain["one"].value == pytest.approx(0.25)
    assert one.gain["two"].value == pytest.approx(-0.25)
    assert one.mean_gain.value == pytest.approx(0)
    assert one.gap_closed.value == pytest.approx(0)


def test_seeds_are_averaged_before_strategies() -> None:
    runs = [run("knn", GOOD, seed=s) for s in (0, 1, 2)] + [run("knn", BAD, strategy="other")]
    (one,) = standings_of(runs).complete
    assert one.mu.value == pytest.approx((0.75 + 0.25) / 2)
    assert one.V_B_train.value == pytest.approx((1.5 + 0.5) / 2)


def test_seconds_of_fitting_and_predicting_are_apart() -> None:
    (one,) = standings_of([run("knn", GOOD), run("knn", GOOD, seed=1, seconds=5.0)]).complete
    assert (one.fit_seconds, one.predict_seconds) == (3.0, 1.0)


def test_a_router_that_lacks_a_cell_or_failed_in_one_is_set_apart_and_said() -> None:
    runs = [run(name, GOOD, m=m) for name in ("knn", "kmeans") for m in (3, 5)]
    runs += [run("ridge", GOOD), run("mlp", GOOD), run("mlp", GOOD, m=5, error="it broke")]
    found = standings_of(runs)
    assert {one.label for one in found.complete} == {"knn", "kmeans"}
    assert {one.label: (one.cells, one.failed) for one in found.partial} == {"ridge": (1, 0), "mlp": (1, 1)}
    assert found.errors == ("mlp on one/all/5: it broke",)
    assert [row["cells"] for row in overall_rows(found)] == ["2 of 2", "2 of 2", "1 of 2", "1 of 2"]


def test_where_there_is_no_interval_there_are_no_brackets() -> None:
    found = standings_of([run("knn", GOOD)])
    without = Score(0.25, (math.nan, math.nan))
    one = replace(found.complete[0], gap_closed=without, mean_gain=without, gain={"one": without})
    none = replace(found, complete=(one,))
    (overall,), (gain,) = overall_rows(none), gain_rows(none)
    assert (overall["gap closed"], overall["gain"], gain["one"]) == ("0.250", "+0.250", "+0.250")
    assert legend(none) == ["gain: mu less that of the model best on train"]


def test_marks_are_explained_where_they_occur() -> None:
    always, never = [1.0] * 50, [0.0] * 50
    plus, minus, lacks = "+ behind it: all of it is above 0", "- behind it: all of it is below 0", "rank -: the router"
    for runs, expected in (
        ([run("knn", always), run("kmeans", always)], {plus}),
        ([run("knn", never), run("kmeans", never)], {minus}),
        (
            [run(name, always, m=m) for name in ("knn", "mlp") for m in (3, 5)] + [run("ridge", never)],
            {plus, minus, lacks},
        ),
    ):
        (line,) = legend(standings_of(runs))
        assert {part for part in (plus, minus, lacks) if part in line} == expected
    assert legend(standings_of([])) == []


def test_references_take_no_part() -> None:
    assert [one.label for one in standings_of([run("oracle", GOOD), run("knn", BAD)]).complete] == ["knn"]


def test_intervals_are_those_of_resampled_prompts() -> None:
    chosen = np.random.default_rng(0).integers(0, 2, 400).astype(float).tolist()
    (one,) = standings_of([run("knn", chosen)]).complete
    low, high = one.mu.interval
    half = 1.96 * math.sqrt(np.var(chosen) / 400)
    assert high - low == pytest.approx(2 * half, rel=0.1)
    assert one.mean_gain.interval == pytest.approx((low - 0.5, high - 0.5))


def test_what_beats_the_best_single_model_is_said_plainly() -> None:
    always, never = [1.0] * 50, [0.0] * 50
    half = [1.0, 0.0] * 25
    runs = [run("knn", always), run("kmeans", half), run("ridge", never), run("best_single", [0.5] * 50)]
    runs += [run(name, half, benchmark="two") for name in ("knn", "kmeans", "ridge", "best_single")]
    said = sentences(standings_of(runs))
    assert said[0].startswith("one: 1 of 3 routers beat the best single model (knn); 1 fall below it")
    assert said[1] == "two: no router beats the best single model; 0 of 3 fall below it"
    assert all(row["router"] != "best_single" for row in gain_rows(standings_of(runs)))


def test_friedman_agrees_with_a_computation_by_hand() -> None:
    # Three routers always in the same order over four cells: chi2 = 12 N / (k (k + 1)) * (1 + 4 + 9 - 12) = 8, 2 df.
    runs = [
        run(name, chosen, m=m)
        for m in (3, 5, 10, 100)
        for name, chosen in (("knn", GOOD), ("kmeans", MIDDLING), ("ridge", BAD))
    ]
    assert standings_of(runs).friedman_p == pytest.approx(math.exp(-8 / 2))


def test_routers_that_do_not_differ_are_joined() -> None:
    ranks = {"a": 1.0, "b": 1.5, "c": 2.4, "d": 5.0}
    assert groups_alike(ranks, 1.0) == [(0, 1), (1, 2)]
    assert groups_alike(ranks, 10.0) == [(0, 3)]
    assert groups_alike(ranks, 0.1) == []


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_the_diagram_is_drawn_and_names_are_text(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"cd{ending}"
    ranks = {"knn": 1.2, "<b>$x_1$": 2.3, "ridge": 2.5}
    save_diagram(ranks, 1.5, path, note="of a test")
    first = path.read_bytes()
    assert len(first) > 1000
    save_diagram(ranks, 1.5, path, note="of a test")
    if ending == ".png":
        assert path.read_bytes() == first


def test_a_diagram_of_one_router_or_into_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="two at least"):
        save_diagram({"knn": 1.0}, 1.0, tmp_path / "cd.png")
    with pytest.raises(ParameterError, match=r"expected \.png"):
        save_diagram({"knn": 1.0, "ridge": 2.0}, 1.0, tmp_path / "cd.doc")


def test_markdown_cells_cannot_break_the_table() -> None:
    made = markdown([{"a|b": "x"}, {"a|b": "<i>|"}, {"a|b": "+0.1 [-0.2, +0.3] +"}]).splitlines()
    assert (made[0], made[-2]) == ("| a&#124;b |", "| &lt;i&gt;&#124; |")
    # Numbers can be read in the source too.
    assert made[-1] == "| +0.1 [-0.2, +0.3] + |"
    assert markdown([]) == ""


def test_protocols_and_encoders_are_never_averaged_and_one_can_be_chosen() -> None:
    runs = [run("knn", GOOD), run("ridge", BAD)]
    other = [run("knn", BAD, protocol="paper"), run("ridge", GOOD, protocol="paper")]
    with pytest.raises(ParameterError, match=r"2 protocols, paper and strict.*--protocol paper or --protocol strict"):
        standings_of([*runs, *other])
    assert standings_of([*runs, *other], protocol="paper").complete[0].label == "ridge"
    assert standings_of([*runs, run("oracle", GOOD, protocol="paper")]).complete[0].label == "knn"
    encoded = [*runs, run("knn", BAD, encoder="e5"), run("ridge", GOOD, encoder="e5")]
    with pytest.raises(ParameterError, match="one was run with 2 encoders, e5 and shipped"):
        standings_of(encoded)
    assert standings_of(encoded, encoder="e5").complete[0].label == "ridge"
    with pytest.raises(ParameterError, match=r"2 protocols.*; one was run with 2 encoders"):
        standings_of([*encoded, *other])


def test_where_the_runs_come_from_is_stated_once_for_all_that_are_alike() -> None:
    runs = [run("knn", GOOD, seed=seed, benchmark=one) for one in ("one", "two") for seed in (0, 2)]
    version = f"routereval {rv.__version__}"
    alike = f"protocol strict; encoder shipped; seeds 0, 2; data one 00000000, two 00000000; {version}"
    assert statement(standings_of(runs)) == [alike]
    of_three = run("knn", GOOD, benchmark="three", encoder="e5")
    assert statement(standings_of([*runs, of_three])) == [
        alike,
        f"protocol strict; encoder e5; seed 0; data three 00000000; {version}",
    ]


def test_rank_on_the_command_line(tmp_path: Path) -> None:
    file, picture = tmp_path / "r.sqlite", tmp_path / "cd.svg"

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    invoke("run", "demo_math/*/5", "-r", "knn", "-r", "best_single", "-r", "kmeans", "--results", str(file))
    printed = invoke("rank", str(file), "--plot", str(picture))
    assert printed.exit_code == 0
    assert picture.is_file()
    assert "mean ranks differ from" not in printed.stdout  # one cell is too few for Friedman's test
    rows = json.loads(invoke("rank", str(file), "--json").stdout)["routers"]
    assert {row["router"] for row in rows} == {"knn", "best_single", "kmeans"}
    best = next(row for row in rows if row["router"] == "best_single")
    assert best["mean_gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "gain: mu less that of the model best on train" in printed.stdout
    written = invoke("rank", str(file), "--markdown").stdout
    assert written.startswith("| router | rank | mu |")
    assert "\n\ngain: mu less that of the model best on train; \\[ \\]: 95 % bootstrap interval" in written
    stated = "protocol strict; encoder shipped; seed 0; data demo_math "
    assert f"\n- {stated}" in written
    assert stated in printed.stdout
    assert stated in picture.read_text(encoding="utf-8").replace("<!-- ", "")
    (origin,) = json.loads(invoke("rank", str(file), "--json").stdout)["provenance"]
    assert (origin["protocol"], origin["encoder"], origin["seeds"]) == ("strict", "shipped", [0])
    assert len(origin["data"][0]["data_hash"]) == 64
    with pytest.raises(ParameterError, match="no stored run has protocol paper"):
        invoke("rank", str(file), "--protocol", "paper")
