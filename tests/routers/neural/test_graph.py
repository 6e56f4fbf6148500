from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.data.home import home
from routereval.errors import DataError, ParameterError
from routereval.routers.saving import load_router, save_router
from routereval.sources.synthetic import Synthetic, SyntheticSpec

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")


@pytest.fixture(scope="module")
def problem() -> rv.Scenario:
    spec = SyntheticSpec(
        "graph", prompts=400, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


@pytest.fixture(scope="module")
def described(problem: rv.Scenario, tmp_path_factory: pytest.TempPathFactory) -> rv.Graph:
    """Fitted where each model is described by four numbers."""
    file = tmp_path_factory.mktemp("described") / "models.json"
    vectors = np.random.default_rng(0).standard_normal((5, 4)).tolist()
    file.write_text(json.dumps(dict(zip(problem.pool.model_ids, vectors, strict=True))))
    return rv.Graph(descriptions=str(file), epochs=20, learning_rate=3e-3).fit(problem.train, problem.val)


def vectors_of(router: rv.Graph) -> dict[str, list[float]]:
    vectors: dict[str, list[float]] = json.loads(Path(router.descriptions).read_text())
    return vectors


def test_with_too_few_prompts_to_set_some_aside_it_is_the_best_single_model(problem: rv.Scenario) -> None:
    few = problem.train.rows(np.arange(20))
    scores = rv.Graph().fit(few).predict(problem.test.queries).scores
    expected = (few.scores.dense().mean(axis=0) * 20 + 1) / 22
    np.testing.assert_allclose(scores, np.tile(expected, (len(scores), 1)), rtol=1e-5)


@pytest.mark.parametrize(("edge", "rate"), [("dot", 3e-3), ("mean", 1e-2)])
def test_it_learns_which_prompts_suit_which_model(edge: str, rate: float) -> None:
    # The first model is right where the first number is positive, the second where it is not.
    embeddings = np.random.default_rng(0).standard_normal((160, 4)).astype(np.float32)
    positive = (embeddings[:, 0] > 0).astype(np.float32)
    ids = tuple(map(str, range(160)))
    scores = rv.ScoreMatrix.from_dense(np.stack([positive, 1 - positive], axis=1), ids, ("a", "b"))
    part = rv.Partition(rv.Queries(ids, embeddings), scores)
    router = rv.Graph(edge=edge, epochs=30, learning_rate=rate)  # type: ignore[arg-type]
    prediction = router.fit(part.rows(np.arange(100))).predict(part.queries.take(np.arange(100, 160)))
    right = prediction.scores.argmax(axis=1) == 1 - positive[100:]
    assert right.mean() > 0.8


def test_a_task_says_something_where_embeddings_do_not() -> None:
    # Half the tasks are for one model, half for the other; embeddings tell the tasks apart only in the mean.
    n = 120
    rng = np.random.default_rng(0)
    kinds = np.arange(n) % 2
    embeddings = rng.standard_normal((n, 4)).astype(np.float32)
    embeddings[:, 0] += 0.5 * kinds
    ids, subsets = tuple(map(str, range(n))), tuple("ab"[kind] for kind in kinds)
    scores = np.stack([kinds, 1 - kinds], axis=1).astype(np.float32)

    def accuracy(tasks: tuple[str, ...] | None) -> float:
        queries = rv.Queries(ids, embeddings, None, tasks)
        part = rv.Partition(queries, rv.ScoreMatrix.from_dense(scores, ids, ("a", "b")))
        router = rv.Graph(epochs=40, learning_rate=3e-3).fit(part.rows(np.arange(80)))
        test = part.rows(np.arange(80, n))
        chosen = router.predict(test.queries).scores.argmax(axis=1)
        return float(test.scores.dense()[np.arange(len(test)), chosen].mean())

    assert accuracy(subsets) == 1
    assert accuracy(None) < 0.9


def test_a_task_that_training_did_not_have_is_taken_for_the_mean_of_all(problem: rv.Scenario) -> None:
    router = rv.Graph(epochs=5, learning_rate=3e-3).fit(problem.train, problem.val)
    test = problem.test.queries
    unknown = dataclasses.replace(test, subsets=("new",) * len(test))
    without = dataclasses.replace(test, subsets=None)
    assert router.predict(unknown).scores.tobytes() == router.predict(without).scores.tobytes()


def test_a_new_model_described_like_a_known_one_has_its_scores(described: rv.Graph, problem: rv.Scenario) -> None:
    known = described.predict(problem.test.queries).scores
    assert known.std(axis=0).min() > 0.01
    for place, (name, vector) in enumerate(vectors_of(described).items()):
        more = described.with_model(f"like {name}", vector)
        scores = more.predict(problem.test.queries).scores
        assert scores[:, :5].tobytes() == known.tobytes()
        np.testing.assert_allclose(scores[:, 5], known[:, place], rtol=1e-4)
    assert described.predict(problem.test.queries).scores.shape[1] == 5


def test_a_new_model_with_scores_of_its_own_is_known_by_them(described: rv.Graph, problem: rv.Scenario) -> None:
    vectors = list(vectors_of(described).values())
    n = len(problem.train)
    never = described.with_model("never", vectors[0], np.zeros(n)).predict(problem.test.queries).scores
    always = described.with_model("always", vectors[0], np.ones(n)).predict(problem.test.queries).scores
    assert (always[:, 5] > never[:, 5] + 0.5).all()
    unseen = described.with_model("unseen", vectors[0], np.full(n, np.nan)).predict(problem.test.queries).scores
    assert (unseen.argmin(axis=1) == 5).all()
    # The scores of a known model on the training prompts make the same of a model described like it.
    own = problem.train.scores.dense()[:, 2]
    scores = described.with_model("third", vectors[2], own).predict(problem.test.queries).scores
    np.testing.assert_allclose(scores[:, 5], scores[:, 2], rtol=1e-4)


def test_models_can_be_added_one_after_the_other_and_saved(
    described: rv.Graph, problem: rv.Scenario, tmp_path: Path
) -> None:
    first, second = list(vectors_of(described).values())[:2]
    more = described.with_model("one", first).with_model("two", second)
    assert more.models_ == (*problem.pool.model_ids, "one", "two")
    save_router(more, tmp_path / "saved", model_ids=more.models_)
    loaded = load_router(tmp_path / "saved").router
    assert loaded.predict(problem.test.queries).scores.tobytes() == more.predict(problem.test.queries).scores.tobytes()
    third = loaded.with_model("three", first)
    np.testing.assert_array_equal(third.states_[7], more.states_[5])


def test_a_new_model_that_cannot_be_is_refused(described: rv.Graph, problem: rv.Scenario) -> None:
    (name, vector), *_ = vectors_of(described).items()
    with pytest.raises(ParameterError, match=r"has a model .* already"):
        described.with_model(name, vector)
    with pytest.raises(DataError, match="described by 2 numbers, the others by 4"):
        described.with_model("new", [1.0, 2.0])
    with pytest.raises(DataError, match=r"scores have shape \(3,\)"):
        described.with_model("new", vector, np.zeros(3))
    with pytest.raises(DataError, match="must be 0 to 1"):
        described.with_model("new", vector, np.full(len(problem.train), 2.0))
    with pytest.raises(ParameterError, match="fitted without descriptions"):
        rv.Graph(epochs=1).fit(problem.train).with_model("new", vector)


def test_models_with_and_without_a_description_go_together(problem: rv.Scenario, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text(f"{problem.pool.model_ids[3]},a model of seven billion parameters\n")
    router = rv.Graph(descriptions=str(file), epochs=2).fit(problem.train, problem.val)
    assert router.described_.tolist() == [False, False, False, True, False]
    before = router.predict(problem.test.queries).scores
    after = router.with_model("new", "a model of seven billion parameters").predict(problem.test.queries).scores
    np.testing.assert_allclose(after[:, 5], before[:, 3], rtol=1e-4)


def test_a_fit_that_was_cut_off_carries_on_and_ends_with_the_same_bits(
    problem: rv.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    from routereval.routers.neural.checkpoints import Checkpoint

    router = rv.Graph(epochs=3, learning_rate=3e-3)
    whole = dataclasses.replace(router).fit(problem.train, problem.val)
    write, written = Checkpoint.write, 0

    def write_until(self: Checkpoint, *given: Any) -> None:
        nonlocal written
        write(self, *given)
        written += 1
        if written == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", write_until)
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(router, checkpoint_seconds=0).fit(problem.train, problem.val)
    resumed = dataclasses.replace(router, checkpoint_seconds=0).fit(problem.train, problem.val)
    assert written == 3 * 4  # 0.3 of the prompts at a time: four steps an epoch, none made twice
    assert all(values.tobytes() == whole.weights_[name].tobytes() for name, values in resumed.weights_.items())
    assert resumed.states_.tobytes() == whole.states_.tobytes()
    assert not list((home() / "checkpoints").glob("graph-*"))


def test_a_step_may_hear_of_a_part_of_the_prompts(problem: rv.Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    from routereval.routers.neural import graph

    monkeypatch.setattr(graph, "_HEARD", 50)
    heard = []
    states = rv.Graph._states

    def counted(self: rv.Graph, module: Any, prompts: Any, targets: Any, device: Any) -> Any:
        heard.append(len(targets))
        return states(self, module, prompts, targets, device)

    monkeypatch.setattr(rv.Graph, "_states", counted)
    router = rv.Graph(epochs=1).fit(problem.train, problem.val)
    n = len(problem.train)
    # Judged by all before and after, learned from 50 at a time, kept as all leave them.
    assert heard == [n, 50, 50, 50, 50, n, n]
    assert np.isfinite(router.predict(problem.test.queries).scores).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": 0}, "hidden = 0; it must be at least 1"),
        ({"mask": 0.0}, "mask = 0.0; it must be above 0 and below 1"),
        ({"mask": 1.0}, "mask = 1.0"),
        ({"edge": "max"}, "edge = 'max'; expected mean or dot"),
        ({"patience": 0}, "patience = 0"),
        ({"epochs": 0}, "epochs = 0"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0; it must be positive"),
        ({"weight_decay": -1.0}, "weight_decay = -1.0"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(parameters: dict[str, Any], message: str, problem: rv.Scenario) -> None:
    with pytest.raises(ParameterError, match=f"graph has {message}"):
        rv.Graph(**parameters).fit(problem.train)
