"""A fitted router travels as a folder of arrays and JSON."""

from __future__ import annotations

import dataclasses
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

import routereval as rv
from routereval.errors import DataError, RouterError, UnsafeFileError
from routereval.routers.saving import load_router, save_router

SCENARIO = "demo_math/all_strong/5"


@dataclass
class Odd:
    """A router that learns whatever it is told to."""

    columnwise: ClassVar[bool] = False
    what: Any = None

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Odd:
        self.state_ = self.what
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        return rv.Prediction(np.zeros((len(queries), 5)))


def fitted(router: Any) -> tuple[Any, rv.Scenario]:
    problem = rv.load_scenario(SCENARIO)
    return router.fit(problem.train, problem.val), problem


@pytest.mark.parametrize("estimator", [Ridge(), RandomForestClassifier(5, random_state=0)])
def test_a_scikit_learn_estimator_predicts_the_same_after_saving(estimator: Any, tmp_path: Path) -> None:
    router, problem = fitted(rv.SklearnRouter(estimator))
    save_router(router, tmp_path / "saved", model_ids=problem.pool.model_ids, about={"scenario": problem.id})
    loaded = load_router(tmp_path / "saved")
    assert loaded.model_ids == problem.pool.model_ids
    assert loaded.about == {"scenario": SCENARIO}
    queries = problem.test.queries
    assert loaded.router.predict(queries).scores.tobytes() == router.predict(queries).scores.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        0.1,
        float("nan"),
        float("-inf"),
        "text",
        (1, "two", [3.0, None]),
        {"a": np.arange(3), "b": (np.float32(0.1),)},
        np.array([["x", "yy"]]),
        rv.KNN(k=7),
    ],
)
def test_whatever_may_be_learned_comes_back_as_it_was(value: Any, tmp_path: Path) -> None:
    router, _ = fitted(Odd(value))
    save_router(router, tmp_path / "saved", model_ids=("a",))
    assert repr(load_router(tmp_path / "saved").router.state_) == repr(value)
    assert repr(load_router(tmp_path / "saved").router.what) == repr(value)


def test_numbers_keep_their_last_bit(tmp_path: Path) -> None:
    router, _ = fitted(Odd([0.1 + 0.2, np.float32(1 / 3)]))
    save_router(router, tmp_path / "saved", model_ids=("a",))
    state = load_router(tmp_path / "saved").router.state_
    assert state[0] == 0.1 + 0.2
    assert state[1] == np.float32(1 / 3)
    assert state[1].dtype == np.float32


@pytest.mark.parametrize("value", [threading.Lock(), lambda x: x, {1: 2}, np.array([object()], dtype=object)])
def test_what_has_no_place_in_arrays_and_json_is_refused_by_name(value: Any, tmp_path: Path) -> None:
    router, _ = fitted(Odd(value))
    with pytest.raises(RouterError, match=r"Odd\.(what|state_) is a.* which cannot be saved"):
        save_router(router, tmp_path / "saved", model_ids=("a",))
    assert list(tmp_path.iterdir()) == []


def test_a_router_that_was_not_fitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="not fitted"):
        save_router(rv.KNN(), tmp_path / "saved", model_ids=("a",))


def test_a_folder_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    router, _ = fitted(rv.KNN())
    with pytest.raises(DataError, match="is there already"):
        save_router(router, tmp_path, model_ids=("a",))


def test_nothing_half_written_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    router, _ = fitted(rv.KNN())

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DataError, match="No space left"):
        save_router(router, tmp_path / "saved", model_ids=("a",))
    assert list(tmp_path.iterdir()) == []


def saved(tmp_path: Path, router: Any) -> Path:
    return save_router(fitted(router)[0], tmp_path / "saved", model_ids=("a", "b", "c", "d", "e"))


def test_a_folder_without_a_router_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no saved router.*routereval fit"):
        load_router(tmp_path)


@pytest.mark.parametrize("name", ["router.json", "arrays.npz"])
def test_a_damaged_folder_says_so(name: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, rv.KNN())
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is damaged"):
        load_router(folder)


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, rv.KNN())
    head = json.loads((folder / "router.json").read_text())
    (folder / "router.json").write_text(json.dumps(head | {"format": 99}))
    with pytest.raises(DataError, match="newer version"):
        load_router(folder)


@pytest.mark.parametrize("path", ["os:system", "subprocess:Popen", "routereval.data.queries:Queries"])
def test_what_is_no_router_is_never_made(path: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, rv.KNN())
    head = json.loads((folder / "router.json").read_text())
    head["state"]["class"] = path
    (folder / "router.json").write_text(json.dumps(head))
    with pytest.raises(UnsafeFileError, match="which is none"):
        load_router(folder)


def test_an_estimator_of_a_stranger_is_refused(tmp_path: Path) -> None:
    import skops.io

    folder = saved(tmp_path, rv.SklearnRouter(Ridge()))
    strange = Ridge()
    strange.extra_ = rv.KNN()
    (folder / "e0.skops").write_bytes(skops.io.dumps(strange))
    with pytest.raises(UnsafeFileError, match=r"asks for routereval\.routers\.knn\.KNN"):
        load_router(folder)


def test_a_router_within_a_router_is_saved_with_it(tmp_path: Path) -> None:
    inner, problem = fitted(rv.KNN(k=3))
    router, _ = fitted(Odd((inner, "beside it")))
    save_router(router, tmp_path / "saved", model_ids=problem.pool.model_ids)
    again = load_router(tmp_path / "saved").router.state_[0]
    assert dataclasses.asdict(again) == dataclasses.asdict(inner)
    queries = problem.test.queries
    assert again.predict(queries).scores.tobytes() == inner.predict(queries).scores.tobytes()
