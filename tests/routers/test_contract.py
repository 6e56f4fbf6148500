"""What every router of the catalogue owes: the same promises, whatever it learns."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval import policies, protocols
from routereval.errors import MissingDataError, ParameterError
from routereval.policies import PolicySpec, prepared
from routereval.sources.synthetic import Synthetic, SyntheticSpec

NAMES = list(policies.routers())


def scenario(*, graded: bool = False, holes: bool = False) -> rv.Scenario:
    spec = SyntheticSpec("contract", prompts=80, models=50, skills=3, dimensions=6, sizes=(5,), graded=graded, seed=9)
    data = Synthetic(spec).data
    if holes:
        dense = data.scores.dense().copy()
        dense[np.random.default_rng(1).random(dense.shape) < 0.4] = np.nan
        scores = rv.ScoreMatrix.from_dense(dense, data.scores.prompt_ids, data.scores.model_ids, missing=True)
        data = rv.BenchmarkData("contract", scores, data.queries, data.split, data.pools, "holes", "2" * 64)
    return data.scenario("strong_to_weak", 5)


KINDS = {"binary": {}, "graded": {"graded": True}, "holes": {"holes": True}}


def fitted(name: str, problem: rv.Scenario, seed: int = 0) -> Any:
    router = prepared(PolicySpec(name).build(), protocols.STRICT, seed)
    return router.fit(problem.train, problem.val)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_router_is_a_dataclass_with_defaults_whose_constructor_only_stores(name: str) -> None:
    cls = policies.routers()[name]
    assert dataclasses.is_dataclass(cls)
    assert vars(cls()) == {field.name: getattr(cls(), field.name) for field in dataclasses.fields(cls)}
    assert isinstance(cls.columnwise, bool)
    assert cls.__doc__


def test_fit_returns_the_router_and_learned_state_ends_in_an_underscore(name: str) -> None:
    problem = scenario()
    router = prepared(PolicySpec(name).build(), protocols.STRICT, 0)
    before = set(vars(router))
    assert router.fit(problem.train, problem.val) is router
    learned = set(vars(router)) - before
    assert learned
    assert all(attribute.endswith("_") for attribute in learned)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_has_a_finite_score_for_every_query_and_model(name: str, kind: str) -> None:
    problem = scenario(**KINDS[kind])
    prediction = fitted(name, problem).predict(problem.test.queries)
    prediction.check(len(problem.test), 5)
    assert np.isfinite(prediction.scores).all()
    assert prediction.probs is not None


def test_neither_the_data_nor_the_parameters_are_changed(name: str) -> None:
    problem = scenario()
    assert problem.train.queries.embeddings is not None
    before = problem.train.queries.embeddings.copy(), problem.train.scores.dense().copy()
    router = PolicySpec(name).build()
    unfitted = copy.deepcopy(vars(router))
    rv.evaluate(router, problem)
    assert vars(router) == unfitted
    assert np.array_equal(problem.train.queries.embeddings, before[0])
    assert np.array_equal(problem.train.scores.dense(), before[1])


def test_the_same_seed_gives_the_same_bits_and_queries_do_not_depend_on_each_other(name: str) -> None:
    problem = scenario()
    queries = problem.test.queries
    first, second = (fitted(name, problem).predict(queries).scores for _ in range(2))
    assert first.tobytes() == second.tobytes()
    alone = fitted(name, problem).predict(queries.take(np.array([2])))
    np.testing.assert_allclose(alone.scores[0], first[2], rtol=1e-5, atol=1e-6)


def test_test_scores_have_no_say_in_a_prediction(name: str) -> None:
    problem = scenario()
    flipped = dataclasses.replace(
        problem,
        test=rv.Partition(
            problem.test.queries,
            rv.ScoreMatrix.from_dense(
                1 - problem.test.scores.dense(), problem.test.scores.prompt_ids, problem.test.scores.model_ids
            ),
        ),
    )
    choices = [rv.evaluate(PolicySpec(name).build(), one).outcome.choices for one in (problem, flipped)]
    assert np.array_equal(*choices)


def test_a_fitted_router_travels_to_another_process(name: str) -> None:
    problem = scenario()
    router = fitted(name, problem)
    copied = pickle.loads(pickle.dumps(router))
    queries = problem.test.queries
    assert np.array_equal(copied.predict(queries).scores, router.predict(queries).scores)


def test_a_router_learns_something_where_there_is_something_to_learn(name: str) -> None:
    spec = SyntheticSpec(
        "easy", prompts=400, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    problem = Synthetic(spec).data.scenario("strong_to_weak", 5)
    mu = rv.evaluate(PolicySpec(name).build(), problem).mu
    assert mu > rv.evaluate(rv.Random(), problem).mu + 0.05


def test_without_embeddings_a_router_that_needs_them_says_so(name: str) -> None:
    problem = scenario()
    blind = dataclasses.replace(
        problem,
        train=rv.Partition(rv.Queries(problem.train.queries.ids), problem.train.scores),
        test=rv.Partition(rv.Queries(problem.test.queries.ids), problem.test.scores),
        val=None,
    )
    if name == "best_single":
        assert rv.evaluate(PolicySpec(name).build(), blind).mu == rv.evaluate(rv.BestSingle(), problem).mu
    else:
        with pytest.raises(MissingDataError, match="needs embeddings"):
            rv.evaluate(PolicySpec(name).build(), blind)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("knn:k=0", "k = 0; with 62 training prompts it must be 1 to 62"),
        ("knn:k=63", "k = 63"),
        ("kmeans:clusters=0", "clusters = 0"),
        ("kmeans:clusters=999", "clusters = 999"),
        ("linear:epochs=0", "epochs = 0; it must be at least 1"),
        ("linear:learning_rate=-1", "must be positive"),
        ("mlp:hidden=0", "hidden = 0"),
        ("mlp:steps=0", "steps = 0"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        rv.evaluate(PolicySpec.parse(spec).build(), scenario())
