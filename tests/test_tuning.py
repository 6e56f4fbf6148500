"""Parameters are chosen on validation prompts, within a budget, and what was tried is kept."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import routereval as rv
from routereval.errors import ParameterError, RouterError
from routereval.evaluation import evaluate_many
from routereval.sources.synthetic import Synthetic, SyntheticSpec
from routereval.tuning import Tuning, candidates, routed_mean, tunable, tune


@dataclass
class Picks(rv.ColumnwiseRouter):
    """Always picks the model at one position of the union, whatever it learned."""

    search_space: ClassVar[dict[str, Any]] = {"position": (0, 1, 2), "other": ("a", "b")}
    needs_embeddings: ClassVar[bool] = False
    position: int = 0
    other: str = "a"

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Picks:
        if self.position == 2:
            raise ValueError("two is one too many")
        self.models_ = len(train.model_ids)
        self.prompts_ = len(train)
        return self

    def predict_scores(self, queries: rv.Queries) -> np.ndarray[Any, Any]:
        scores = np.zeros((len(queries), self.models_))
        scores[:, self.position] = 1
        return scores


class Sharing(Picks):
    """Learns for each ``other`` once: positions are a matter of prediction."""

    fits: ClassVar[list[str]] = []

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Sharing:
        self.fits.append(self.other)
        super().fit(train, val)
        return self

    def refitted(self, parameters: dict[str, Any]) -> Sharing | None:
        again = dataclasses.replace(self, **parameters)
        again.models_ = self.models_
        return again if again.other == self.other else None


def data(**options: Any) -> rv.BenchmarkData:
    return Synthetic(SyntheticSpec("tuning", prompts=200, models=40, sizes=(3, 5), dimensions=8, **options)).data


def scenario_with(val: list[list[float]], test: list[list[float]]) -> rv.Scenario:
    pool = rv.CandidatePool(("a", "b", "c"), "all")

    def part(name: str, rows: list[list[float]]) -> rv.Partition:
        ids = tuple(f"{name}{i}" for i in range(len(rows)))
        return rv.Partition(rv.Queries(ids), rv.ScoreMatrix.from_dense(np.array(rows), ids, pool.model_ids))

    return rv.Scenario(
        "hand/all/3", pool, part("train", [[1, 1, 1]] * 4), part("val", val) if val else None, part("test", test)
    )


def test_the_best_on_validation_is_chosen_whatever_the_test_prompts_say() -> None:
    # Model b is right on two of three validation prompts, a on one; on the test prompts it is the other way round.
    problem = scenario_with([[1, 0, 0], [0, 1, 0], [0, 1, 0]], [[1, 0, 0], [1, 0, 0]])
    tuned = tune(Picks(), problem, budget=10)
    assert tuned.router.position == 1
    assert [trial.score for trial in tuned.tuning.trials[:3]] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert tuned.tuning.params == {"position": 1}
    assert tuned.tuning.prompts == 3
    assert rv.evaluate(Picks(), problem, tune=10).mu == 0


def test_a_combination_that_fails_is_kept_with_its_error_and_never_chosen() -> None:
    tuning = tune(Picks(), scenario_with([[1, 0, 0]], [[1, 0, 0]]), budget=10).tuning
    failed = [trial for trial in tuning.trials if trial.error]
    assert {trial.params["position"] for trial in failed} == {2}
    assert all(np.isnan(trial.score) and "two is one too many" in str(trial.error) for trial in failed)


def test_where_nothing_can_be_fitted_the_reasons_are_given() -> None:
    with pytest.raises(RouterError, match="two is one too many"):
        tune(Picks(position=2), scenario_with([[1, 0, 0]], [[1, 0, 0]]))


def test_what_any_earlier_combination_learned_serves_the_next() -> None:
    Sharing.fits.clear()
    # As the grid goes, "a" and "b" take turns.
    tuned = tune(Sharing(), scenario_with([[0, 1, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0]]), budget=6)
    assert [trial.error for trial in tuned.tuning.trials] == [None] * 6
    assert Sharing.fits == ["a", "b"]
    assert tuned.router.position == 1


def test_of_equals_the_router_as_it_was_given_stays() -> None:
    tuning = tune(Picks(), scenario_with([[1, 1, 0]], [[1, 0, 0]]), budget=10).tuning
    assert tuning.chosen == 0
    assert tuning.params == {}
    assert str(tuning) == "as given (6 tried on 1 validation prompts: 1.000)"


def test_the_whole_grid_is_tried_where_the_budget_allows_and_a_part_of_it_elsewhere() -> None:
    assert len(candidates(Picks(), 6)) == 6
    assert candidates(Picks(), 100)[0] == {}
    few = candidates(Picks(), 3, seed=1)
    assert len(few) == 3
    assert few[0] == {}
    assert few == candidates(Picks(), 3, seed=1)
    assert all(one in candidates(Picks(), 6) for one in few)
    with pytest.raises(ParameterError, match="at least 1"):
        candidates(Picks(), 0)


def test_what_one_sets_oneself_is_not_varied() -> None:
    assert {one.get("position", 1) for one in candidates(rv.KNN(k=7), 100) if "k" in one} == set()


def test_routers_without_a_search_space_are_run_as_they_are() -> None:
    problem = data().scenario("all_strong", 3)
    assert not tunable(rv.BestSingle())
    result = rv.evaluate(rv.BestSingle(), problem, tune=5)
    assert result.tuning is None
    assert result.spec.key == rv.evaluate(rv.BestSingle(), problem).spec.key


def test_a_budget_is_part_of_the_run() -> None:
    problem = data().scenario("all_strong", 3)
    keys = {rv.evaluate(rv.KNN(), problem, tune=budget).spec.key for budget in (0, 2, 3)}
    assert len(keys) == 3


def test_pools_that_share_a_fit_are_tuned_each_by_itself() -> None:
    scenarios = [data().scenario(*pool) for pool in data().pools]
    together = evaluate_many(rv.KNN(), scenarios, seed=0, tune=6)
    for scenario, shared in zip(scenarios, together, strict=True):
        alone = rv.evaluate(rv.KNN(), scenario, seed=0, tune=6)
        assert isinstance(shared, rv.RunResult)
        assert shared.tuning is not None
        assert alone.tuning is not None
        assert shared.tuning.chosen == alone.tuning.chosen
        assert [t.score for t in shared.tuning.trials] == [t.score for t in alone.tuning.trials]
        assert shared.outcome.choices.tobytes() == alone.outcome.choices.tobytes()


def test_without_validation_prompts_a_fifth_of_the_training_prompts_is_held_out_then_all_are_fitted() -> None:
    full = data().scenario("all_strong", 3)
    problem = dataclasses.replace(full, val=None)
    tuned = tune(Picks(), problem, budget=4)
    assert tuned.tuning.held_out
    assert tuned.tuning.prompts == len(full.train) // 5
    assert tuned.router.prompts_ == len(full.train)


def test_paper_has_no_validation_prompts_to_tune_on() -> None:
    tuning = rv.evaluate(rv.KNN(), data().scenario("all_strong", 3), protocol="paper", tune=3).tuning
    assert tuning is not None
    assert tuning.held_out


def test_validation_prompts_that_are_also_test_prompts_do_not_choose() -> None:
    problem = scenario_with([[1, 0, 0], [0, 1, 0], [0, 1, 0]], [[1, 0, 0]])
    said = ["other", "the same ", "THE  same"]
    queries = {
        "val": rv.Queries(problem.val.queries.ids, texts=said),  # type: ignore[union-attr]
        "test": rv.Queries(problem.test.queries.ids, texts=["the same"]),
        "train": rv.Queries(problem.train.queries.ids, texts=["w", "x", "y", "z"]),
    }
    parts = {name: rv.Partition(q, getattr(problem, name).scores) for name, q in queries.items()}
    assert tune(Picks(), dataclasses.replace(problem, **parts)).tuning.prompts == 1


def test_a_routed_mean_is_over_what_was_observed() -> None:
    predicted = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]])
    scores = np.array([[np.nan, 1.0], [0.0, 1.0], [np.nan, np.nan]], dtype=np.float32)
    assert routed_mean(predicted, scores) == pytest.approx((1 + 0) / 2)
    assert np.isnan(routed_mean(predicted[2:], scores[2:]))
    tied = np.array([[0.5, 0.5]])
    assert routed_mean(tied, np.array([[0, 1]], dtype=np.float32), np.array([0.1, 0.2])) == 1


def test_what_was_tried_is_stored_with_the_run(tmp_path: Path) -> None:
    result = rv.evaluate(rv.KNN(), data().scenario("all_strong", 3), tune=4)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        store.put(result)
        (stored,) = store.runs()
    assert stored.tuning == result.tuning
    assert isinstance(stored.tuning, Tuning)
    assert len(stored.tuning.trials) == 4
    assert stored.spec.params["tune"] == 4


def test_a_results_file_from_before_tuning_still_opens(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "old.sqlite"
    result = rv.evaluate(rv.BestSingle(), data().scenario("all_strong", 3))
    with rv.ResultStore(path) as store:
        store.put(result)
    old = sqlite3.connect(path)
    (now,) = old.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone()
    new = ("tuning", "predict_seconds", "train_size")
    lines = [line for line in now.splitlines() if not line.strip().startswith(new)]
    before = "\n".join(lines).replace("choices BLOB,", "choices BLOB ").replace("TABLE runs", "TABLE earlier")
    columns = ", ".join(row[1] for row in old.execute("PRAGMA table_info(runs)") if row[1] not in new)
    old.execute(before)
    old.execute(f"INSERT INTO earlier SELECT {columns} FROM runs")
    old.execute("DROP TABLE runs")
    old.execute("ALTER TABLE earlier RENAME TO runs")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with rv.ResultStore(path, create=False) as store:
        assert store.runs()[0].tuning is None
    with rv.ResultStore(path) as store:
        store.put(rv.evaluate(rv.KNN(), data().scenario("all_strong", 3), tune=2))
        assert sorted(one.tuning is None for one in store.runs()) == [False, True]


def test_how_parameters_were_chosen_is_printed(tmp_path: Path) -> None:
    import json

    from typer.testing import CliRunner

    from routereval.cli import app

    file = str(tmp_path / "r.sqlite")
    target = ["demo_math/all_strong/3", "demo_math/all_strong/5"]
    made = CliRunner().invoke(
        app, ["run", *target, "-r", "knn", "-r", "best_single", "--budget", "3", "--results", file]
    )
    assert made.exit_code == 0
    printed = CliRunner().invoke(app, ["results", file, "--tuning"]).stdout
    assert printed.count("demo_math/all_strong/") == 2
    assert "best_single" not in printed
    rows = json.loads(CliRunner().invoke(app, ["results", file, "--tuning", "--json"]).stdout)
    assert [len(row["trials"]) for row in rows] == [3, 3]
    assert all(row["trials"][row["chosen"]]["score"] == max(t["score"] for t in row["trials"]) for row in rows)


def test_a_few_validation_prompts_do_not_choose_where_training_prompts_can() -> None:
    problem = data().scenario("all_strong", 3)
    few = dataclasses.replace(problem, val=problem.val.rows(np.arange(19)))  # type: ignore[union-attr]
    assert tune(Picks(), few, budget=2).tuning.held_out
    enough = dataclasses.replace(problem, val=problem.val.rows(np.arange(20)))  # type: ignore[union-attr]
    assert not tune(Picks(), enough, budget=2).tuning.held_out
