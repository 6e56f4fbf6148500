"""Splits and pools out of a benchmark's scores."""

from __future__ import annotations

import numpy as np
import pytest

import routereval as rv
from routereval.data.building import PoolPlan, built
from routereval.data.duplicates import clusters_of
from routereval.errors import DataError, ParameterError


def benchmark(texts: list[str] | None = None, models: int = 40, low: float = 0.2) -> rv.BenchmarkData:
    rng = np.random.default_rng(0)
    n = 100
    ids, names = tuple(map(str, range(n))), tuple(f"m{i}" for i in range(models))
    scores = rv.ScoreMatrix.from_dense(rng.random((n, models)) < np.linspace(low, low + 0.6, models), ids, names)
    queries = rv.Queries(ids, rng.normal(size=(n, 8)).astype(np.float32), texts)
    subsets = ("a",) * 50 + ("b",) * 50
    key = f"{models} {low} {len(texts or ())}"
    return rv.BenchmarkData("made", scores, queries, rv.Split.stratified(subsets), {}, "a test", key, subsets=subsets)


def test_all_published_sizes_are_made_and_what_cannot_be_is_listed_with_its_reason() -> None:
    data = built(benchmark())
    assert {m for _, m in data.pools} == {3, 5, 10}
    assert len(data.pools) == 9
    reasons = [note for note in data.missing if note.startswith("no pool")]
    assert len(reasons) == 6
    assert reasons[0] == "no pool all_strong/100: there are only 40 models; ask for fewer candidates"


def test_only_what_is_asked_for_is_made_and_it_is_the_same_as_among_all() -> None:
    some = built(benchmark(), PoolPlan((10, 7), ("strong_to_weak",)))
    assert set(some.pools) == {("strong_to_weak", 10), ("strong_to_weak", 7)}
    everything = built(benchmark())
    assert some.pools["strong_to_weak", 10].model_ids == everything.pools["strong_to_weak", 10].model_ids


def test_strict_pools_do_not_depend_on_test_scores_and_paper_pools_do() -> None:
    data = benchmark()
    for protocol, same in (("strict", True), ("paper", False)):
        first = built(data, protocol=protocol)
        dense = data.scores.dense().copy()
        test = first.split.test
        dense[test] = np.random.default_rng(5).random((len(test), 40)) < 0.5
        other = rv.BenchmarkData(
            "made", rv.ScoreMatrix.from_dense(dense, data.scores.prompt_ids, data.scores.model_ids), data.queries,
            data.split, {}, "a test", f"other {protocol}", subsets=data.subsets,
        )  # fmt: skip
        second = built(other, protocol=protocol)
        assert first.pools_saw_test is not same
        models = [[pool.model_ids for pool in one.pools.values()] for one in (first, second)]
        assert (models[0] == models[1]) is same


def test_near_identical_prompts_stay_on_one_side_of_a_strict_split() -> None:
    texts = [f"What  is {i % 60}?" if i < 60 else f"what is {i % 60}?" for i in range(100)]
    data = benchmark(texts)
    strict, paper = built(data), built(data, protocol="paper")

    def torn(one: rv.BenchmarkData) -> int:
        side = {}
        for part in ("train", "val", "test"):
            side |= {int(i): part for i in getattr(one.split, part)}
        assert sorted(side) == list(range(100))
        return sum(side[i] != side[i - 60] for i in range(60, 100))

    assert torn(strict) == 0
    assert torn(paper) > 0
    assert "40 prompts are near-identical to another" in " ".join(strict.missing)


def test_near_identical_is_the_same_text_or_almost_the_same_direction() -> None:
    base = np.eye(6, 8, dtype=np.float32)
    base[3] = base[0] + 0.01 * base[1]
    base[5] = 0
    queries = rv.Queries(tuple("abcdef"), base, ["x", "Y", "y ", "z", "X", "w"])
    # d points where a does, b and c say the same, e says what a does; f has no direction.
    assert clusters_of(queries).tolist() == [0, 1, 1, 0, 0, 5]
    assert clusters_of(rv.Queries(tuple("ab"))).tolist() == [0, 1]


def test_one_embedding_of_many_texts_does_not_make_them_one_prompt() -> None:
    # As an encoder sees prompts with a long preamble that reads no further.
    embeddings = np.ones((4, 8), dtype=np.float32)
    preamble = "You get a question. " * 30
    texts = [f"{preamble} {question}" for question in ("what is a cell made of and by what kept", "who wrote it")]
    texts += ["Name a colour.", "Name the colour!"]
    assert clusters_of(rv.Queries(tuple("abcd"), embeddings, texts)).tolist() == [0, 1, 2, 2]
    assert clusters_of(rv.Queries(tuple("abcd"), embeddings)).tolist() == [0, 0, 0, 0]


def test_a_narrow_cone_of_embeddings_does_not_make_all_prompts_one() -> None:
    # As encoders have it whose embeddings all share one large part.
    rng = np.random.default_rng(0)
    embeddings = (10 + 0.5 * rng.normal(size=(50, 32))).astype(np.float32)
    embeddings[7] = embeddings[3] + 1e-3
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert (unit @ unit.T).min() > 0.99
    clusters = clusters_of(rv.Queries(tuple(map(str, range(50))), embeddings))
    assert clusters.tolist() == [3 if i == 7 else i for i in range(50)]


def test_where_no_pool_can_be_made_it_is_an_error_with_the_limits() -> None:
    with pytest.raises(DataError) as nothing:
        built(benchmark(low=-0.6), PoolPlan((3, 5)))
    # One reason for all six, said once.
    assert str(nothing.value) == (
        "made: no pool can be made; no model has a mean score above 0.1 (the best of 40 has 0.000), so the published "
        "rule makes no pool; the fallback drops the limits"
    )
    with pytest.raises(DataError, match="made: no pool can be made; no pool all_strong/1000"):
        built(benchmark(), PoolPlan((1000,)))


def test_random_pools_are_seeded_by_name_and_each_draw_stands_for_itself() -> None:
    data = benchmark()
    many = built(data, PoolPlan((5,), ("random",), draws=20))
    assert list(many.pools) == [(f"random-{i}", 5) for i in range(20)]
    assert len({pool.model_ids for pool in many.pools.values()}) > 15
    few = built(data, PoolPlan((5, 7), ("random",), draws=3))
    assert few.pools["random-1", 5] == many.pools["random-1", 5]
    other = built(data, PoolPlan((5,), ("random",), seed=1))
    assert other.pools["random", 5].model_ids != many.pools["random-0", 5].model_ids
    assert dict.fromkeys(many.pools["random-0", 5].model_ids, 0).keys() <= set(data.scores.model_ids)


def test_greedy_pools_have_the_oracle_that_adding_one_best_model_after_another_has() -> None:
    data = benchmark()
    for m in (2, 5, 40):
        pool = built(data, PoolPlan((m,), ("greedy",)), protocol="paper").pools["greedy", m]
        dense = data.scores.dense()
        solved = np.zeros(100, dtype=bool)
        for _ in range(m):
            gains = ((dense > 0) & ~solved[:, None]).sum(axis=0)
            solved |= dense[:, int(np.argmax(gains))] > 0
        found = data.scores.models(pool.model_ids)
        assert found.oracle_mean == solved.mean()
        assert (np.diff(found.model_means) >= 0).all()


def test_models_are_chosen_by_name_and_wildcard() -> None:
    data = built(benchmark(), PoolPlan((3,), ("random",), models=("m1*", "m7")))
    pool = data.pools["chosen", 12]
    assert set(pool.model_ids) == {"m1", "m7", *(f"m1{i}" for i in range(10))}
    with pytest.raises(DataError, match="no pool chosen: no model is named 'm99'; did you mean"):
        built(benchmark(), PoolPlan(strategies=(), models=("m99",)))
    noted = built(benchmark(), PoolPlan((3,), ("random",), models=("m99",)))
    assert list(noted.pools) == [("random", 3)]
    assert "no pool chosen: no model is named 'm99'" in " ".join(noted.missing)


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="unknown strategy 'all_stron'; did you mean 'all_strong'"):
        PoolPlan(strategies=("all_stron",))
    with pytest.raises(ParameterError, match="at least 2 models"):
        PoolPlan((1,))
    with pytest.raises(ParameterError, match="nothing to restrict"):
        PoolPlan(restrict=True)
    with pytest.raises(ParameterError, match="cannot read the condition 'params'"):
        PoolPlan(where=("params",))


def test_random_pools_are_made_where_the_published_rule_makes_none() -> None:
    data = built(benchmark(low=-0.6), PoolPlan((3,), ("all_weak", "random")))
    assert list(data.pools) == [("random", 3)]
    assert "no model has a mean score above 0.1" in " ".join(data.missing)


def test_what_the_fallback_gave_up_is_noted() -> None:
    data = built(benchmark(low=-0.55), PoolPlan((3, 50), ("all_weak",), fallback=True))
    assert list(data.pools) == [("all_weak", 3)]
    assert data.missing == (
        "pool all_weak/3: limits 0.1 and 0.9 dropped, as the fallback asks",
        "no pool all_weak/50: there are only 40 models; ask for fewer candidates",
    )


SIZES = {f"m{i}": {"params_b": i, "family": "llama" if i % 2 else "qwen"} for i in range(35)}


def test_models_are_chosen_by_what_is_known_of_them() -> None:
    small = PoolPlan(strategies=(), where=("params_b<=6", "family=Llama"))
    data = built(benchmark(), small, metadata=SIZES)
    assert set(data.pools["chosen", 3].model_ids) == {"m1", "m3", "m5"}
    assert "5 of 40 models are not in the metadata; conditions leave them out" in data.missing
    named = PoolPlan(strategies=(), models=("m1", "m3", "m7"), where=("params_b<=6",))
    assert set(built(benchmark(), named, metadata=SIZES).pools["chosen", 2].model_ids) == {"m1", "m3"}
    # Other metadata are another pool, though the plan is the same.
    halved = {name: {**row, "params_b": row["params_b"] / 2} for name, row in SIZES.items()}
    assert ("chosen", 6) in built(benchmark(), small, metadata=halved).pools


def test_the_other_pools_are_picked_from_all_models_or_from_those_chosen() -> None:
    where = ("params_b<=9",)
    plan = PoolPlan((3, 12), ("random", "strong_to_weak"), where=where)
    everyone = built(benchmark(), plan, metadata=SIZES)
    assert {("random", 12), ("strong_to_weak", 12), ("chosen", 10)} <= set(everyone.pools)
    some = built(
        benchmark(), PoolPlan((3, 12), ("random", "strong_to_weak"), where=where, restrict=True), metadata=SIZES
    )
    assert set(some.pools) == {("random", 3), ("strong_to_weak", 3), ("chosen", 10)}
    assert {name for pool in some.pools.values() for name in pool.model_ids} <= {f"m{i}" for i in range(10)}
    assert "no pool random/12: there are only 10 models; ask for fewer candidates" in some.missing


def test_a_split_that_came_with_the_data_stays_and_its_test_prompts_have_no_say() -> None:
    import dataclasses

    given = rv.Split(np.arange(40), np.arange(40, 50), np.arange(50, 100))
    data = dataclasses.replace(benchmark(), split=given, split_given=True, data_hash="a split of its own")
    for protocol in ("strict", "paper"):
        made = built(data, PoolPlan((3,)), protocol=protocol)
        assert made.split.test.tolist() == list(range(50, 100))
        assert "the split is the one that came with the data" in made.missing
    flipped = data.scores.dense().copy()
    flipped[50:] = 1 - flipped[50:]
    scores = rv.ScoreMatrix.from_dense(flipped, data.scores.prompt_ids, data.scores.model_ids)
    other = dataclasses.replace(data, scores=scores, data_hash="flipped")
    pools = [{k: p.model_ids for k, p in built(one, PoolPlan((3,))).pools.items()} for one in (data, other)]
    assert pools[0] == pools[1]
