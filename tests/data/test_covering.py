"""Pools that cover most prompts for the money."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import routereval as rv
from routereval.data.building import PoolPlan, built
from routereval.data.covering import Costs, cheapest_covering, mean_costs
from routereval.errors import DataError

NAN = float("nan")


def matrix(dense: np.ndarray | list[list[float]], missing: bool = False) -> rv.ScoreMatrix:
    values = np.asarray(dense, dtype=float)
    names = [chr(ord("A") + i) for i in range(values.shape[1])] if values.shape[1] < 27 else None
    ids = [str(i) for i in range(len(values))]
    return rv.ScoreMatrix.from_dense(values, ids, names or [f"m{i}" for i in range(values.shape[1])], missing=missing)


def benchmark(scores: rv.ScoreMatrix, **planes: np.ndarray) -> rv.BenchmarkData:
    groups = [""] * scores.shape[0]
    key = f"{scores.shape} {sorted(planes)} {[float(np.nansum(plane)) for plane in planes.values()]}"
    found = {name: np.asarray(plane, dtype=np.float32) for name, plane in planes.items()}
    queries = rv.Queries(scores.prompt_ids)
    return rv.BenchmarkData("made", scores, queries, rv.Split.stratified(groups), {}, "a test", key, planes=found)


def test_each_model_is_the_one_that_adds_most_per_cost() -> None:
    # A solves 0 1 2 for 3, B 0 1 for 1, C 3 for 2, D 2 3 for 4. B first: 2 prompts per unit. Then A adds 1 for 3, C 1
    # for 2, D 2 for 4: as good as C, and it adds more. A is next, for which nothing is left, then C, which is cheaper.
    scores = matrix([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 1]])
    costs = Costs({"A": 3.0, "B": 1.0, "C": 2.0, "D": 4.0}, ())
    assert set(cheapest_covering(scores, costs, 2).model_ids) == {"B", "D"}
    assert set(cheapest_covering(scores, costs, 3).model_ids) == {"B", "D", "C"}
    pool = cheapest_covering(scores, costs, 4)
    assert (pool.strategy, pool.model_ids) == ("cheapest_covering", ("C", "B", "D", "A"))


def test_what_costs_nothing_comes_first_and_what_has_no_cost_not_at_all() -> None:
    scores = matrix([[1, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 1]])
    costs = Costs({"A": 0.001, "B": 0.0, "C": 5.0}, ())
    assert set(cheapest_covering(scores, costs, 2).model_ids) == {"A", "B"}
    with pytest.raises(DataError, match="no pool cheapest_covering/4: only 3 of 4 models have a cost"):
        cheapest_covering(scores, costs, 4)


@pytest.mark.parametrize("kind", ["binary", "graded", "holes"])
@pytest.mark.parametrize("seed", range(4))
def test_pools_are_those_of_the_rule_written_out(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.random((70, 20)) < 0.2).astype(float)
    if kind == "graded":
        dense = rng.integers(0, 5, (70, 20)) / 4
    if kind == "holes":
        dense[rng.random(dense.shape) < 0.3] = NAN
    scores = matrix(dense, missing=True)
    costs = rng.integers(1, 5, 20).astype(float)
    filled = np.nan_to_num(dense)
    best, picked = np.zeros(70), []
    for _ in range(12):
        gains = {i: np.maximum(filled[:, i] - best, 0).sum() for i in range(20) if i not in picked}
        means = np.nan_to_num(scores.model_means)
        picked.append(max(gains, key=lambda i: (gains[i] / costs[i], gains[i], -costs[i], means[i], i)))
        best = np.maximum(best, filled[:, picked[-1]])
        of_model = dict(zip(scores.model_ids, costs.tolist(), strict=True))
        if len(picked) > 1:
            pool = cheapest_covering(scores, Costs(of_model, ()), len(picked))
            assert set(pool.model_ids) == {scores.model_ids[i] for i in picked}


def test_a_cost_is_the_mean_of_the_known_cells_that_may_be_looked_at() -> None:
    scores = matrix(np.eye(4, 3))
    dollars = [[1, NAN, 5], [3, NAN, NAN], [5, NAN, 7], [100, 2, 100]]
    costs = mean_costs(benchmark(scores, cost_usd=dollars), np.array([0, 1, 2]))
    assert costs.of_model == {"A": 3.0, "C": 6.0}
    assert costs.notes == ("cheapest_covering: 1 of 3 models have no cost and are left out",)
    assert mean_costs(benchmark(scores, cost_usd=dollars)).of_model["B"] == 2


def test_tokens_stand_in_for_dollars_and_a_sum_of_none_is_no_cost() -> None:
    scores = matrix(np.eye(2, 3))
    tokens = {"input_tokens": [[10, 0, 1], [20, 0, 1]], "output_tokens": [[1, 0, NAN], [3, 0, 5]]}
    costs = mean_costs(benchmark(scores, **tokens))
    assert costs.of_model == {"A": 17.0, "C": 6.0}
    assert costs.notes[0].startswith("cheapest_covering: costs are input_tokens + output_tokens, because")
    only = mean_costs(benchmark(scores, output_tokens=tokens["output_tokens"], cost_usd=np.full((2, 3), NAN)))
    assert only.of_model == {"A": 2.0, "C": 5.0}
    assert only.notes[0].startswith("cheapest_covering: costs are output_tokens, because")


def test_without_costs_it_is_an_error_that_says_how_to_give_them() -> None:
    scores = matrix((np.random.default_rng(0).random((100, 6)) < 0.5).astype(float))
    data = benchmark(scores)
    with pytest.raises(DataError, match=r"no pool cheapest_covering: this strategy, .*--map cost=COLUMN"):
        built(data, PoolPlan((3, 5), ("cheapest_covering",)))
    other = built(data, PoolPlan((3, 5), ("cheapest_covering", "greedy")))
    assert other.scenario_ids == ("made/greedy/3", "made/greedy/5")
    assert len([note for note in other.missing if note.startswith("no pool cheapest_covering")]) == 1


def test_strict_pools_do_not_depend_on_scores_and_costs_of_test_prompts_and_paper_pools_do() -> None:
    rng = np.random.default_rng(0)
    dense = (rng.random((100, 20)) < 0.5).astype(float)
    costs = rng.random((100, 20))
    plan = PoolPlan((3, 6), ("cheapest_covering",))
    for protocol, same in (("strict", True), ("paper", False)):
        first = built(benchmark(matrix(dense), cost_usd=costs), plan, protocol=protocol)
        changed, dearer = dense.copy(), costs.copy()
        changed[first.split.test] = 1 - changed[first.split.test]
        dearer[first.split.test] *= np.linspace(1, 200, 20)
        second = built(benchmark(matrix(changed), cost_usd=dearer), plan, protocol=protocol)
        pools = [[pool.model_ids for pool in one.pools.values()] for one in (first, second)]
        assert (pools[0] == pools[1]) is same
        np.testing.assert_array_equal(second.planes["cost_usd"], dearer.astype(np.float32))


def test_costs_narrow_the_choice_only_where_they_are_asked_for() -> None:
    scores = matrix((np.random.default_rng(1).random((100, 6)) < 0.5).astype(float))
    costs = np.full((100, 6), NAN)
    costs[:, :4] = 1
    data = built(benchmark(scores, cost_usd=costs), PoolPlan((4,), ("cheapest_covering", "greedy")))
    assert set(data.pool("cheapest_covering", 4).model_ids) == {"A", "B", "C", "D"}
    assert "cheapest_covering: 2 of 6 models have no cost and are left out" in data.missing
    assert replace(data, pools={}).planes["cost_usd"].shape == (100, 6)
