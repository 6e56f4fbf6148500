"""Fewer training prompts than there are."""

from __future__ import annotations

from pathlib import Path

import pytest

import routereval as rv
from routereval.data.training_part import with_train_size
from routereval.errors import ParameterError
from routereval.verification import finder, verify


@pytest.fixture(scope="module")
def scenario() -> rv.Scenario:
    return rv.load_scenario("demo_math/all_strong/3")


def test_a_larger_part_holds_the_smaller_and_all_is_all(scenario: rv.Scenario) -> None:
    small, large = (set(with_train_size(scenario, size, 0).train.queries.ids) for size in (10, 40))
    assert (len(small), len(large)) == (10, 40)
    assert small < large
    assert with_train_size(scenario, None, 0) is scenario
    assert with_train_size(scenario, len(scenario.train), 0).train.queries.ids == scenario.train.queries.ids


def test_every_pool_of_a_benchmark_gets_the_same_prompts_and_every_seed_others(scenario: rv.Scenario) -> None:
    other = rv.load_scenario("demo_math/all_weak/5")
    ids = [with_train_size(one, 20, 0).train.queries.ids for one in (scenario, other)]
    assert ids[0] == ids[1]
    assert with_train_size(scenario, 20, 1).train.queries.ids != ids[0]


@pytest.mark.parametrize("size", [0, -1, 10**6])
def test_a_size_that_is_not_to_be_had_says_how_many_there_are(scenario: rv.Scenario, size: int) -> None:
    with pytest.raises(ParameterError, match=rf"{len(scenario.train)} training prompts; a training size of {size}"):
        with_train_size(scenario, size, 0)


def test_runs_on_a_part_are_runs_of_their_own_that_verify(tmp_path: Path) -> None:
    from routereval.datasets import Datasets

    runs = rv.run(
        ["demo_math/*/3"], ["knn", "oracle"], results=tmp_path / "r.sqlite", train_sizes=[20, 60, None], seeds=[1]
    )
    sizes = [(run.spec.router, run.spec.train_size) for run in runs if run.spec.scenario == "demo_math/all_strong/3"]
    assert sorted(sizes, key=str) == [("knn", 20), ("knn", 60), ("knn", None), ("oracle", None)]
    find = finder(Datasets(None))
    assert all(verify(run, find).differences == () for run in runs)
    alone = rv.evaluate(rv.KNN(), rv.load_scenario("demo_math/all_strong/3"), seed=1, train_size=20)
    (together,) = (run for run in runs if run.spec.key == alone.spec.key)
    assert (together.outcome.choices == alone.outcome.choices).all()
    assert alone.spec.train_size == 20


def test_a_run_on_all_prompts_keeps_its_key() -> None:
    # Stored results of earlier versions stay found.
    spec = rv.RunSpec("a/b/3", "knn", {"k": 5}, "none", "strict", 0, "f" * 64)
    assert spec.key == "9112067d222eb0ccc7b3f351d54768b712d05cb0d9689fa579fcbec00134de71"
    assert rv.RunSpec("a/b/3", "knn", {"k": 5}, "none", "strict", 0, "f" * 64, train_size=9).key != spec.key
