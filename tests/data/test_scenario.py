"""Pools, partitions, scenarios, and how they are cut from a benchmark."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import routereval as rv
from routereval.errors import DataError, MissingDataError

NAN = float("nan")
PROMPTS = tuple("abcdef")
MODELS = ("x", "y", "z")
SCORES = [[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1], [0, 1, 1], [1, 0, 0]]
POOL = rv.CandidatePool(("z", "x"), "all_strong")


def scores_of(rows: list[list[float]] = SCORES) -> rv.ScoreMatrix:
    return rv.ScoreMatrix.from_dense(rows, PROMPTS[: len(rows)], MODELS, missing=True)


def partition(rows: list[list[float]] = SCORES, labels: np.ndarray | None = None) -> rv.Partition:
    embeddings = np.arange(2 * len(rows), dtype=np.float32).reshape(-1, 2)
    return rv.Partition(rv.Queries(PROMPTS[: len(rows)], embeddings), scores_of(rows), labels)


def benchmark(**changes) -> rv.BenchmarkData:
    """Prompts f, d, a to train on, c to tune on, e and b to be tested on; pools of two and of three models."""
    data = rv.BenchmarkData(
        benchmark="tiny",
        scores=scores_of(),
        queries=rv.Queries(PROMPTS, np.arange(12, dtype=np.float32).reshape(6, 2), [f"text {p}" for p in PROMPTS]),
        split=rv.Split(np.array([5, 3, 0]), np.array([2]), np.array([4, 1])),
        pools={("all_strong", 2): POOL, ("strong_to_weak", 3): rv.CandidatePool(MODELS, "strong_to_weak")},
        source="a test",
        data_hash="ab" * 32,
        reference_model="big",
        reference_score=0.75,
    )
    return dataclasses.replace(data, **changes)


# Pools


@pytest.mark.parametrize(
    ("models", "strategy", "message"),
    [
        (("x",), "all", "a pool of 1 models leaves nothing to route; it needs at least 2"),
        ((), "all", "a pool of 0 models"),
        (tuple("xyxzyx"), "all", "2 models are in the pool more than once: x, y"),
        (("x", "y"), "all/strong", "'all/strong' cannot name a strategy"),
        (("x", "y"), "", "'' cannot name a strategy"),
        (("x", "y"), ".hidden", "'.hidden' cannot name a strategy"),
        (("x", "y"), "all\n", "cannot name a strategy"),
    ],
)
def test_what_cannot_be_a_pool_is_refused(models: tuple[str, ...], strategy: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rv.CandidatePool(models, strategy)


def test_equal_pools_are_equal_whoever_made_them() -> None:
    assert rv.CandidatePool(("z", "x"), "all_strong") == POOL
    assert rv.CandidatePool(("x", "z"), "all_strong") != POOL
    assert len(POOL) == 2


# Partitions


def test_what_is_learned_is_the_scores_unless_there_are_labels() -> None:
    plain = partition([[0.25, 1, NAN], [0.5, 0, NAN]])
    np.testing.assert_array_equal(plain.targets, np.float32([[0.25, 1, NAN], [0.5, 0, NAN]]))
    np.testing.assert_array_equal(plain.target_means, [0.375, 0.5, NAN])
    labelled = partition([[0.25, 1, NAN], [0.5, 0, NAN]], np.float32([[0, 1, NAN], [1, 1, NAN]]))
    np.testing.assert_array_equal(labelled.targets, np.float32([[0, 1, NAN], [1, 1, NAN]]))
    np.testing.assert_array_equal(labelled.target_means, [0.5, 1.0, NAN])


@pytest.mark.parametrize(
    ("rows", "labels", "dtype"),
    [
        (SCORES, None, np.uint8),
        ([[0.5, 1, 0], [0, 0, 0]], None, np.float32),
        ([[NAN, 1, 0], [0, 0, 0]], None, np.float32),
        (SCORES[:1], np.float32([[1, 0, 1]]), np.float32),
    ],
)
def test_targets_by_model_are_the_targets_with_one_contiguous_row_per_model(rows, labels, dtype: type) -> None:
    part = partition(rows, labels)
    assert part.targets_by_model.dtype == dtype
    assert part.targets_by_model.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(part.targets_by_model, part.targets.T)


def test_rows_of_a_partition_keep_queries_scores_and_labels_together() -> None:
    labels = np.arange(18, dtype=np.float32).reshape(6, 3)
    cut = partition(labels=labels).rows(np.array([4, 0]))
    assert len(cut) == 2
    assert cut.queries.ids == cut.scores.prompt_ids == ("e", "a")
    assert cut.scores.dense().tolist() == [SCORES[4], SCORES[0]]
    assert cut.targets.tolist() == [[12, 13, 14], [0, 1, 2]]
    assert cut.queries.require_embeddings().tolist() == [[8, 9], [0, 1]]
    assert cut.model_ids == MODELS


def test_queries_and_scores_of_other_prompts_are_no_partition() -> None:
    with pytest.raises(DataError, match="6 queries and 5 rows of scores are not the same prompts"):
        rv.Partition(rv.Queries(PROMPTS), scores_of(SCORES[:5]))
    with pytest.raises(DataError, match="not the same prompts"):
        rv.Partition(rv.Queries(PROMPTS[::-1]), scores_of())


def test_rows_of_a_partition_take_the_scores_of_other_models_along() -> None:
    part = partition()
    extra = rv.ScoreMatrix.from_dense(np.eye(6), PROMPTS, tuple("uvwxyz"))
    cut = dataclasses.replace(part, extra=extra).rows(np.array([4, 0]))
    assert cut.extra.prompt_ids == ("e", "a")
    assert cut.extra.dense().tolist() == [np.eye(6)[4].tolist(), np.eye(6)[0].tolist()]
    assert part.rows(np.array([4, 0])).extra is None
    with pytest.raises(DataError, match="6 queries and 5 rows of extra scores are not the same prompts"):
        dataclasses.replace(part, extra=scores_of(SCORES[:5]))


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"labels have shape \(6, 2\), scores \(6, 3\)"):
        partition(labels=np.zeros((6, 2), dtype=np.float32))


# Scenarios


def test_a_scenario_is_cut_from_a_benchmark_by_split_and_pool() -> None:
    scenario = benchmark().scenario("all_strong", 2)
    assert (scenario.id, scenario.benchmark, scenario.strategy, scenario.m) == (
        "tiny/all_strong/2",
        "tiny",
        "all_strong",
        2,
    )
    for part, prompts in ((scenario.train, "fda"), (scenario.val, "c"), (scenario.test, "eb")):
        assert part.queries.ids == tuple(prompts)
        assert part.model_ids == ("z", "x")
        rows = [PROMPTS.index(prompt) for prompt in prompts]
        assert part.scores.dense().tolist() == [[SCORES[row][2], SCORES[row][0]] for row in rows]
        assert part.queries.require_embeddings().tolist() == [[2 * row, 2 * row + 1] for row in rows]
        assert list(part.queries.texts) == [f"text {prompt}" for prompt in prompts]
        assert part.labels is None
    assert (scenario.reference_model, scenario.reference_score) == ("big", 0.75)
    assert scenario.data_hash == "ab" * 32


def test_training_prompts_alone_have_the_scores_of_models_outside_the_pool() -> None:
    data = benchmark()
    scenario = data.scenario("all_strong", 2)
    assert scenario.train.extra.prompt_ids == tuple("fda")
    assert scenario.train.extra.model_ids == MODELS
    assert scenario.train.extra.dense().tolist() == [SCORES[5], SCORES[3], SCORES[0]]
    assert scenario.val.extra is None
    assert scenario.test.extra is None
    assert data.scenario("strong_to_weak", 3).train.extra is scenario.train.extra
    peeking = dataclasses.replace(scenario.test, extra=data.scores.rows(np.array([4, 1])))
    with pytest.raises(DataError, match="scores of other models are there for training prompts only"):
        dataclasses.replace(scenario, test=peeking)


def test_labels_that_came_with_a_pool_are_learned_from_and_from_no_other_pool() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.uint8)
    data = benchmark(train_labels={("all_strong", 2): labels})
    targets = data.scenario("all_strong", 2).train.targets
    assert targets.dtype == np.float32
    assert targets.tolist() == labels.tolist()
    assert data.scenario("strong_to_weak", 3).train.labels is None
    assert data.scenario("all_strong", 2).test.labels is None


def test_a_scenario_prints_its_sizes() -> None:
    data = benchmark()
    assert str(data.scenario("strong_to_weak", 3)) == (
        "tiny/strong_to_weak/3: 3 models, 3 train / 1 val / 2 test prompts, binary scores"
    )
    assert repr(data) == (
        "BenchmarkData(tiny: ScoreMatrix(6 prompts x 3 models, binary), Split(3 train, 1 val, 2 test), 2 pools)"
    )
    assert data.scenario_ids == ("tiny/all_strong/2", "tiny/strong_to_weak/3")


def test_other_training_data_leave_the_rest_as_it_was() -> None:
    scenario = benchmark().scenario("all_strong", 2)
    fewer = scenario.with_train(scenario.train.rows(np.array([1])))
    assert len(fewer.train) == 1
    assert len(scenario.train) == 3
    assert fewer.test is scenario.test
    assert (fewer.id, fewer.pool, fewer.data_hash) == (scenario.id, scenario.pool, scenario.data_hash)


def test_without_validation_prompts_a_scenario_has_none() -> None:
    nothing = np.array([], dtype=np.intp)
    scenario = benchmark(split=rv.Split(np.array([0, 1]), nothing, np.array([2]))).scenario("all_strong", 2)
    assert scenario.val is None
    assert "2 train / 0 val / 1 test" in str(scenario)


@pytest.mark.parametrize(("train", "test", "absent"), [([], [0], "train"), ([0], [], "test")])
def test_without_prompts_to_train_or_test_on_there_is_no_scenario(train: list, test: list, absent: str) -> None:
    split = rv.Split(*(np.array(part, dtype=np.intp) for part in (train, [], test)))
    with pytest.raises(MissingDataError, match=f"tiny/all_strong/2 has no {absent} prompts in a test: the split is em"):
        benchmark(split=split).scenario("all_strong", 2)
    with pytest.raises(MissingDataError, match=f"no {absent} prompts in a test: it was lost; so was that"):
        benchmark(split=split, missing=("it was lost", "so was that")).scenario("all_strong", 2)


def test_a_part_on_which_nothing_of_the_pool_was_observed_is_not_there() -> None:
    # z and x were not observed on c (validation); y was, so the pool that has y keeps its validation prompts.
    rows = [list(map(float, row)) for row in SCORES]
    rows[2] = [NAN, 1, NAN]
    data = benchmark(scores=scores_of(rows))
    assert data.scenario("all_strong", 2).val is None
    assert data.scenario("strong_to_weak", 3).val is not None
    rows[4], rows[1] = [NAN, 1, NAN], [NAN, 1, NAN]
    with pytest.raises(MissingDataError, match="tiny/all_strong/2 has no test prompts"):
        benchmark(scores=scores_of(rows)).scenario("all_strong", 2)


def test_a_pool_that_is_not_there_says_which_are() -> None:
    with pytest.raises(MissingDataError, match="tiny has no pool all_weak/2 in a test; it has: all_strong/2"):
        benchmark().scenario("all_weak", 2)
    with pytest.raises(MissingDataError, match="it has: none"):
        benchmark(pools={}).pool("all_weak", 2)


def test_a_pool_of_models_without_scores_says_which() -> None:
    data = benchmark(pools={("mine", 2): rv.CandidatePool(("x", "gpt"), "mine")})
    with pytest.raises(DataError, match="1 models have no scores: gpt"):
        data.scenario("mine", 2)


def test_a_scenario_whose_columns_are_not_its_pool_is_refused() -> None:
    part = partition()
    with pytest.raises(DataError, match="t/all/3: the columns of the scores are not the models of the pool"):
        rv.Scenario("t/all/3", rv.CandidatePool(("x", "z", "y"), "all"), part, None, part)


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_benchmark_needs_a_name_that_can_be_part_of_an_id(name: str) -> None:
    with pytest.raises(DataError, match="cannot name a benchmark: a name is needed, without '/'"):
        benchmark(benchmark=name)


def test_a_benchmark_of_queries_and_scores_of_other_prompts_is_refused() -> None:
    with pytest.raises(DataError, match="a test: queries and scores are not the same prompts"):
        benchmark(queries=rv.Queries(PROMPTS[:5]))


def test_a_benchmark_that_was_never_stored_travels_whole() -> None:
    again = pickle.loads(pickle.dumps(benchmark()))
    assert again.scenario_ids == ("tiny/all_strong/2", "tiny/strong_to_weak/3")
    assert again.scenario("all_strong", 2).test.scores.dense().tolist() == [[1, 0], [0, 1]]


# Values


def values() -> list[object]:
    data = benchmark()
    scenario = data.scenario("all_strong", 2)
    prediction = rv.Prediction(np.eye(2))
    outcome = rv.evaluate(rv.Oracle(), scenario).outcome
    return [data, data.scores, data.queries, data.split, scenario, scenario.train, scenario.pool, prediction, outcome]


@pytest.mark.parametrize("one", values(), ids=lambda one: type(one).__name__)
def test_data_are_values_whose_fields_cannot_be_set(one: object) -> None:
    for field in dataclasses.fields(one):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, field.name, None)


@pytest.mark.parametrize("one", values(), ids=lambda one: type(one).__name__)
def test_comparing_data_compares_no_arrays(one: object) -> None:
    other = dataclasses.replace(one)
    assert (one == other) is isinstance(one, rv.CandidatePool)  # names only, so those may be equal
    assert len({one, one}) == 1
