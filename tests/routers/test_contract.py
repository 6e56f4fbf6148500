"""What every router of the catalogue owes: the same promises, whatever it learns."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval import policies, protocols
from routereval.errors import DataError, MissingDataError, ParameterError
from routereval.policies import PolicySpec, prepared
from routereval.routers.neural import extra
from routereval.routers.saving import load_router, save_router
from routereval.sources.synthetic import Synthetic, SyntheticSpec

NAMES = list(policies.routers())


def scenario(
    *,
    graded: bool = False,
    holes: bool = False,
    models: int = 5,
    train: int | None = None,
    constant: float | None = None,
    repeated: bool = False,
    flat: bool = False,
    unseen: bool = False,
) -> rv.Scenario:
    """A small problem, ordinary or with one thing about it that is not.

    ``holes``: cells are missing; ``train``: so many training prompts; ``constant``: every score is this; ``repeated``:
    each training prompt is there five times; ``flat``: all embeddings are alike; ``unseen``: no training prompt has a
    score of the first model.
    """
    spec = SyntheticSpec("contract", prompts=80, models=50, skills=3, dimensions=6, sizes=(5,), graded=graded, seed=9)
    data = Synthetic(spec).data
    dense = data.scores.dense().copy()
    if holes:
        dense[np.random.default_rng(1).random(dense.shape) < 0.4] = np.nan
    if constant is not None:
        dense[:] = constant
    pool = data.pools["strong_to_weak", 5].model_ids[-models:]
    columns = [data.scores.model_ids.index(name) for name in pool]
    if unseen:
        dense[data.split.train, columns[0]] = np.nan
    embeddings = np.asarray(data.queries.embeddings)
    if flat:
        embeddings = np.ones_like(embeddings)

    def part(name: str, index: np.ndarray[Any, Any]) -> rv.Partition:
        ids = tuple(f"{name}{i}" for i in range(len(index)))
        queries = rv.Queries(
            ids,
            np.ascontiguousarray(embeddings[index]),
            [data.queries.texts[i] for i in index],
            tuple(data.subsets[i] for i in index),
        )
        scores = rv.ScoreMatrix.from_dense(dense[np.ix_(index, columns)], ids, pool, missing=True)
        return rv.Partition(queries, scores)

    index = data.split.train[:train]
    if repeated:
        index = np.repeat(index[: len(index) // 5], 5)
    if models == 1:
        # A pool has two models at least; a partition of one is what a slice may come to.
        return SimpleNamespace(  # type: ignore[return-value]
            train=part("train", index), val=part("val", data.split.val), test=part("test", data.split.test)
        )
    pool_of = rv.CandidatePool(pool, "strong_to_weak")
    parts = [part("train", index), part("val", data.split.val), part("test", data.split.test)]
    return rv.Scenario("contract/strong_to_weak/5", pool_of, *parts)


KINDS: dict[str, dict[str, Any]] = {
    "binary": {},
    "graded": {"graded": True},
    "holes": {"holes": True},
    "graded-holes": {"graded": True, "holes": True},
    "one-model": {"models": 1},
    "two-models": {"models": 2},
    "one-prompt": {"train": 1},
    "three-prompts": {"train": 3},
    "never-right": {"constant": 0.0},
    "always-right": {"constant": 1.0},
    "repeated-prompts": {"repeated": True},
    "equal-embeddings": {"flat": True},
    "unseen-model": {"unseen": True},
}
QUICK = {
    # All that it tries is cheap and an hour is enough for it, so the clock has no say.
    "auto": "auto:candidates=knn:k=1+ridge+gmm,seconds=3600",
    "rorf": "rorf:trees=10",
    "satzilla": "satzilla:trees=10",
}
"""Routers that take as long as they are given are given little to do."""
NEURAL = {
    "mlc": "mlc:model={tiny_roberta},epochs=3",
    "probe": "probe:model={tiny_roberta},epochs=20",
    "routellm_mf": "routellm_mf:epochs=20",
    "attention": "attention:epochs=20",
    "routerdc": "routerdc:model={tiny_roberta},batch=32,steps=8",
    "graph": "graph:epochs=10",
}
"""Those that need PyTorch, skipped where it is not installed; in braces the fixture of a tiny model to fine-tune."""


def built(name: str) -> Any:
    return PolicySpec.parse(QUICK.get(name, name)).build()


def fitted(name: str, problem: rv.Scenario, seed: int = 0) -> Any:
    router = prepared(built(name), protocols.STRICT, seed)
    return router.fit(problem.train, problem.val)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name in NEURAL:
        if not extra.installed():
            pytest.skip(f"needs {extra.INSTALL}")
        made = {fixture: request.getfixturevalue(fixture) for fixture in re.findall(r"\{(\w+)\}", NEURAL[name])}
        QUICK[name] = NEURAL[name].format(**made)
    return name


def test_a_router_is_a_dataclass_with_defaults_whose_constructor_only_stores(name: str) -> None:
    cls = policies.routers()[name]
    assert dataclasses.is_dataclass(cls)
    assert vars(cls()) == {field.name: getattr(cls(), field.name) for field in dataclasses.fields(cls)}
    assert isinstance(cls.columnwise, bool)
    assert cls.__doc__


def test_fit_returns_the_router_and_learned_state_ends_in_an_underscore(name: str) -> None:
    problem = scenario()
    router = prepared(built(name), protocols.STRICT, 0)
    before = set(vars(router))
    assert router.fit(problem.train, problem.val) is router
    learned = set(vars(router)) - before
    assert learned
    assert all(attribute.endswith("_") for attribute in learned)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_has_a_finite_score_for_every_query_and_model(name: str, kind: str) -> None:
    problem = scenario(**KINDS[kind])
    m = len(problem.train.model_ids)
    try:
        prediction = fitted(name, problem).predict(problem.test.queries)
    except ParameterError as error:
        # Fewer prompts than neighbours or clusters: it says which parameter is too large for how many prompts.
        assert len(problem.train) < 5
        assert re.search(r"= \d+; with \d+ training prompts it must be", str(error))
        return
    except DataError as error:
        assert len(problem.train) == 1
        assert "1 training prompt" in str(error)
        return
    prediction.check(len(problem.test), m)
    assert np.isfinite(prediction.scores).all()
    assert prediction.probs is not None
    np.testing.assert_allclose(prediction.probs.sum(axis=1), 1, atol=1e-6)


def test_constant_scores_leave_nothing_to_choose(name: str) -> None:
    for value in (0.0, 1.0):
        problem = scenario(constant=value)
        assert rv.evaluate(built(name), problem).mu == value


def test_a_model_that_training_never_saw_is_never_preferred(name: str) -> None:
    problem = scenario(unseen=True)
    choices = rv.evaluate(built(name), problem).outcome.choices
    assert (choices != 0).all()


def test_a_saved_router_predicts_the_same_bits(name: str, tmp_path: Path) -> None:
    for kind in ("binary", "graded-holes"):
        problem = scenario(**KINDS[kind])
        router = fitted(name, problem)
        save_router(router, tmp_path / kind, model_ids=problem.pool.model_ids)
        loaded = load_router(tmp_path / kind)
        assert type(loaded.router) is type(router)
        assert loaded.model_ids == problem.pool.model_ids
        first, second = (one.predict(problem.test.queries) for one in (router, loaded.router))
        assert first.scores.tobytes() == second.scores.tobytes()
        assert first.probs.tobytes() == second.probs.tobytes()
        assert_there_is_no_pickle_in(tmp_path / kind)


def assert_there_is_no_pickle_in(folder: Path) -> None:
    """Every file is JSON, or a zip of JSON and of arrays that NumPy reads without pickle."""
    for path in folder.rglob("*"):
        assert path.suffix in {".json", ".npz", ".skops"}, path
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
            continue
        with zipfile.ZipFile(path) as packed:
            for entry in packed.namelist():
                content = packed.read(entry)
                if path.suffix == ".skops" and entry.endswith(".json"):
                    json.loads(content)
                else:
                    assert entry.endswith(".npy"), f"{entry} in {path}"
                    np.load(io.BytesIO(content), allow_pickle=False)


def test_a_router_can_be_cloned_and_the_clone_knows_nothing(name: str) -> None:
    router = fitted(name, scenario())
    clone = dataclasses.replace(router)
    assert not [attribute for attribute in vars(clone) if attribute.endswith("_")]
    assert dataclasses.asdict(clone) == dataclasses.asdict(router)


def test_a_columnwise_router_scores_each_model_by_itself(name: str) -> None:
    router = built(name)
    if not router.columnwise:
        return
    for kind in ("binary", "graded", "holes"):
        problem = scenario(**KINDS[kind])
        whole = fitted(name, problem).predict(problem.test.queries).scores
        for columns in ([1], [4, 0], [2, 3, 4]):
            index = np.array(columns)
            part = rv.Partition(problem.train.queries, problem.train.scores.columns(index))
            val = rv.Partition(problem.val.queries, problem.val.scores.columns(index))
            alone = prepared(built(name), protocols.STRICT, 0).fit(part, val).predict(problem.test.queries).scores
            assert alone.tobytes() == np.ascontiguousarray(whole[:, index]).tobytes()


def test_what_tuning_tries_are_values_of_the_routers_own_parameters(name: str) -> None:
    router = built(name)
    space = getattr(router, "search_space", {})
    problem = scenario()
    for parameter, values in space.items():
        assert values[0] == getattr(router, parameter), f"{parameter}: the default comes first"
        assert len(set(values)) == len(values)
        for value in values:
            one = dataclasses.replace(router, **{parameter: value})
            try:
                prepared(one, protocols.STRICT, 0).fit(problem.train, problem.val)
            except ParameterError as error:
                # More neighbours or clusters than there are prompts here.
                assert isinstance(value, int)
                assert value > len(problem.train), error


def test_neither_the_data_nor_the_parameters_are_changed(name: str) -> None:
    problem = scenario(holes=True)
    before = contents(problem)
    router = built(name)
    unfitted = copy.deepcopy(vars(router))
    rv.evaluate(router, problem)
    assert vars(router) == unfitted
    assert contents(problem) == before


def contents(problem: rv.Scenario) -> list[Any]:
    """All that is in the parts of a scenario, copied."""
    return [
        (
            *(part.queries.ids, part.queries.subsets, tuple(part.queries.texts or ()), part.model_ids),
            *(part.queries.require_embeddings().tobytes(), part.scores.dense().tobytes(), part.targets.tobytes()),
        )
        for part in (problem.train, problem.val, problem.test)
        if part is not None
    ]


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
    choices = [rv.evaluate(built(name), one).outcome.choices for one in (problem, flipped)]
    assert np.array_equal(*choices)


def test_test_scores_of_other_models_have_no_say_either(name: str) -> None:
    if not getattr(policies.routers()[name], "uses_extra", False):
        return
    spec = SyntheticSpec("contract", prompts=80, models=50, skills=3, dimensions=6, sizes=(5,), seed=9)
    data = Synthetic(spec).data
    dense = data.scores.dense().copy()
    dense[data.split.test] = 1 - dense[data.split.test]
    scores = rv.ScoreMatrix.from_dense(dense, data.scores.prompt_ids, data.scores.model_ids)
    both = data, dataclasses.replace(data, scores=scores)
    choices = [rv.evaluate(built(name), one.scenario("strong_to_weak", 5)).outcome.choices for one in both]
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
    mu = rv.evaluate(built(name), problem).mu
    assert mu > rv.evaluate(rv.Random(), problem).mu + 0.05


def test_a_router_that_lacks_what_it_needs_of_a_prompt_says_so(name: str) -> None:
    problem = scenario()

    def only_ids(part: rv.Partition) -> rv.Partition:
        return rv.Partition(rv.Queries(part.queries.ids), part.scores)

    blind = dataclasses.replace(problem, train=only_ids(problem.train), val=None, test=only_ids(problem.test))
    if policies.needs_embeddings(built(name)):
        with pytest.raises(MissingDataError, match="needs embeddings"):
            rv.evaluate(built(name), blind)
    elif name in ("best_single", "majority", "bradley_terry", "elo"):
        assert rv.evaluate(built(name), blind).mu == rv.evaluate(built(name), dataclasses.replace(problem, val=None)).mu
    else:
        with pytest.raises(MissingDataError, match=r"needs (texts|to know which subset)"):
            rv.evaluate(built(name), blind)


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
