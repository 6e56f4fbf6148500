"""What the paper's tables hold: means, intervals, the best, the published; what is failed, missing, mixed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.data.scores import ScoreMatrix
from routereval.errors import ParameterError, ResultsError, UnknownNameError
from routereval.metrics import METRICS
from routereval.report.arranging import arranged
from routereval.report.paper_tables import ABSENT, FAILED, INCOMPLETE, WHOLE
from routereval.report.slicing import shortened, sliced
from routereval.report.table_notes import provenance
from routereval.results import ResultStore, RunSpec, StoredRun
from routereval.results.records import ScenarioRecord

STRATEGIES = ("all_strong", "all_weak", "strong_to_weak")
DATA = "d" * 64


def run(
    router: str, scenario: str, chosen: Sequence[float], *, best_single: float = 0.5, **changed: object
) -> StoredRun:
    """A run that scored this on its prompts; the best single model scored ``best_single`` on each."""
    n = len(chosen)
    columns = {
        "chosen": np.array(chosen, dtype=np.float64),
        "best_single": np.full(n, best_single),
        "oracle": np.ones(n),
        "entropy": np.full(n, 1.5),
    }
    choices = np.zeros(n, dtype=np.int32)
    outcome = Outcome(
        tuple(map(str, range(n))), ("a", "b"), np.ones(n, dtype=np.bool_), columns, np.array([1.0, 0.0]), choices
    )
    with np.errstate(all="ignore"):
        metrics = {
            name: metric(outcome) for name, metric in METRICS.items() if set(metric.columns) <= {*columns, "share"}
        }
    spec = RunSpec(scenario, router, {}, "shipped", "paper", 0, DATA)
    fields = {name: changed.pop(name) for name in list(changed) if name in RunSpec.__dataclass_fields__}
    made = StoredRun(
        replace(spec, **fields), metrics, {}, 0.1, None, (), {"routereval": "0.1.0"}, outcome, "2026-01-01"
    )
    return replace(made, **changed)


def failed(router: str, scenario: str, error: str = "RouterError: no") -> StoredRun:
    return replace(run(router, scenario, [0.0]), error=error, outcome=None, metrics={})


def everywhere(router: str, benchmark: str, *chosen: Sequence[float], m: int = 3, **changed: object) -> list[StoredRun]:
    return [run(router, f"{benchmark}/{s}/{m}", c, **changed) for s, c in zip(STRATEGIES, chosen, strict=True)]


def cell_of(made: rv.report.tabling.Tables, label: str, key: str, m: int = 3, table: int = 0):
    (row,) = [row for row in made.tables[table].rows if (row.shown, row.m) == (label, m)]
    return row.cell(key)


THREE = ([1, 0, 1, 1], [0, 0, 1, 1], [1, 0, 0, 0])
"""Means 3/4, 1/2, 1/4."""


def test_a_number_is_the_mean_over_strategies_of_ratios_too() -> None:
    runs = [
        run("knn", "gsm8k/all_strong/3", THREE[0], best_single=0.75),
        run("knn", "gsm8k/all_weak/3", THREE[1], best_single=0.25),
        run("knn", "gsm8k/strong_to_weak/3", THREE[2], best_single=0.5),
    ]
    cell = cell_of(rv.tables(runs), "knn", "gsm8k")
    assert cell.status == WHOLE
    assert cell.numbers["mu"].value == pytest.approx(0.5)
    assert cell.numbers["V_B"].value == pytest.approx((1 + 2 + 0.5) / 3)
    assert math.isnan(cell.numbers["V_R"].value)  # nobody published a reference for these runs
    assert cell.prompts == 4


def test_every_number_has_the_interval_of_paired_resamples() -> None:
    always = cell_of(rv.tables(everywhere("knn", "gsm8k", [1, 1], [1, 1], [1, 1])), "knn", "gsm8k").numbers["mu"]
    assert (always.low, always.high) == (1.0, 1.0)
    half = np.r_[np.ones(200), np.zeros(200)]
    mu = cell_of(rv.tables(everywhere("knn", "gsm8k", half, half, half)), "knn", "gsm8k").numbers["mu"]
    # The three strategies share their prompts: 1.96 sqrt(0.25 / 400) = 0.049, not smaller by sqrt(3).
    assert mu.low == pytest.approx(0.451, abs=0.008)
    assert mu.high == pytest.approx(0.549, abs=0.008)


def test_the_best_of_each_column_and_block_is_no_reference_and_no_control() -> None:
    runs = [
        *everywhere("oracle", "gsm8k", [1, 1], [1, 1], [1, 1]),
        *everywhere("majority", "gsm8k", [1, 1], [1, 1], [1, 0]),
        *everywhere("knn", "gsm8k", [1, 1], [1, 0], [1, 0]),
        *everywhere("kmeans", "gsm8k", [1, 0], [1, 0], [1, 0]),
        *everywhere("kmeans", "gsm8k", [1, 0], [1, 0], [1, 0], m=5),
    ]
    made = rv.tables(runs, metrics=["mu", "regret", "E_p"])
    best = {
        (row.m, row.label, name)
        for row in made.tables[0].rows
        for name, number in row.cell("gsm8k").numbers.items()
        if number.best
    }
    # Less regret is better; more or less entropy is neither.
    assert best == {(3, "knn", "mu"), (3, "knn", "regret"), (5, "kmeans", "mu"), (5, "kmeans", "regret")}
    blocks = [(m, [[row.label for row in rows] for rows in kinds]) for m, kinds in made.tables[0].blocks]
    assert blocks == [(3, [["oracle"], ["knn", "kmeans"], ["majority"]]), (5, [["kmeans"]])]


def test_equal_values_are_all_the_best() -> None:
    runs = [*everywhere("knn", "gsm8k", *THREE), *everywhere("kmeans", "gsm8k", *THREE)]
    made = rv.tables(runs)
    assert all(cell_of(made, name, "gsm8k").numbers["mu"].best for name in ("knn", "kmeans"))


def test_a_failed_run_leaves_a_cell_failed_and_its_mistake_told_once() -> None:
    runs = [
        *everywhere("knn", "gsm8k", *THREE)[:1],
        failed("knn", "gsm8k/all_weak/3"),
        failed("knn", "gsm8k/strong_to_weak/3"),
        *everywhere("kmeans", "gsm8k", [0, 0], [0, 0], [0, 1]),
    ]
    made = rv.tables(runs)
    cell = cell_of(made, "knn", "gsm8k")
    assert (cell.status, dict(cell.numbers)) == (FAILED, {})
    assert cell_of(made, "kmeans", "gsm8k").numbers["mu"].best
    told = [note for note in made.tables[0].notes if note.startswith("failed")]
    assert told == ["failed: knn on gsm8k/all_weak/3, gsm8k/strong_to_weak/3: RouterError: no"]


def test_a_mean_over_fewer_strategies_or_uneven_seeds_is_incomplete_and_never_the_best() -> None:
    runs = [
        *everywhere("knn", "gsm8k", [1, 1], [1, 1], [1, 1])[:2],
        *everywhere("linear", "gsm8k", [1, 1], [1, 1], [1, 1]),
        run("linear", "gsm8k/all_weak/3", [1, 1], seed=1),
        *everywhere("kmeans", "gsm8k", [1, 0], [1, 0], [1, 0]),
    ]
    made = rv.tables(runs)
    assert cell_of(made, "knn", "gsm8k").status == INCOMPLETE
    assert cell_of(made, "linear", "gsm8k").status == INCOMPLETE
    assert not cell_of(made, "knn", "gsm8k").numbers["mu"].best
    (note,) = [note for note in made.tables[0].notes if note.startswith("incomplete")]
    assert "knn on GSM8k (5-shot), m = 3 (all_strong, all_weak only)" in note
    assert "linear on GSM8k (5-shot), m = 3 (4 runs of all_strong, all_weak, strong_to_weak)" in note


def test_what_was_not_run_is_absent_and_benchmarks_stand_in_the_papers_order() -> None:
    runs = [
        *everywhere("knn", "zzz", *THREE),
        *everywhere("kmeans", "gsm8k", *THREE),
        *everywhere("knn", "mmlu_pro", *THREE),
        *everywhere("knn", "arc", *THREE),
    ]
    (table,) = rv.tables(runs)
    assert [one.key for one in table.across] == ["arc", "gsm8k", "mmlu_pro", "zzz"]
    assert [row.label for row in table.rows] == ["knn", "kmeans"]
    assert table.rows[0].cell("gsm8k").status == ABSENT


def test_protocols_encoders_and_data_never_share_a_table() -> None:
    runs = [
        *everywhere("knn", "gsm8k", *THREE),
        *everywhere("knn", "gsm8k", *THREE, protocol="strict"),
        *everywhere("knn", "gsm8k", *THREE, encoder="wordllama"),
        *everywhere("knn", "gsm8k", *THREE, data_hash="0" * 64, ended="2020-01-01"),
        *everywhere("knn", "arc", *THREE, data_hash="a" * 64),
    ]
    made = rv.tables(runs)
    keys = [(one.key.protocol, one.key.encoder, one.key.age, len(one.across)) for one in made]
    assert keys == [
        ("paper", "shipped", 0, 2),
        ("paper", "shipped", 1, 1),
        ("paper", "wordllama", 0, 1),
        ("strict", "shipped", 0, 1),
    ]
    assert "data of an earlier state, which have since changed under the same name" in made.tables[1].notes
    assert provenance(made.tables[0]) == (
        "protocol paper; encoder shipped; seed 0; data arc aaaaaaaaaaaa, gsm8k dddddddddddd; routereval 0.1.0"
    )


def test_mixed_versions_and_seeds_are_said() -> None:
    runs = [
        *everywhere("knn", "gsm8k", *THREE, seed=0),
        *everywhere("linear", "gsm8k", *THREE, seed=0, versions={"routereval": "0.2.0", "numpy": "2.0"}),
        *everywhere("linear", "gsm8k", *THREE, seed=7),
    ]
    (table,) = rv.tables(runs)
    assert "seeds 0, 7" in provenance(table)
    assert "routereval 0.1.0, 0.2.0" in provenance(table)
    (note,) = [note for note in table.notes if note.startswith("mixed")]
    assert note.endswith("routereval 0.1.0 and 0.2.0")
    assert "not over every seed: knn (0)" in table.notes
    assert cell_of(rv.tables(runs), "linear", "gsm8k").versions == ("0.1.0", "0.2.0")


def test_the_published_number_stands_beside_ours_with_the_difference() -> None:
    runs = [
        *everywhere("knn", "gsm8k", *THREE),
        *everywhere("best_single", "gsm8k", *THREE),
        *everywhere("kmeans", "arc", *THREE),
    ]
    made = rv.tables(runs, published=True)
    mu = cell_of(made, "knn", "gsm8k").numbers["mu"]
    assert mu.published == 0.70  # facts/published_results.csv
    assert mu.difference == pytest.approx(0.5 - 0.70)
    assert cell_of(made, "best_single", "gsm8k").numbers["mu"].published is None
    # Of a benchmark that is in the table, what we have not run has the published number alone.
    arc = cell_of(made, "knn", "arc")
    assert (arc.status, arc.numbers["mu"].published, arc.numbers["mu"].difference) == (ABSENT, 0.60, None)
    notes = " ".join(made.tables[0].notes)
    assert "not the same data as published: ARC (challenge, 25-shot) (4 test prompts; published: about 117)" in notes
    assert "published, not run here: linear, mlc, mlp, oracle, r_o:p=0.5, random" in notes
    assert "made by the rules of paper" not in notes


def test_published_numbers_beside_other_rules_are_said_to_be_of_other_rules() -> None:
    (table,) = rv.tables(everywhere("knn", "gsm8k", *THREE, protocol="strict"), published=True)
    assert "the published numbers were made by the rules of paper, ours by those of strict" in table.notes


def test_no_published_number_stands_beside_a_mean_over_a_further_strategy() -> None:
    runs = [*everywhere("knn", "gsm8k", *THREE), run("knn", "gsm8k/random/3", [1, 1, 1, 1])]
    made = rv.tables(runs, published=True)
    assert cell_of(made, "knn", "gsm8k").numbers["mu"].value == pytest.approx(0.625)
    assert not made.tables[0].published


def test_ones_own_table_of_a_published_name_has_no_published_number() -> None:
    (table,) = rv.tables([run("knn", "gsm8k/all/3", [1, 0])], published=True)
    assert not table.published
    assert table.across[0].title == "gsm8k"


def test_by_strategy_each_has_its_column_and_its_own_best() -> None:
    runs = [
        *everywhere("knn", "gsm8k", *THREE),
        *everywhere("kmeans", "gsm8k", [0, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]),
    ]
    made = rv.tables(runs, by="strategy")
    assert [one.key for one in made.tables[0].across] == list(STRATEGIES)
    assert made.tables[0].title == "GSM8k (5-shot), by strategy"
    values = [cell_of(made, "knn", s).numbers["mu"] for s in STRATEGIES]
    assert [(one.value, one.best) for one in values] == [(0.75, True), (0.5, False), (0.25, True)]
    assert "a number is of one strategy" in made.tables[0].notes


def record(scenario: str, subsets: Sequence[str] | None, n: int = 4) -> ScenarioRecord:
    ids = tuple(map(str, range(n)))
    scores = ScoreMatrix.from_dense(np.ones((n, 2)), ids, ("a", "b"))
    return ScenarioRecord(
        scenario,
        DATA,
        ids,
        None if subsets is None else tuple(subsets),
        np.arange(n, dtype=np.int32),
        scores,
        np.ones(2),
    )


def test_by_subset_a_number_is_the_mean_over_the_subsets_prompts() -> None:
    runs = [*everywhere("knn", "own", *THREE), *everywhere("kmeans", "own", [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0])]
    records = {(f"own/{s}/3", DATA): record(f"own/{s}/3", ["q_easy", "q_hard", "q_hard", "q_hard"]) for s in STRATEGIES}
    (part,) = sliced(runs, "subset", ("mu", "V_B"), records)
    (table,) = arranged(part.placed, "subset", ("mu", "V_B"))
    assert [(one.key, one.title, one.prompts) for one in table.across] == [("q_easy", "easy", 1), ("q_hard", "hard", 3)]
    cells = {row.label: row.cells for row in table.rows}
    # Prompt 0: 1, 0, 1. Prompts 1 to 3: 2/3, 2/3, 0.
    assert cells["knn"]["q_easy"].numbers["mu"].value == pytest.approx(2 / 3)
    assert cells["knn"]["q_hard"].numbers["mu"].value == pytest.approx(4 / 9)
    assert cells["knn"]["q_hard"].numbers["V_B"].value == pytest.approx(8 / 9)
    assert cells["kmeans"]["q_easy"].numbers["mu"].best
    assert not cells["kmeans"]["q_hard"].numbers["mu"].best
    hard = cells["knn"]["q_hard"].numbers["mu"]
    assert 0 <= hard.low < hard.value < hard.high <= 1


def test_a_failed_run_is_failed_in_every_subset() -> None:
    runs = [failed("knn", "own/all/3"), run("kmeans", "own/all/3", [1, 1, 0, 0])]
    (part,) = sliced(runs, "subset", ("mu",), {("own/all/3", DATA): record("own/all/3", ["x", "x", "y", "y"])})
    (table,) = arranged(part.placed, "subset", ("mu",))
    assert {one.status for one in table.rows[0].cells.values()} == {FAILED}


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    """Sixty prompts in two subsets; model a solves those of x, model b those of y."""
    lines = ["prompt,subset,a,b"]
    lines += [f"question {i} of {'xy'[i % 2]} {i * 7919},{'xy'[i % 2]},{1 - i % 2},{i % 2}" for i in range(60)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_results_file_knows_the_subsets_of_what_was_run(table_file: Path, tmp_path: Path) -> None:
    results = tmp_path / "r.sqlite"
    rv.run([str(table_file)], ["best_single", "oracle"], results=results)
    made = rv.tables(results, by="subset")
    (row,) = [row for row in made.tables[0].rows if row.label == "best_single"]
    # One model for all: right on everything of one subset and on nothing of the other.
    assert sorted(cell.numbers["mu"].value for cell in row.cells.values()) == [0.0, 1.0]
    assert made.tables[0].metrics == ("mu",)


def test_a_file_that_does_not_know_subsets_says_so(tmp_path: Path) -> None:
    results = tmp_path / "r.sqlite"
    rv.run(["demo_math/*/3"], ["random"], results=results)
    with ResultStore(results) as store:
        store._connection.execute("DELETE FROM scenarios")
        store._connection.commit()
    with pytest.raises(ResultsError, match="which subset a prompt of demo_math belongs to"):
        rv.tables(results, by="subset")


def test_only_what_is_asked_for_is_shown_and_nothing_is_said_to_be_nothing() -> None:
    runs = [*everywhere("knn", "gsm8k", *THREE), *everywhere("knn", "gsm8k", *THREE, m=5, protocol="strict")]
    (table,) = rv.tables(runs, sizes=[5], metrics=["V_B"])
    assert {row.m for row in table.rows} == {5}
    assert set(table.rows[0].cell("gsm8k").numbers) == {"V_B"}
    assert [one.key.protocol for one in rv.tables(runs, protocol="paper")] == ["paper"]
    with pytest.raises(ResultsError, match=r"no stored run has m = 7; there are m = 3 \(paper\), m = 5 \(strict\)"):
        rv.tables(runs, sizes=[7])
    with pytest.raises(ResultsError, match="no runs to show are stored yet"):
        rv.tables([])


def test_mistakes_name_what_there_is() -> None:
    runs = everywhere("knn", "gsm8k", *THREE)
    with pytest.raises(UnknownNameError, match="mu"):
        rv.tables(runs, metrics=["mus"])
    with pytest.raises(UnknownNameError, match="benchmark"):
        rv.tables(runs, by="benchmarks")
    with pytest.raises(UnknownNameError, match="strict"):
        rv.tables(runs, protocol="strikt")
    with pytest.raises(ParameterError, match="by strategy"):
        rv.tables(runs, by="strategy", published=True)
    with pytest.raises(ParameterError, match="models_used"):
        rv.tables(runs, by="subset", metrics=["models_used"])
    with pytest.raises(ParameterError, match="results file"):
        rv.tables(runs, by="subset")


def test_runs_of_learning_curves_and_damaged_rows_are_left_out_and_said_to_be() -> None:
    runs = [
        *everywhere("knn", "gsm8k", *THREE),
        *everywhere("knn", "gsm8k", [0, 0], [0, 0], [0, 0], train_size=50),
        replace(failed("?", "?"), error="the stored row is damaged"),
    ]
    made = rv.tables(runs)
    assert [row.label for row in made.tables[0].rows] == ["knn"]
    assert made.notes == (
        "3 runs on a part of the training prompts are left out: they are of learning curves",
        "1 damaged rows of the file are left out; routereval results lists them",
    )


def test_versions_of_a_router_and_a_predictions_file_of_its_name_are_told_apart() -> None:
    runs = [
        *everywhere("mine:Mine", "gsm8k", [1, 1], [1, 1], [1, 1], code="a" * 64, ended="2026-01-01"),
        *everywhere("mine:Mine", "gsm8k", [1, 0], [1, 0], [1, 0], code="b" * 64, ended="2026-01-02"),
        *everywhere("knn", "gsm8k", *THREE, ended="2026-01-03"),
        *everywhere("file:knn", "gsm8k", *THREE, ended="2026-01-03"),
    ]
    made = rv.tables(runs)
    labels = [row.shown for row in made.tables[0].rows]
    assert sorted(labels) == ["knn", "knn (predictions file)", "mine:Mine", "mine:Mine (earlier code aaaaaa)"]
    assert not cell_of(made, "mine:Mine (earlier code aaaaaa)", "gsm8k").numbers["mu"].best


def test_what_runs_say_of_themselves_stands_below_with_the_scenarios() -> None:
    runs = [replace(one, notes=("pools saw the test prompts",)) for one in everywhere("knn", "gsm8k", *THREE)]
    (table,) = rv.tables(runs)
    said = "pools saw the test prompts (gsm8k/all_strong/3, gsm8k/all_weak/3, gsm8k/strong_to_weak/3)"
    assert said in table.notes
    assert "few test prompts, so differences mean little: GSM8k (5-shot) has 4" in table.notes


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["mmlu_anatomy_5", "mmlu_world_religions_5"], ["anatomy", "world_religions"]),
        (["bbh_a", "bbh_b"], ["a", "b"]),
        (["a", "a_b"], ["a", "a_b"]),
        (["x", "y"], ["x", "y"]),
        (["only_one_5"], ["only_one_5"]),
        (["", "_", "a_"], ["", "_", "a_"]),
    ],
)
def test_subsets_lose_the_words_that_all_of_them_have(names: list[str], titles: list[str]) -> None:
    assert list(shortened(names).values()) == titles
