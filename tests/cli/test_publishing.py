"""merge and submit on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.results.submitted import submissions_in

SCENARIO = "demo_chat/strong_to_weak/10"


@pytest.fixture(scope="module")
def scenario() -> rv.Scenario:
    return rv.load_scenario(SCENARIO)


def a_folder(scenario: rv.Scenario, choices: list[int], router: str = "ours", **more: str) -> Path:
    folder = Path("handed-in")
    folder.mkdir(exist_ok=True)
    rows = [
        {"scenario": SCENARIO, "prompt": prompt, "choice": scenario.pool.model_ids[column]}
        for prompt, column in zip(scenario.test.queries.ids, choices, strict=True)
    ]
    (folder / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = {
        **{"router": router, "authors": ["Ada"], "contact": "ada@example.org", "description": "Takes one."},
        **{"protocol": "strict", "encoder": "none", "training_data": "none", "date": "2026-01-31"},
        "test_prompts_seen": False,
    }
    (folder / "submission.json").write_text(json.dumps(said | more))
    return folder


def test_merge_says_what_it_put_together_and_results_shows_it(routereval) -> None:
    routereval("run", SCENARIO, "-r", "knn", "-r", "best_single", "--results", "a.sqlite")
    routereval("run", SCENARIO, "-r", "knn", "-r", "oracle", "--results", "b.sqlite")
    done = routereval("merge", "a.sqlite", "b.sqlite", "--out", "all.sqlite")
    assert done.code == 0
    assert "all.sqlite: 3 runs (2 from a.sqlite, 2 from b.sqlite); 1 were there more than once" in done.out
    assert "1 scenarios" in done.out
    rows = json.loads(routereval("results", "all.sqlite", "--json").out)
    assert sorted(row["router"] for row in rows) == ["best_single", "knn", "oracle"]
    assert routereval("verify", "all.sqlite").code == 0


def contradicting(name: str, scenario: rv.Scenario, column: int) -> None:
    spec = rv.RunSpec(SCENARIO, "\x1b[31mevil", {}, scenario.encoder, "strict", 0, scenario.data_hash)
    models = scenario.pool.model_ids
    prediction = rv.Prediction.from_choices([models[column]] * len(scenario.test), models)
    rules = __import__("routereval.protocols", fromlist=["STRICT"]).STRICT
    result = __import__("routereval.evaluation", fromlist=["x"]).evaluate_prediction(spec, scenario, prediction, rules)
    with rv.ResultStore(Path(name)) as store:
        store.put(result)


def test_a_conflict_is_named_exits_with_1_and_writes_nothing_until_told_whom_to_believe(
    routereval, scenario: rv.Scenario
) -> None:
    contradicting("a.sqlite", scenario, 0)
    contradicting("b.sqlite", scenario, 1)
    done = routereval("merge", "a.sqlite", "b.sqlite", "--out", "all.sqlite")
    assert done.code == 1
    n = len(scenario.test)
    assert rf"conflict: \x1b[31mevil on {SCENARIO} (strict, encoder {scenario.encoder}, seed 0, key " in done.out
    assert f"a.sqlite and b.sqlite: choices differ on {n} of {n} prompts" in done.out
    assert "\x1b" not in done.out
    assert "1 conflicts, so all.sqlite was not written; say whom to believe with --prefer" in done.err
    assert not Path("all.sqlite").exists()
    told = routereval("merge", "a.sqlite", "b.sqlite", "--out", "all.sqlite", "--prefer", "last", "--json")
    assert told.code == 0
    report = json.loads(told.out)
    assert report["written"] is True
    assert report["rows"]["runs"] == 1
    assert report["conflicts"][0]["taken"] == "b.sqlite"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("merge", "none.sqlite", "--out", "all.sqlite"), "there is no results file none.sqlite"),
        (("submit", "--check", "none"), "there is no folder none; make one with: routereval submit --init none"),
        (("submit", "none"), "say one of --init (write a description), --check, or --to FILE"),
        (("submit", "--init", "--check", "none"), "say one of --init"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words: tuple[str, ...], message: str, routereval, tmp_path) -> None:
    done = routereval(*words)
    assert done.code == 2
    assert done.err.startswith("routereval: ")
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


def test_init_writes_a_description_that_check_then_asks_to_fill_in(routereval) -> None:
    done = routereval("submit", "--init", "mine")
    assert done.code == 0
    assert "routereval submit --check mine" in done.err
    again = routereval("submit", "--check", "mine")
    assert again.code == 1
    assert "failed   folder: there is no file of predictions" in again.out
    assert "failed   description: router is empty" in again.out
    assert "not accepted: 8 failed, 0 warnings" in again.out


def test_a_submission_is_checked_then_added_to_a_leaderboard(routereval, scenario: rv.Scenario) -> None:
    folder = str(a_folder(scenario, [0] * len(scenario.test)))
    checked = routereval("submit", "--check", folder)
    assert checked.code == 0
    assert "accepted: 0 failed, 0 warnings" in checked.out
    assert not Path("board.sqlite").exists()
    added = routereval("submit", folder, "--to", "board.sqlite")
    assert "1 runs added to board.sqlite; 0 were there" in added.out
    assert "0 runs added to board.sqlite; 1 were there" in routereval("submit", folder, "--to", "board.sqlite").out
    assert [one.router for one in submissions_in(Path("board.sqlite"))] == ["file:ours"]
    assert "ours" in routereval("results", "board.sqlite").out
    assert routereval("verify", "board.sqlite").code == 0


def test_the_encoder_of_a_submission_is_the_one_of_its_description(routereval, scenario: rv.Scenario) -> None:
    folder = str(a_folder(scenario, [0] * len(scenario.test), encoder="my-own-9"))
    checked = routereval("submit", "--check", folder)
    assert "protocol strict; encoder my-own-9; seed 0; data demo_chat " in checked.out
    assert f"encoder {scenario.encoder};" not in checked.out
    # It is stored as any predictions on these data are, under the key that it always had.
    routereval("submit", folder, "--to", "board.sqlite")
    (row,) = json.loads(routereval("results", "board.sqlite", "--json").out)
    assert row["encoder"] == scenario.encoder


def test_an_oracle_is_turned_away_with_the_reason_and_nothing_is_added(routereval, scenario: rv.Scenario) -> None:
    folder = str(a_folder(scenario, np.nan_to_num(scenario.test.scores.dense()).argmax(axis=1).tolist()))
    done = routereval("submit", folder, "--to", "board.sqlite")
    assert done.code == 1
    assert "failed   plausibility: the choices follow the test answers beyond what routing can do" in done.out
    assert "nothing was added to board.sqlite" in done.err
    assert not Path("board.sqlite").exists()
    report = json.loads(routereval("submit", "--check", folder, "--json").out)
    (judged,) = report["plausibility"]
    assert report["ok"] is False
    assert (judged["verdict"], judged["alignment"], judged["gap_closed"]) == ("implausible", 1.0, 1.0)
    assert judged["hits"] == judged["contested"] > judged["expected"]
    assert report["runs"][0]["router"] == "file:ours"


def test_text_of_a_submission_does_nothing_on_a_terminal(routereval, scenario: rv.Scenario) -> None:
    folder = a_folder(scenario, [0] * len(scenario.test), router="[red]<b>ours</b>")
    done = routereval("submit", "--check", str(folder))
    assert done.code == 0
    assert "[red]<b>ours</b>" in done.out
    a_folder(scenario, [0] * len(scenario.test), description="a\x1b[31mb", **{"\x1b]0;x": "y"})
    done = routereval("submit", "--check", str(folder))
    assert done.code == 1
    assert "\x1b" not in done.out
    assert "description: description holds control characters" in done.out


def test_merging_needs_nothing_heavy() -> None:
    code = (
        "import sys; from routereval.cli import main; sys.argv = ['routereval', 'merge', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('sklearn', 'polars', 'torch', 'matplotlib') if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"NO_COLOR": "1"}
    ).stdout
    assert out.strip().endswith("[]")
