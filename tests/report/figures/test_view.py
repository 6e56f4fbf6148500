"""Views of a results file: what belongs together, who is shown, what is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from routereval.errors import UnknownNameError
from routereval.report.figures.scaling import chosen
from routereval.report.figures.view import views_of
from routereval.results.curves import CurvePoint, CurveSpec

Make = Callable[..., Any]
GOOD, MIDDLING, BAD = [1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]


def curve(policy: str, protocol: str = "none", encoder: str = "none", **others: Any) -> CurvePoint:
    fields = {"benchmark": "one", "params": {}, "scope": "test", "draws": 2, "seed": 0, "data_hash": "d" * 16} | others
    m = fields.pop("m", 2)
    spec = CurveSpec(policy=policy, protocol=protocol, encoder=encoder, **fields)
    return CurvePoint(spec, m, np.array([0.5, 0.7]))


def test_protocols_and_encoders_are_never_in_one_view(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD), run("knn", BAD, protocol="paper"), run("knn", BAD, encoder="other")]
    views = views_of(stored(runs))
    assert [(view.protocol, view.encoder, len(view.runs)) for view in views] == [
        ("strict", "other", 1),
        ("paper", "shipped", 1),
        ("strict", "shipped", 1),
    ]


def test_failed_runs_and_runs_on_part_of_the_training_prompts_stand_apart(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD), run("knn", GOOD, train_size=10), run("ridge", GOOD, error="it broke")]
    (view,) = views_of(stored(runs))
    assert (len(view.runs), len(view.partial), view.failed) == (1, 1, 1)


def test_the_best_are_shown_with_the_best_single_model_and_references(run: Make, stored: Make) -> None:
    runs = [run("knn", BAD), run("ridge", GOOD), run("kmeans", MIDDLING), run("best_single", BAD), run("oracle", GOOD)]
    (view,) = views_of(stored(runs))
    choice = view.choice(2)
    assert choice.routers == ("ridge", "kmeans", "best_single")
    assert choice.references == ("oracle",)
    assert choice.left_out == ("knn",)


def test_merit_compares_on_the_same_scenarios(run: Make, stored: Make) -> None:
    # knn was run on the hard benchmark only, where it is better than ridge.
    runs = [run("ridge", GOOD, benchmark="easy"), run("kmeans", GOOD, benchmark="easy")]
    runs += [run("ridge", BAD, benchmark="hard"), run("knn", MIDDLING, benchmark="hard")]
    (view,) = views_of(stored(runs))
    assert view.choice(1).routers == ("knn",)


def test_controls_give_way_to_routers(run: Make, stored: Make) -> None:
    runs = [run("majority", GOOD), run("knn", BAD)]
    (view,) = views_of(stored(runs))
    assert view.choice(1).routers == ("knn",)
    assert view.choice(2).routers == ("majority", "knn")


def test_routers_can_be_chosen_by_name_or_label(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD, params={"k": 9}), run("knn", BAD), run("ridge", BAD)]
    store = stored(runs)
    assert views_of(store, routers=["knn"])[0].choice().routers == ("knn:k=9", "knn")
    assert views_of(store, routers=["knn:k=9"])[0].choice().routers == ("knn:k=9",)
    with pytest.raises(UnknownNameError, match="did you mean 'ridge'"):
        views_of(store, routers=["rigde"])


def test_a_cell_is_the_mean_over_seeds(run: Make, stored: Make) -> None:
    (view,) = views_of(stored([run("knn", GOOD, seed=1), run("knn", BAD, seed=2)]))
    (cell,) = view.cells(["knn"]).values()
    assert cell.seeds == (1, 2)
    assert cell.prompts == 4
    assert list(cell.outcome.columns["chosen"]) == [0.5, 0.5, 1.0, 0.0]


def test_a_glob_chooses_scenarios_and_curves(run: Make, stored: Make) -> None:
    store = stored([run("knn", GOOD), run("knn", GOOD, benchmark="two", m=3)])
    store.put_points([curve("oracle"), curve("oracle", benchmark="two")])
    (view,) = views_of(store, "two/*/3")
    assert [one.spec.scenario for one in view.runs] == ["two/all_strong/3"]
    assert [point.spec.benchmark for point in view.curves] == ["two"]
    assert [len(found.runs) for found in views_of(store, "o*")] == [1]


def test_the_oracles_curve_goes_where_its_benchmark_was_run(run: Make, stored: Make) -> None:
    store = stored([run("knn", GOOD), run("knn", GOOD, benchmark="two", encoder="other")])
    store.put_points([curve("oracle"), curve("knn", "strict", "shipped"), curve("oracle", benchmark="two")])
    found = {view.encoder: {(p.spec.benchmark, p.spec.policy) for p in view.curves} for view in views_of(store)}
    assert found == {"shipped": {("one", "oracle"), ("one", "knn")}, "other": {("two", "oracle")}}


def test_of_several_curves_of_a_policy_the_longest_of_the_oracles_seed_is_drawn() -> None:
    points = [curve("oracle", seed=1), curve("oracle", seed=1, m=3), curve("random", seed=1), curve("oracle")]
    points += [curve("knn", "strict", "shipped", seed=seed) for seed in (0, 1)]
    shown, others = chosen(points, [])
    assert [(p.spec.policy, p.spec.seed, p.m) for p in shown] == [
        ("oracle", 1, 2),
        ("oracle", 1, 3),
        ("knn", 1, 2),
        ("random", 1, 2),
    ]
    assert others == []
