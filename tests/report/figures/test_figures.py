"""The numbers in figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from routereval.data.scores import ScoreMatrix
from routereval.report.figures import FIGURES, Drawn, Missing
from routereval.report.figures.calibration import reliability
from routereval.report.figures.coverage import complementarity, unique_coverage
from routereval.report.figures.shares import oracle_share
from routereval.report.figures.view import views_of
from routereval.results.curves import CurvePoint, CurveSpec

Make = Callable[..., Any]
GOOD, MIDDLING, BAD = [1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]


def drawn(name: str, store: Any, *, m: int | None = 2, routers: tuple[str, ...] = ()) -> Drawn:
    (view,) = views_of(store, routers=routers)
    found = FIGURES[name].draw(view if m is None else view.of_size(m))
    assert isinstance(found, Drawn), found
    assert FIGURES[name].alt(found.frame).endswith(".")
    return found


def missing(name: str, store: Any) -> str:
    (view,) = views_of(store)
    found = FIGURES[name].draw(view)
    assert isinstance(found, Missing)
    return found.reason


def test_strategies_have_a_mean_each_with_its_interval(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD, seed=0), run("knn", BAD, seed=1), run("knn", BAD, strategy="all_weak")]
    frame = drawn("strategies", stored(runs)).frame
    rows = {row["strategy"]: row for row in frame.to_dicts()}
    assert rows["all_strong"]["mu"] == pytest.approx((0.75 + 0.25) / 2)
    assert rows["all_strong"]["seed_count"] == 2
    assert rows["all_weak"]["mu"] == pytest.approx(0.25)
    assert rows["all_weak"]["mu_low"] < 0.25 < rows["all_weak"]["mu_high"]


def test_the_gap_is_of_means_over_strategies_then_sizes(run: Make, stored: Make) -> None:
    # Size 2: mu (0.75 + 0.25) / 2; size 3: 0.75. Best single 0.5, oracle 0.75 everywhere.
    runs = [run("knn", GOOD), run("knn", BAD, strategy="all_weak"), run("knn", GOOD, m=3)]
    (row,) = drawn("gap_closed", stored(runs), m=None).frame.to_dicts()
    assert row["gap_closed"] == pytest.approx(((0.5 + 0.75) / 2 - 0.5) / 0.25)
    assert row["scenarios"] == 3


def test_a_router_that_lacks_a_scenario_has_no_gap(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD), run("knn", GOOD, m=3), run("ridge", GOOD)]
    found = drawn("gap_closed", stored(runs), m=None)
    assert found.frame["router"].to_list() == ["knn"]
    assert "Left out where a scenario is missing: ridge" in found.note


def test_scores_by_pool_size_are_over_the_strategies_of_every_size(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD), run("knn", BAD, m=10), run("knn", GOOD, m=10, strategy="random")]
    frame = drawn("pool_size", stored(runs), m=None).frame
    assert dict(zip(frame["m"], frame["mu"], strict=True)) == {2: pytest.approx(0.75), 10: pytest.approx(0.25)}
    assert set(frame["strategies"]) == {"all_strong"}


def test_one_pool_size_makes_no_curve(run: Make, stored: Make) -> None:
    assert "routereval run" in missing("pool_size", stored([run("knn", GOOD)]))


def test_bias_and_score_are_means_over_strategies(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD, entropy=1.0), run("knn", BAD, entropy=0.5, strategy="all_weak"), run("oracle", GOOD)]
    rows = {row["router"]: row for row in drawn("entropy", stored(runs)).frame.to_dicts()}
    assert (rows["knn"]["E_p"], rows["knn"]["mu"]) == (pytest.approx(0.75), pytest.approx(0.5))
    assert (rows["knn"]["reference"], rows["oracle"]["reference"]) == (False, True)


def test_a_router_without_a_distribution_is_named_not_drawn(run: Make, stored: Make) -> None:
    found = drawn("entropy", stored([run("knn", GOOD), run("ridge", GOOD, entropy=None)]))
    assert found.frame["router"].to_list() == ["knn"]
    assert "Without E_p, as they give no distribution: ridge" in found.note


def test_the_oracles_pick_is_split_among_the_best() -> None:
    scores = ScoreMatrix.from_dense([[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]], "abcd", "xyz")
    # Prompt a: half each of x and y; b: z; c: a third each; d: x.
    assert oracle_share(scores) == pytest.approx([(0.5 + 1 / 3 + 1) / 4, (0.5 + 1 / 3) / 4, (1 + 1 / 3) / 4])


def test_the_oracle_picks_among_observed_models_only() -> None:
    scores = ScoreMatrix.from_dense([[np.nan, 0.2], [np.nan, np.nan], [0.9, 0.9]], "abc", "xy", missing=True)
    assert oracle_share(scores) == pytest.approx([0.25, 0.75])


def test_shares_of_the_router_stand_beside_the_oracles(run: Make, record: Make, stored: Make) -> None:
    scores = [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    frame = drawn("shares", stored([run("knn", GOOD, share=(0.25, 0.75))], [record(scores)])).frame
    found = {(row["model"], row["policy"]): row["share"] for row in frame.to_dicts()}
    assert found == {
        ("strong", "oracle"): pytest.approx(2.5 / 4),
        ("strong", "knn"): 0.75,
        ("weak", "oracle"): pytest.approx(1.5 / 4),
        ("weak", "knn"): 0.25,
    }
    # The more accurate model first.
    assert frame["model"].to_list() == ["strong", "strong", "weak", "weak"]


def test_of_a_large_pool_the_models_that_are_picked_most_are_named(run: Make, record: Make, stored: Make) -> None:
    models = tuple(f"m{i}" for i in range(20))
    scores = np.zeros((4, 20))
    scores[:, 3] = 1.0
    share = tuple(1.0 if i == 19 else 0.0 for i in range(20))
    kept = record(scores.tolist(), models=models, scenario="one/all_strong/20")
    frame = drawn("shares", stored([run("knn", GOOD, m=20, share=share)], [kept]), m=20).frame
    rest = frame.filter(frame["model"] == "all others").to_dicts()
    assert [(row["models"], row["policy"], row["share"]) for row in rest] == [(8, "oracle", 0.0), (8, "knn", 0.0)]
    assert {"m3", "m19"} < set(frame["model"])
    assert frame.filter(frame["policy"] == "oracle")["share"].sum() == pytest.approx(1.0)


def test_in_words_the_nameless_are_the_other_models_together(run: Make, record: Make, stored: Make) -> None:
    models = tuple(f"m{i}" for i in range(20))
    kept = record(np.eye(4, 20).tolist(), models=models, scenario="one/all_strong/20")
    scores = np.ones((4, 20))
    kept_all = record(scores.tolist(), models=models, scenario="one/all_strong/20")
    share = tuple(1.0 if i == 19 else 0.0 for i in range(20))
    for one, picked in ((kept, "m0 on 25%"), (kept_all, "the other models together on 40%")):
        frame = drawn("shares", stored([run("knn", GOOD, m=20, share=share)], [one]), m=20).frame
        assert f"oracle picks {picked}, knn picks m19 on 100%" in FIGURES["shares"].alt(frame)


@pytest.mark.parametrize("name", ["shares", "coverage"])
def test_files_of_earlier_versions_leave_out_what_needs_the_models_scores(name: str, run: Make, stored: Make) -> None:
    assert "earlier versions" in missing(name, stored([run("knn", GOOD)]))


def test_complementarity_is_the_share_of_ones_failures_that_the_other_solves() -> None:
    dense = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    found = complementarity(dense)
    # y fails four prompts, of which x solves three; x fails two, of which y solves one.
    assert found[0, 1] == pytest.approx(3 / 4)
    assert found[1, 0] == pytest.approx(1 / 2)
    assert found[0, 0] == 0


def test_graded_complementarity_is_the_mean_gain_over_the_mean_lack() -> None:
    dense = np.array([[0.9, 0.4], [0.2, 0.6]])
    # Gains of x over y: 0.5 and 0; y lacks 0.6 and 0.4.
    assert complementarity(dense)[0, 1] == pytest.approx(0.5 / 1.0)
    assert math.isnan(complementarity(np.array([[1.0, 0.5]]))[1, 0])


def test_unique_coverage_is_what_only_one_model_adds() -> None:
    assert unique_coverage(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.2, 0.0, 0.5]])) == pytest.approx(
        [1 / 3, 0, 0.3 / 3]
    )


def test_the_map_goes_from_the_most_accurate_model_down(run: Make, record: Make, stored: Make) -> None:
    scores = [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    found = drawn("coverage", stored([run("knn", GOOD)], [record(scores)]))
    rows = {(row["model"], row["failing"]): row for row in found.frame.to_dicts()}
    assert found.frame["model"].to_list() == ["strong", "strong", "weak", "weak"]
    assert rows["strong", "weak"]["solved"] == 1.0
    assert rows["weak", "strong"]["solved"] == 1.0
    assert (rows["weak", "strong"]["accuracy"], rows["weak", "strong"]["unique"]) == (0.5, 0.25)
    assert "Graded" not in found.note


def test_mean_ranks_are_over_cells_and_equals_share(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD), run("kmeans", MIDDLING), run("ridge", MIDDLING)]
    runs += [run("knn", BAD, m=5), run("kmeans", MIDDLING, m=5), run("ridge", GOOD, m=5), run("oracle", GOOD)]
    frame = drawn("critical_difference", stored(runs), m=None).frame
    assert dict(zip(frame["router"], frame["mean_rank"], strict=True)) == {"ridge": 1.75, "knn": 2.0, "kmeans": 2.25}


def test_ranks_are_over_everyone_whoever_is_shown(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD), run("kmeans", MIDDLING), run("ridge", BAD)]
    found = drawn("critical_difference", stored(runs), m=None, routers=("knn", "ridge"))
    assert dict(zip(found.frame["router"], found.frame["mean_rank"], strict=True)) == {"knn": 1.0, "ridge": 3.0}
    assert "Ranked but not shown: kmeans" in found.note


def test_one_router_cannot_be_ranked(run: Make, stored: Make) -> None:
    assert "two at least" in missing("critical_difference", stored([run("knn", GOOD)]))


def test_a_learning_curve_has_a_point_for_each_size_and_all_last(run: Make, stored: Make) -> None:
    runs = [run("knn", BAD, train_size=10), run("knn", MIDDLING, train_size=100), run("knn", GOOD)]
    frame = drawn("learning_curve", stored(runs)).frame
    assert frame["train_size"].to_list() == [10, 100, None]
    assert frame["mu"].to_list() == [0.25, 0.5, 0.75]


def test_without_runs_on_part_of_the_training_prompts_the_command_that_makes_them_is_named(
    run: Make, stored: Make
) -> None:
    assert "--train-size" in missing("learning_curve", stored([run("knn", GOOD)]))


def test_reliability_bins_what_was_predicted_against_what_was_scored() -> None:
    predicted = np.array([[0.15, 0.15, 0.95, 1.0]])
    found = reliability(predicted, np.array([[0.0, 1.0, 1.0, 1.0]]), np.random.default_rng(0))
    assert found.count.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (found.predicted[1], found.scored[1]) == (pytest.approx(0.15), 0.5)
    assert found.ece == pytest.approx((2 * 0.35 + 2 * 0.025) / 4)
    assert math.isnan(found.scored[0])


def test_a_prompt_is_resampled_with_all_its_predictions() -> None:
    predicted, scored = np.full((50, 4), 0.5), np.tile([0.0, 0.0, 1.0, 1.0], (50, 1))
    many = reliability(predicted, scored, np.random.default_rng(0))
    one = reliability(predicted[:1], scored[:1], np.random.default_rng(0))
    # Fifty runs on the same four prompts know no more than one.
    assert (many.low[5], many.high[5]) == (one.low[5], one.high[5])


def test_calibration_is_of_the_predictions_that_are_stored(run: Make, stored: Make) -> None:
    store = stored([run("knn", GOOD, predicted=[0.8, 0.8, 0.8, 0.2]), run("ridge", GOOD)])
    found = drawn("calibration", store)
    rows = {round(row["bin_low"], 1): row for row in found.frame.to_dicts()}
    assert (rows[0.8]["count"], rows[0.8]["scored"]) == (3, 1.0)
    assert rows[0.2]["ece"] == pytest.approx((3 * 0.2 + 0.2) / 4)
    assert "Without predictions in the file: ridge" in found.note


def test_ratings_are_no_predicted_scores(run: Make, stored: Make) -> None:
    store = stored([run("elo", GOOD, predicted=[1400.0, 1500.0, 1600.0, 1400.0])])
    assert "rating" in missing("calibration", store)
    assert "earlier versions" in missing("calibration", stored([run("knn", GOOD)]))


@pytest.mark.parametrize(
    ("benchmark", "reference", "line"),
    [("one", 0.6, 0.6), ("one", None, None), ("gsm8k", 0.6, 0.6), ("gsm8k", None, None), ("gsm8k", "no run", 0.92)],
)
def test_the_reference_line_is_that_of_the_runs_else_the_published_one(
    benchmark: str, reference: Any, line: float | None, run: Make, stored: Make
) -> None:
    made = run("knn", GOOD, benchmark=benchmark, data_hash="e" * 16 if reference == "no run" else "d" * 16)
    if isinstance(reference, float):
        made.outcome.columns["reference"] = np.full(4, reference)
    store = stored([made])
    for policy in ("oracle", "random"):
        spec = CurveSpec(benchmark, policy, {}, "none", "none", "test", 2, 0, "d" * 16)
        store.put_points([CurvePoint(spec, m, np.array([0.4, 0.6])) for m in (2, 5)])
    (axes,) = drawn("scaling", store, m=None).figure.axes
    lines = [one for one in axes.lines if one.get_label() == "Perf(ref)"]
    assert [set(one.get_ydata()) for one in lines] == ([] if line is None else [{line}])


def test_every_figure_states_protocol_encoder_seeds_data_prompts_and_version(run: Make, stored: Make) -> None:
    runs = [run("knn", GOOD, seed=seed) for seed in (3, 5)]
    note = drawn("strategies", stored(runs)).note
    assert "Strict protocol; encoder shipped; m = 2; seeds 3, 5; one: data dddddddd, 4 test prompts; RouterEval" in note


def test_many_routers_leave_the_least_out_and_say_so(run: Make, stored: Make) -> None:
    runs = [run("knn", [1.0, 1.0, 1.0, 0.0] if k == 7 else BAD, params={"k": k}) for k in range(1, 41)]
    found = drawn("strategies", stored(runs))
    assert len(set(found.frame["router"])) == 12
    assert "knn:k=7" in set(found.frame["router"])
    assert "and 20 more (--router chooses)" in found.note
