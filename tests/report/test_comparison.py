"""Routers compared in pairs: differences and tests worked out by hand, what is compared with what, and what is said."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.data.scores import ScoreMatrix
from routereval.errors import ParameterError, ResultsError, UnknownNameError
from routereval.report.comparison import Comparison, compare
from routereval.report.standings import standings_of
from routereval.results import StoredRun
from routereval.results.records import ScenarioRecord
from routereval.seeding import generator
from routereval.stats.clustered import drawn_counts

HASH = "0" * 8


def result(
    router: str,
    chosen: list[float] | np.ndarray,
    scenario: str = "one/all/3",
    *,
    seed: int = 0,
    error: str | None = None,
    params: dict[str, object] | None = None,
    counted: np.ndarray | None = None,
    code: str = "",
    train_size: int | None = None,
    protocol: str = "strict",
    encoder: str = "shipped",
    data_hash: str = HASH,
) -> rv.RunResult:
    scores = np.asarray(chosen, dtype=np.float64)
    counts = np.ones(len(scores), dtype=bool) if counted is None else counted
    columns = {name: np.ones(len(scores)) for name in ("oracle", "best_single", "best_single_train", "baseline")}
    outcome = Outcome(
        tuple(map(str, range(len(scores)))), ("a", "b"), counts, columns | {"chosen": scores}, np.array([0.5, 0.5])
    )
    spec = rv.RunSpec(scenario, router, params or {}, encoder, protocol, seed, data_hash, code, train_size)
    return rv.RunResult(spec, None if error else outcome, 1.0, error=error)


def record(
    clusters: list[int] | np.ndarray,
    scores: np.ndarray | None = None,
    *,
    subsets: list[str] | None = None,
    scenario: str = "one/all/3",
    means: list[float] | None = None,
) -> ScenarioRecord:
    n = len(clusters)
    values = np.zeros((n, 2)) if scores is None else scores
    ids, models = tuple(f"p{i}" for i in range(n)), tuple(f"m{i}" for i in range(values.shape[1]))
    return ScenarioRecord(
        *(scenario, HASH, ids, None if subsets is None else tuple(subsets), np.asarray(clusters, dtype=np.int32)),
        ScoreMatrix(ids, models, values=values.astype(np.float32)),
        np.zeros(values.shape[1]) if means is None else np.array(means),
    )


def stored(path: Path, results: list[rv.RunResult], *records: ScenarioRecord) -> Path:
    with rv.ResultStore(path / "r.sqlite") as store:
        for one in results:
            store.put(one)
        for one in records:
            store.put_record(one)
    return path / "r.sqlite"


def noise(seed: int, n: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, n).astype(float)


def test_binary_scores_are_tested_by_mcnemar() -> None:
    # The first alone is right on 5, the second alone on 1: p = 2 (1 + 6) / 64.
    first = [1] * 5 + [0] + [1] * 10 + [0] * 4
    second = [0] * 5 + [1] + [1] * 10 + [0] * 4
    (row,) = compare([result("knn", first), result("ridge", second)]).pairs
    assert (row.first, row.second, row.test, row.draws) == ("knn", "ridge", "McNemar, exact", 0)
    assert row.p == row.p_adjusted == pytest.approx(14 / 64)
    assert (row.first_mean, row.second_mean, row.difference) == pytest.approx((0.75, 0.55, 0.2))
    assert (row.prompts, row.clusters, row.differ) == (20, 20, 6)
    assert (row.wins, row.ties, row.losses, row.better, row.worse) == (1, 0, 0, 0, 0)


def test_graded_scores_are_tested_by_flipping_signs() -> None:
    # Four differences of .1 .2 .3 .4, all of one sign: 2 of 16 patterns are as far.
    (row,) = compare([result("knn", [0.5, 0.6, 0.7, 0.8, 0.3]), result("ridge", [0.4, 0.4, 0.4, 0.4, 0.3])]).pairs
    assert (row.test, row.differ) == ("sign flips, exact", 4)
    assert row.p == pytest.approx(2 / 16)
    many = np.random.default_rng(0).random((2, 100))
    found = compare([result("knn", many[0]), result("ridge", many[1])], flips=999)
    assert (found.pairs[0].test, found.pairs[0].draws) == ("sign flips", 999)
    assert compare([result("knn", many[0]), result("ridge", many[1])]).pairs[0].draws == 9_999


def test_the_interval_is_that_of_the_same_resamples_for_both() -> None:
    first, second = noise(1), noise(2)
    (row,) = compare([result("knn", first), result("ridge", second)], cluster="prompts").pairs
    sign = 1 if row.first == "knn" else -1
    counts = next(iter(drawn_counts(60, generator("compare", "bootstrap", "one", HASH, 60, "prompts", 0))))
    differences = sign * (counts @ (first - second)) / 60
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])), abs=1e-12)
    error = (first - second).std(ddof=1) / math.sqrt(60)
    assert row.high - row.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_seeds_are_averaged_prompt_by_prompt_first_and_that_is_said() -> None:
    runs = [result("mlp", [1, 0, 1, 0], seed=0), result("mlp", [1, 1, 0, 0], seed=1), result("knn", [0, 0, 1, 0])]
    found = compare(runs)
    (row,) = found.pairs
    # Differences 1, 1/2, -1/2, 0: sums as far from 0 as 1 in 6 of 8 patterns.
    assert (row.first, row.difference, row.differ) == ("mlp", 0.25, 3)
    assert row.p == pytest.approx(6 / 8)
    assert found.notes[0].startswith("one: the results do not keep the prompts")
    assert "scores are averaged over seeds first, prompt by prompt: 2 seeds of 1 router" in found.notes


def test_only_what_both_have_is_compared() -> None:
    good, bad = [1.0] * 8, [0.0] * 8
    runs = [
        result("knn", good),
        result("knn", bad, "two/all/3"),
        result("ridge", bad),
        result("ridge", good, "two/all/3"),
    ]
    runs += [result("gmm", bad)]
    found = compare(runs)
    rows = {(row.first, row.second): row for row in found.pairs}
    of_gmm = next(row for pair, row in rows.items() if set(pair) == {"knn", "gmm"})
    assert (of_gmm.scenarios, of_gmm.prompts, of_gmm.difference) == (1, 8, 1.0)
    of_both = next(row for pair, row in rows.items() if set(pair) == {"knn", "ridge"})
    assert (of_both.scenarios, of_both.difference, of_both.wins, of_both.ties, of_both.losses) == (2, 0.0, 1, 0, 1)
    assert any(note.endswith("gmm (1)") and "not on all 2 scenarios" in note for note in found.notes)
    # All 8 differ in each: McNemar's p is 2 / 2^8, and both count as such.
    assert (of_both.better, of_both.worse) == (1, 1)


def test_a_mean_over_all_takes_strategies_then_pool_sizes_then_benchmarks() -> None:
    zeros = [0.0] * 4
    scores = {"one/all/3": 1, "one/weak/3": 0, "one/all/5": 1, "two/all/3": 0.25}
    runs = [result("knn", [value] * 4, name) for name, value in scores.items()]
    runs += [result("ridge", zeros, name) for name in scores]
    (row,) = compare(runs).pairs
    assert row.first_mean == pytest.approx((0.75 + 0.25) / 2)
    assert (row.scenarios, row.prompts) == (4, 8)


def test_scenarios_of_one_benchmark_share_their_prompts() -> None:
    first, second = noise(3, 12), noise(4, 12)
    names = [f"one/{strategy}/3" for strategy in ("all", "weak", "strong")]
    runs = [result(router, chosen, name) for name in names for router, chosen in (("knn", first), ("ridge", second))]
    three, one = compare(runs).pairs[0], compare(runs[:2]).pairs[0]
    # Three copies of a scenario are no more evidence than one.
    assert three.p == pytest.approx(one.p)
    assert (three.low, three.high) == pytest.approx((one.low, one.high), abs=1e-12)
    assert three.clusters == one.clusters == 12


def test_a_run_that_failed_is_named_and_takes_its_other_seeds_with_it() -> None:
    runs = [
        result("knn", [1, 0]),
        result("ridge", [0, 1]),
        result("mlp", [1, 1]),
        result("mlp", [], seed=1, error="broke"),
    ]
    found = compare(runs)
    assert [(one.router, one.scenario, one.seed, one.error) for one in found.failed] == [
        ("mlp", "one/all/3", 1, "broke")
    ]
    assert {row.first for row in found.pairs} | {row.second for row in found.pairs} == {"knn", "ridge"}
    with pytest.raises(ParameterError, match=r"nothing to compare.*mlp on one/all/3: broke"):
        compare(runs, ["mlp", "knn"])


def test_holm_and_bh_are_over_all_pairs() -> None:
    right = np.ones(20)
    runs = [result("knn", right)]
    for router, wrong in (("ridge", 6), ("gmm", 8)):
        runs.append(result(router, np.where(np.arange(20) < wrong, 0.0, 1.0)))
    p = {6: 2 / 2**6, 8: 2 / 2**8, 2: 2 / 2**2}
    by_holm = {(row.first, row.second): row.p_adjusted for row in compare(runs).pairs}
    assert by_holm == pytest.approx({("knn", "gmm"): 3 * p[8], ("knn", "ridge"): 2 * p[6], ("ridge", "gmm"): p[2]})
    by_bh = {(row.first, row.second): row.p_adjusted for row in compare(runs, correction="bh").pairs}
    assert by_bh == pytest.approx({("knn", "gmm"): 3 * p[8], ("knn", "ridge"): 1.5 * p[6], ("ridge", "gmm"): p[2]})
    against = compare(runs, baseline="gmm").pairs
    assert {(row.first, row.second) for row in against} == {("knn", "gmm"), ("ridge", "gmm")}
    assert against[0].p_adjusted == pytest.approx(2 * p[8])


def test_with_many_pairs_there_are_flips_enough_for_holm() -> None:
    graded = np.random.default_rng(0).random((16, 30))
    runs = [result("knn", row, params={"k": i + 1}) for i, row in enumerate(graded)]
    found = compare(runs)
    assert len(found.pairs) == 120
    assert found.settings["flips"] == 11_999
    assert 120 / (found.settings["flips"] + 1) == pytest.approx(0.01)


def test_near_duplicates_count_as_one_prompt(tmp_path: Path) -> None:
    # Three questions, each asked four times; the first is better on all copies of two, worse on those of one.
    first, second = [1.0] * 8 + [0.0] * 4, [0.0] * 8 + [1.0] * 4
    file = stored(tmp_path, [result("knn", first), result("ridge", second)], record(np.repeat([0, 1, 2], 4)))
    found = compare(file)
    (row,) = found.pairs
    assert (row.clusters, row.differ, row.test) == (3, 3, "sign flips, exact")
    assert row.p == pytest.approx(1)
    assert "one: 3 groups of near-duplicates; with fewer than 10 intervals and tests say little" in found.notes
    (plain,) = compare(file, cluster="prompts").pairs
    assert (plain.clusters, plain.test) == (12, "McNemar, exact")
    assert plain.p == pytest.approx(2 * (1 + 12 + 66 + 220 + 495) / 2**12)
    assert plain.high - plain.low < row.high - row.low


def test_subsets_are_clusters_where_there_are_any(tmp_path: Path) -> None:
    first = np.repeat([1.0, 0.0], [9, 3])
    subsets = ["a"] * 6 + ["b"] * 6
    results = [result("knn", first), result("ridge", 1 - first)]
    found = compare(stored(tmp_path, results, record(np.arange(12), subsets=subsets)), cluster="subset")
    (row,) = found.pairs
    assert (row.clusters, row.differ) == (2, 1)  # 6 in the first subset; 3 and -3 in the second
    assert "one: 2 subsets; with fewer than 10 intervals and tests say little" in found.notes
    without = tmp_path / "without"
    without.mkdir()
    found = compare(stored(without, results, record(np.arange(12), subsets=["a"] * 12)), cluster="subset")
    assert found.pairs[0].clusters == 12
    assert "one: no subsets, or one only; near-duplicate prompts are the clusters instead" in found.notes


def test_one_cluster_has_no_interval(tmp_path: Path) -> None:
    file = stored(tmp_path, [result("knn", [1, 1, 0]), result("ridge", [0, 1, 0])], record([0, 0, 0]))
    found = compare(file)
    assert math.isnan(found.pairs[0].low)
    assert found.to_json()["pairs"][0]["low"] is None
    assert found.detectable[0].sentence == "one: 3 prompts; one cluster has no spread"
    assert "+0.333 " in str(found)


def test_prompts_that_do_not_count_do_not_count() -> None:
    counted = np.array([True, True, True, False])
    runs = [result("knn", [1, 1, 0, 0], counted=counted), result("ridge", [0, 1, 0, 0], counted=counted)]
    (row,) = compare(runs).pairs
    assert (row.prompts, row.clusters, row.difference) == (3, 3, pytest.approx(1 / 3))


def test_the_smallest_difference_a_benchmark_can_show() -> None:
    # 59 of 118 prompts: the first right; of the others 9 are won and 9 lost by the second: spread sqrt(18 / 117).
    first = np.repeat([1.0, 0.0], [59, 59])
    second = first.copy()
    second[:9], second[-9:] = 0.0, 1.0
    found = compare([result("knn", first), result("ridge", second)]).detectable[0]
    error = math.sqrt(18 / 117 / 118)
    assert found.difference == pytest.approx((1.98045 + 0.84446) * error, rel=1e-3)
    assert found.difference == found.low == found.high
    assert found.sentence == (
        "one: 118 prompts cannot tell 3 points apart; it takes a difference of 10.2 points, or about 1,400 prompts"
    )
    wide = [np.tile(one, 20) for one in (first, second)]
    assert compare([result("knn", wide[0]), result("ridge", wide[1])]).detectable[0].sentence == (
        "one: 2360 prompts tell 2.3 points apart"
    )
    same = compare([result("knn", first), result("ridge", first)]).detectable[0]
    assert same.sentence == "one: 118 prompts; no two routers differ on any prompt"


def test_of_several_pairs_it_is_that_of_the_middle_one() -> None:
    # 25 prompts; a pair that differs on 2 k of them, k each way, has a standard error of sqrt(2 k / 24 / 25): with
    # k = 1, 4 and 5 that is 0.057735, 0.115470 and 0.129099. Student's t of 24 degrees of freedom is 2.0639 at 97.5 %
    # and 0.8569 at 80 % in any table of it, 2.9208 together: differences of 0.1686, 0.3373 and 0.3771.
    first = np.array([1.0] * 10 + [0.0] * 15)
    close, far = first.copy(), first.copy()
    close[0], close[24] = 0.0, 1.0
    far[1:5], far[20:24] = 0.0, 1.0
    (found,) = compare([result("knn", first), result("ridge", close), result("gmm", far)]).detectable
    assert (found.pairs, found.prompts, found.clusters) == (3, 25, 25)
    assert (found.low, found.difference, found.high) == pytest.approx((0.1686, 0.3373, 0.3771), abs=1e-4)
    # 25 (0.3373 / 0.03)^2 = 3,159 prompts, of which two digits are said.
    assert found.sentence == (
        "one: 25 prompts cannot tell 3 points apart; it takes a difference of 33.7 points, or about 3,200 prompts"
    )


def test_it_is_the_same_whoever_is_the_baseline() -> None:
    # knn and ridge differ on 2 prompts, gmm from both on many: the median of three pairs is no pair with ridge alone.
    base = np.repeat([1.0, 0.0], [30, 30])
    close, far = base.copy(), noise(8)
    close[0], close[-1] = 0.0, 1.0
    runs = [result("knn", base), result("ridge", close), result("gmm", far), result("oracle", np.ones(60))]
    every = compare(runs).detectable
    assert every[0].pairs == 3
    for baseline in ("knn", "ridge", "gmm", "oracle"):
        assert compare(runs, baseline=baseline).detectable == every, baseline
    two = compare(runs, ["knn", "ridge"]).detectable
    assert two[0].difference < every[0].difference
    assert compare(runs, ["knn", "ridge"], baseline="gmm").detectable == two
    # One router and its baseline are a pair, since there is no other.
    assert compare(runs, ["knn"], baseline="ridge").detectable == two


def test_protocols_and_encoders_are_never_averaged_and_one_can_be_chosen() -> None:
    good, bad = [1.0] * 8, [0.0] * 8
    runs = [result("knn", good), result("ridge", bad)]
    runs += [result("knn", bad, protocol="paper"), result("ridge", good, protocol="paper")]
    with pytest.raises(ParameterError, match=r"2 protocols, paper and strict.*--protocol paper or --protocol strict"):
        compare(runs)
    assert compare(runs, protocol="strict").pairs[0].first == "knn"
    by_paper = compare(runs, protocol="paper")
    assert (by_paper.pairs[0].first, by_paper.pairs[0].protocol) == ("ridge", "paper")
    assert [one.protocol for one in by_paper.provenance] == ["paper"]
    other = [*runs[:2], result("knn", bad, encoder="e5"), result("ridge", good, encoder="e5")]
    with pytest.raises(ParameterError, match=r"one was run with 2 encoders, e5 and shipped.*--encoder e5"):
        compare(other)
    assert compare(other, encoder="e5").pairs[0].first == "ridge"
    with pytest.raises(UnknownNameError, match="unknown encoder among the stored runs 'e6'; did you mean 'e5'"):
        compare(other, encoder="e6")
    with pytest.raises(UnknownNameError, match="protocol"):
        compare(runs, protocol="loose")
    with pytest.raises(ParameterError, match="no stored run has protocol paper; there are runs by strict with e5, st"):
        compare(other, protocol="paper")


def test_what_is_not_compared_mixes_nothing() -> None:
    # Another protocol's reference takes no part, and benchmarks may each have an encoder of their own.
    runs = [result("knn", noise(1)), result("ridge", noise(2)), result("oracle", noise(3), protocol="paper")]
    runs += [result(one, noise(4 + i), "two/all/3", encoder="e5") for i, one in enumerate(("knn", "ridge"))]
    found = compare(runs)
    assert found.pairs[0].encoder == "e5, shipped"
    assert [(one.encoder, one.data) for one in found.provenance] == [
        ("shipped", (("one", HASH),)),
        ("e5", (("two", HASH),)),
    ]
    assert compare(runs, scenarios=["two"]).pairs[0].encoder == "e5"


def test_data_that_changed_under_their_name_are_said() -> None:
    runs = [result(one, noise(i), data_hash=HASH) for i, one in enumerate(("knn", "ridge"))]
    runs += [result(one, noise(i + 5), data_hash="1" * 8) for i, one in enumerate(("knn", "ridge"))]
    found = compare(runs)
    assert any(note.startswith("one: runs on 2 different data of that name") for note in found.notes)
    assert found.provenance[0].data == (("one", HASH), ("one", "1" * 8))
    assert not any("different data" in note for note in compare(runs[:2]).notes)


def test_ranks_and_friedman_are_those_of_rank() -> None:
    runs = [
        StoredRun.of(result(router, noise(10 * i + j), f"{name}/3" if j else f"{name}/5"))
        for i, router in enumerate(("knn", "ridge", "gmm", "kmeans"))
        for j, name in enumerate(("one/all", "one/weak", "two/all", "three/all"))
    ]
    found, theirs = compare(runs), standings_of(runs)
    assert found.ranks == pytest.approx({one.label: one.rank for one in theirs.complete})
    assert list(found.ranks) == [one.label for one in theirs.complete]
    assert (found.friedman_p, found.critical_difference, found.cells) == pytest.approx(
        (theirs.friedman_p, theirs.critical_difference, theirs.cells)
    )


def test_references_and_parts_of_the_training_prompts_take_part_where_named_or_never() -> None:
    runs = [result(router, noise(i)) for i, router in enumerate(("knn", "ridge", "oracle"))]
    runs.append(result("knn", noise(5), train_size=10))
    assert [row.router for row in compare(runs).routers if row.router == "oracle"] == []
    found = compare(runs, baseline="oracle")
    assert {row.second for row in found.pairs} == {"oracle"}
    assert max(row.seeds for row in found.routers) == 1


def test_routers_are_named_by_label_name_or_glob() -> None:
    runs = [result("knn", noise(i), params={"k": i}) for i in (1, 50)] + [
        result("ridge", noise(3)),
        result("gmm", noise(4)),
    ]

    def compared(*names: str) -> set[str]:
        return {row.router for row in compare(runs, names).routers}

    assert compared("knn") == {"knn:k=1", "knn:k=50"}
    assert compared("knn:k=50", "ridge") == {"knn:k=50", "ridge"}
    assert compared("*g*") == {"ridge", "gmm"}
    with pytest.raises(UnknownNameError, match="did you mean 'ridge'"):
        compared("rigde")
    with pytest.raises(ParameterError, match="two routers at least"):
        compared("ridge")
    with pytest.raises(ParameterError, match="may be any of knn:k=1, knn:k=50"):
        compare(runs, baseline="knn")


def test_scenarios_are_named_by_glob_or_benchmark_and_a_wrong_one_says_what_there_is() -> None:
    runs = [
        result(router, noise(i), name) for name in ("one/all/3", "two/all/3") for i, router in enumerate(("knn", "gmm"))
    ]
    assert {row.scenario for row in compare(runs, scenarios=["two"]).by_scenario} == {"two/all/3"}
    assert len(compare(runs, scenarios=["*/all/3"]).by_scenario) == 2
    with pytest.raises(ParameterError, match=r"no runs of three to compare; there are runs on one/all/3, two/all/3"):
        compare(runs, scenarios=["three"])


def test_the_newest_version_of_a_routers_source_is_compared() -> None:
    old, new = (StoredRun.of(result("mine:R", [float(i)] * 4, code=str(i))) for i in (0, 1))
    runs = [
        StoredRun.of(result("knn", [0.0] * 4)),
        *(StoredRun(**{**vars(one), "ended": f"202{i}"}) for i, one in enumerate((old, new))),
    ]
    found = compare(runs)
    assert found.pairs[0].difference == 1.0
    assert "mine:R: 1 runs of older versions of it are left out" in found.notes


def test_a_predictions_file_with_a_routers_name_is_told_from_it() -> None:
    found = compare([result("knn", [1.0, 0.0]), result("file:knn", [0.0, 0.0]), result("file:mine", [0.0, 0.0])])
    assert {row.router for row in found.routers} == {"knn", "file:knn", "mine"}


def world(seed: int, subjects: int = 6, size: int = 20) -> tuple[list[str], np.ndarray]:
    """Prompts of some subjects, and models of which each knows one subject well."""
    subject = np.repeat(np.arange(subjects), size)
    p = np.where(subject[:, None] == np.arange(subjects), 0.9, 0.4)
    return [f"s{i}" for i in subject], (np.random.default_rng(seed).random(p.shape) < p).astype(float)


def test_hindsight_is_corrected_for_its_noise(tmp_path: Path) -> None:
    subsets, scores = world(0)
    clusters = np.arange(120)
    clusters[1] = 0
    kept = record(clusters, scores, subsets=subsets, means=[0.5] * 6)
    found = compare(stored(tmp_path, [result("knn", noise(1, 120)), result("ridge", noise(2, 120))], kept), draws=200)
    by_kind = {one.kind: one for one in found.oracles}
    assert list(by_kind) == ["best router", "best model", "best per subset", "best per group", "oracle"]
    single, subset, oracle = by_kind["best model"], by_kind["best per subset"], by_kind["oracle"]
    assert single.observed == pytest.approx(scores.mean(axis=0).max())
    assert oracle.observed == pytest.approx(scores.max(axis=1).mean())
    assert math.isnan(oracle.corrected)
    assert single.corrected < single.observed
    # Who knows the subject scores 0.9 in truth, one model for all 0.48.
    assert subset.corrected == pytest.approx(0.9, abs=0.07)
    assert single.corrected == pytest.approx(0.48, abs=0.08)
    assert subset.corrected_interval[0] < subset.corrected < subset.corrected_interval[1]
    assert (single.groups, subset.groups, oracle.groups, single.choices) == (1, 6, 120, 6)
    assert (by_kind["best per group"].prompts, by_kind["best per group"].groups) == (2, 1)
    assert compare(tmp_path / "r.sqlite", oracles=False).oracles == ()


def test_the_interval_of_the_corrected_value_covers_what_models_truly_score() -> None:
    from routereval.report.compared_cells import ComparedCell
    from routereval.report.oracle_estimates import oracle_estimates

    covered = observed = 0
    for seed in range(60):
        scores = (np.random.default_rng(seed).random((60, 20)) < 0.5).astype(float)
        kept = record(np.arange(60), scores)
        cell = ComparedCell(
            *(result("knn", scores[:, 0]).spec, np.ones(60, dtype=bool), {"knn": scores[:, 0]}, {"knn": 1})
        )
        one = next(
            row for row in oracle_estimates(cell, lambda spec, kept=kept: kept, 200, seed) if row.kind == "best model"
        )
        covered += one.corrected_interval[0] <= 0.5 <= one.corrected_interval[1]
        observed += one.observed_interval[0] <= 0.5 <= one.observed_interval[1]
    # Twenty models that are all right on half of the prompts: at least the 95 % that are promised.
    assert covered >= 56
    assert observed <= 52


def test_frames_and_json_have_every_pair(tmp_path: Path) -> None:
    runs = [
        result(router, noise(i), name)
        for name in ("one/all/3", "one/all/5")
        for i, router in enumerate(("knn", "gmm", "mlp"))
    ]
    found = compare(runs)
    frame = found.frame()
    assert frame.shape == (3, 26)
    assert set(frame["seeds"]) == {"0"}
    assert set(frame["data_hash"]) == {HASH}
    assert set(found.scenario_frame()["version"]) == {rv.__version__}
    assert found.scenario_frame()["scenario"].to_list() == ["one/all/3"] * 3 + ["one/all/5"] * 3
    assert {"observed_low", "corrected_high"} <= set(found.oracle_frame().columns)
    again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [row["p"] for row in again["pairs"]] == frame["p"].to_list()
    assert again["detectable"][0]["sentence"] == found.detectable[0].sentence
    assert again["settings"]["data"] == {"one": HASH}
    assert again["provenance"] == [
        {
            **{"protocol": "strict", "encoder": "shipped", "seeds": [0]},
            **{"data": [{"benchmark": "one", "data_hash": HASH}], "versions": [rv.__version__]},
        }
    ]


def test_the_same_call_gives_the_same_numbers_and_another_router_does_not_move_them() -> None:
    graded = np.random.default_rng(1).random((3, 80))
    runs = [result(router, row) for router, row in zip(("knn", "gmm", "mlp"), graded, strict=True)]

    def numbers(found: Comparison) -> tuple[float, ...]:
        row = next(row for row in found.pairs if {row.first, row.second} == {"knn", "gmm"})
        return row.difference, row.low, row.high

    assert compare(runs).to_json() == compare(runs).to_json()
    assert numbers(compare(runs)) == numbers(compare(runs[:2]))
    assert numbers(compare(runs, seed=1)) != numbers(compare(runs))


def test_values_that_are_none_are_refused(tmp_path: Path) -> None:
    runs = [result("knn", [1.0, 0.0]), result("gmm", [0.0, 1.0])]
    with pytest.raises(ParameterError, match="cluster is 'topic'; expected prompts or duplicates or subset"):
        compare(runs, cluster="topic")
    with pytest.raises(ParameterError, match="correction is 'none'; expected holm or bh"):
        compare(runs, correction="none")
    with pytest.raises(ParameterError, match="draws is 0"):
        compare(runs, draws=0)
    with pytest.raises(ResultsError, match="no results file"):
        compare(tmp_path / "none.sqlite")
    with pytest.raises(ParameterError, match="there are no runs to compare"):
        compare([])


def test_means_over_seeds_are_tested_exactly_too() -> None:
    thirds = [np.random.default_rng(seed).integers(0, 2, (2, 40)).astype(float) for seed in range(3)]
    runs = [result(router, one[i], seed=s) for s, one in enumerate(thirds) for i, router in enumerate(("knn", "gmm"))]
    (row,) = compare(runs).pairs
    assert (row.test, row.draws) == ("sign flips, exact", 0)
    difference = np.mean(thirds, axis=0)[0] - np.mean(thirds, axis=0)[1]
    signs = np.random.default_rng(0).choice([-1, 1], (100_000, 40))
    p = np.mean(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9)
    assert row.p == pytest.approx(p, abs=0.006)


def test_over_benchmarks_a_prompt_counts_as_it_does_in_the_mean() -> None:
    # A prompt of the first benchmark (2) weighs twice one of the second (4): 2 + 2 - 1 = 3, and of the 8 patterns of
    # signs of 2, 2, 1 four are as far from 0.
    runs = [result("knn", [1, 1]), result("ridge", [0, 0])]
    runs += [result("knn", [0, 0, 0, 0], "two/all/3"), result("ridge", [1, 0, 0, 0], "two/all/3")]
    (row,) = compare(runs).pairs
    assert (row.first, row.test, row.differ) == ("knn", "sign flips, exact", 3)
    assert row.difference == pytest.approx((1 - 0.25) / 2)
    assert row.p == pytest.approx(0.5)
