"""Fit once, slice often: the slice is the fit."""

from __future__ import annotations

import numpy as np
import pytest

import routereval as rv
from routereval import policies, protocols
from routereval.evaluation import evaluate_many
from routereval.routers.contract import ColumnwiseRouter
from routereval.sources.synthetic import Synthetic, SyntheticSpec
from routereval.union import leaked, unite

COLUMNWISE = [name for name in policies.routers() if getattr(policies.routers()[name], "columnwise", False)]


@pytest.fixture(scope="module")
def benchmarks() -> dict[str, rv.BenchmarkData]:
    specs = [
        SyntheticSpec(name, prompts=90, models=60, skills=3, dimensions=8, sizes=(3, 5, 10), graded=graded, seed=5)
        for name, graded in (("binary", False), ("graded", True))
    ]
    return {spec.name: Synthetic(spec).data for spec in specs}


def with_holes(data: rv.BenchmarkData) -> rv.BenchmarkData:
    dense = data.scores.dense().copy()
    dense[np.random.default_rng(0).random(dense.shape) < 0.3] = np.nan
    scores = rv.ScoreMatrix.from_dense(dense, data.scores.prompt_ids, data.scores.model_ids, missing=True)
    return rv.BenchmarkData(
        "holes", scores, data.queries, data.split, data.pools, "holes", "1" * 64, subsets=data.subsets
    )


def test_the_columnwise_routers_are_those_we_think() -> None:
    assert set(COLUMNWISE) == {
        *("best_single", "knn", "kmeans", "linear", "gmm", "uniroute", "ridge", "logistic", "svm", "boosting"),
        *("shuffled_labels", "random_embeddings", "prompt_length", "subset_only"),
    }


@pytest.mark.parametrize("protocol", ["paper", "strict"])
@pytest.mark.parametrize("kind", ["binary", "graded", "holes"])
@pytest.mark.parametrize("name", [*COLUMNWISE, "linear:recipe=minibatch"])
def test_slicing_a_union_fit_gives_the_same_bits_as_fitting_each_scenario(
    name: str, kind: str, protocol: str, benchmarks: dict[str, rv.BenchmarkData]
) -> None:
    data = with_holes(benchmarks["binary"]) if kind == "holes" else benchmarks[kind]
    scenarios = [data.scenario(*pool) for pool in data.pools]
    router = policies.PolicySpec.parse(name).build()
    together = evaluate_many(router, scenarios, protocol=protocol, seed=3)
    for scenario, shared in zip(scenarios, together, strict=True):
        (alone,) = evaluate_many(router, [scenario], protocol=protocol, seed=3)
        assert isinstance(shared, rv.RunResult)
        assert isinstance(alone, rv.RunResult)
        assert shared.spec == alone.spec
        assert shared.outcome.choices.tobytes() == alone.outcome.choices.tobytes()
        for column in alone.outcome.columns:
            assert shared.outcome.columns[column].tobytes() == alone.outcome.columns[column].tobytes(), column
        assert shared.metrics == pytest.approx(alone.metrics, abs=0, nan_ok=True)


def test_the_union_is_really_fitted_once(benchmarks: dict[str, rv.BenchmarkData]) -> None:
    fits = []

    class Counting(rv.KNN):
        def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Counting:
            fits.append(train.scores.shape[1])
            return super().fit(train, val)

    data = benchmarks["binary"]
    evaluate_many(Counting(), [data.scenario(*pool) for pool in data.pools])
    models = {name for pool in data.pools.values() for name in pool.model_ids}
    assert fits == [len(models)]


def test_a_columnwise_router_without_slices_is_fitted_for_each_scenario(
    benchmarks: dict[str, rv.BenchmarkData],
) -> None:
    class Plain:
        columnwise = True

        def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Plain:
            self.means = train.scores.model_means
            return self

        def predict(self, queries: rv.Queries) -> rv.Prediction:
            return rv.Prediction(np.tile(self.means, (len(queries), 1)))

    data = benchmarks["binary"]
    scenarios = [data.scenario(*pool) for pool in data.pools]
    plain, best = (evaluate_many(r, scenarios) for r in (Plain(), rv.BestSingle()))
    assert [r.mu for r in plain] == [r.mu for r in best]


def test_labels_of_graded_scores_depend_on_the_pool_so_models_are_not_shared(
    benchmarks: dict[str, rv.BenchmarkData],
) -> None:
    data = benchmarks["graded"]
    scenarios = [data.scenario("all_strong", m) for m in (3, 5)]
    paper = unite(scenarios, protocols.PAPER)
    assert paper.train.scores.shape[1] == 3 + 5
    for scenario, columns in zip(scenarios, paper.slices, strict=True):
        dense = scenario.train.scores.dense()
        expected = dense >= np.float32(0.95) * dense.max(axis=1, keepdims=True)
        assert np.array_equal(paper.train.targets[:, columns] == 1, expected)
    strict = unite(scenarios, protocols.STRICT)
    assert strict.train.labels is None
    assert strict.train.scores.shape[1] == len({n for s in scenarios for n in s.pool.model_ids})


def test_labels_that_came_with_the_data_are_used_as_they_are(benchmarks: dict[str, rv.BenchmarkData]) -> None:
    scenario = benchmarks["graded"].scenario("all_strong", 3)
    labels = np.zeros(scenario.train.scores.shape, dtype=np.float32)
    labelled = scenario.with_train(rv.Partition(scenario.train.queries, scenario.train.scores, labels))
    assert unite([labelled], protocols.PAPER).train.targets.max() == 0
    assert unite([labelled], protocols.STRICT).train.targets.max() > 0


def test_leaked_prompts_are_left_out_of_the_union_too() -> None:
    texts = [f"prompt {i}" for i in range(60)]
    data = Synthetic(SyntheticSpec("leaky", prompts=60, models=40, sizes=(3, 5), dimensions=4)).data
    test = int(data.split.test[0])
    texts[test] = texts[int(data.split.train[0])].upper()
    leaky = rv.BenchmarkData(
        "leaky", data.scores, rv.Queries(data.queries.ids, data.queries.embeddings, texts), data.split, data.pools, "x"
    )
    scenarios = [leaky.scenario(*pool) for pool in leaky.pools]
    assert leaked(scenarios[0]) == 1
    assert len(unite(scenarios, protocols.STRICT).train) == len(leaky.split.train) - 1
    assert len(unite(scenarios, protocols.PAPER).train) == len(leaky.split.train)


def test_columnwise_routers_of_ours_can_all_be_sliced() -> None:
    assert all(issubclass(policies.routers()[name], ColumnwiseRouter) for name in COLUMNWISE)


def test_scores_of_other_models_reach_only_a_router_that_uses_them_and_no_leaked_row_of_them() -> None:
    spec = SyntheticSpec("extra", prompts=60, models=20, skills=3, dimensions=4, sizes=(3, 5), seed=2)
    data = Synthetic(spec).data
    texts = list(data.queries.texts)
    twin, original = data.split.train[4], data.split.test[0]
    texts[twin] = f"  {texts[original].upper()} "
    queries = rv.Queries(data.queries.ids, data.queries.embeddings, texts)
    leaky = rv.BenchmarkData("extra", data.scores, queries, data.split, data.pools, "leaky", "2" * 64)
    seen = []

    class Curious(rv.BestSingle):
        def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Curious:
            seen.append((train, val))
            return super().fit(train, val)

    class Learned(Curious):
        uses_extra = True

    for router in (Curious(), Learned()):
        evaluate_many(router, [leaky.scenario("all_strong", 3)])
    (without, _), (train, val) = seen
    assert without.extra is None
    assert val.extra is None
    kept = [i for i in data.split.train if i != twin]
    assert train.extra.prompt_ids == train.queries.ids == tuple(data.queries.ids[i] for i in kept)
    assert train.extra.model_ids == data.scores.model_ids
    np.testing.assert_array_equal(train.extra.dense(), data.scores.dense()[kept])
