"""A fitted router travels as a folder of arrays and JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

import routereval as rv
from routereval import cli
from routereval.catalogue import Catalogue
from routereval.errors import DataError, RouterError, UnsafeFileError
from routereval.routers import importing
from routereval.routers.saving import load_router, save_router

SCENARIO = "demo_math/all_strong/5"
ODD = f"{__name__}:Odd"


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
    assert repr(load_router(tmp_path / "saved", trust=(ODD,)).router.state_) == repr(value)
    assert repr(load_router(tmp_path / "saved", trust=(ODD,)).router.what) == repr(value)


def test_numbers_keep_their_last_bit(tmp_path: Path) -> None:
    router, _ = fitted(Odd([0.1 + 0.2, np.float32(1 / 3)]))
    save_router(router, tmp_path / "saved", model_ids=("a",))
    state = load_router(tmp_path / "saved", trust=(ODD,)).router.state_
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


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model_ids": "abcde"}, "model_ids is no list of names"),
        ({"model_ids": []}, "model_ids is no list of names"),
        ({"model_ids": [1, 2, 3, 4, 5]}, "model_ids is no list of names"),
        ({"about": None}, "about is no object"),
    ],
)
def test_a_folder_whose_head_is_wrong_says_what_is(change: dict[str, Any], what: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, rv.KNN())
    head = json.loads((folder / "router.json").read_text())
    (folder / "router.json").write_text(json.dumps(head | change))
    with pytest.raises(DataError, match=f"is damaged .*{what}"):
        load_router(folder)


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, rv.KNN())
    head = json.loads((folder / "router.json").read_text())
    (folder / "router.json").write_text(json.dumps(head | {"format": 99}))
    with pytest.raises(DataError, match="newer version"):
        load_router(folder)


def renamed(folder: Path, path: Any) -> Path:
    """The folder, its router said to be of another class."""
    head = json.loads((folder / "router.json").read_text())
    head["state"]["class"] = path
    (folder / "router.json").write_text(json.dumps(head))
    return folder


@pytest.mark.parametrize("path", ["os:system", "subprocess:Popen", "routereval.data.queries:Queries"])
def test_what_is_no_router_is_never_made(path: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match="which is none"):
        load_router(renamed(saved(tmp_path, rv.KNN()), path), trust=(path,))


@pytest.fixture
def payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be imported, and the file that is there once somebody did."""
    (tmp_path / "payload_of_a_stranger.py").write_text(
        "from dataclasses import dataclass\nfrom pathlib import Path\n\nimport routereval as rv\n\n"
        "Path(__file__).with_name('was_run').touch()\n\n\n@dataclass\nclass X(rv.KNN):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "payload_of_a_stranger", raising=False)
    return tmp_path / "was_run"


STRANGER = "payload_of_a_stranger:X"


def test_a_stranger_s_module_is_run_only_when_it_is_trusted_by_name(payload: Path, tmp_path: Path) -> None:
    folder = renamed(saved(tmp_path, rv.KNN()), STRANGER)
    for trust in ((), ("payload_of_a_stranger",), ("payload_of_a_stranger:Y",), "payload_of_a_stranger:X:"):
        with pytest.raises(UnsafeFileError, match=f"--trust {STRANGER} .Python: trust=.'{STRANGER}',"):
            load_router(folder, trust=trust)
    assert not payload.exists()
    assert type(load_router(folder, trust=(STRANGER,)).router).__name__ == "X"
    assert payload.exists()


def test_nor_is_that_of_a_router_within_a_router(payload: Path, tmp_path: Path) -> None:
    router, _ = fitted(Odd((fitted(rv.KNN())[0],)))
    folder = save_router(router, tmp_path / "saved", model_ids=("a",))
    text = (folder / "router.json").read_text()
    assert "routereval.routers.knn:KNN" in text
    (folder / "router.json").write_text(text.replace("routereval.routers.knn:KNN", STRANGER))
    with pytest.raises(UnsafeFileError, match=STRANGER):
        load_router(folder, trust=(ODD,))
    assert not payload.exists()


def test_on_the_command_line_the_folder_one_is_in_is_not_trusted_either(
    payload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    folder = renamed(saved(tmp_path, rv.BestSingle()), STRANGER)
    monkeypatch.setattr(sys, "argv", ["routereval", "route", "--router", str(folder), "hi"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert f"--trust {STRANGER}" in capsys.readouterr().err
    assert not payload.exists()


def test_a_trusted_router_on_the_command_line_answers(tmp_path: Path) -> None:
    router, problem = fitted(Odd(1))
    folder = save_router(
        router, tmp_path / "saved", model_ids=problem.pool.model_ids, about={"needs_embeddings": False}
    )
    asked = CliRunner().invoke(cli.app, ["route", "--router", str(folder), "--trust", ODD, "hi"])
    assert asked.exit_code == 0
    assert asked.stdout.startswith(problem.pool.model_ids[0])


def test_a_router_of_an_installed_package_is_saved_under_the_name_it_is_offered_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "their_package_of_routers"
    package.mkdir()
    (package / "__init__.py").write_text("from their_package_of_routers.inner import Theirs as Theirs\n")
    (package / "inner.py").write_text(
        "from dataclasses import dataclass\n\nimport routereval as rv\n\n\n"
        "@dataclass\nclass Theirs(rv.KNN):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    offered = Catalogue("router", {"theirs": "their_package_of_routers:Theirs"})
    monkeypatch.setattr(importing, "routers", lambda: offered)
    folder = saved(tmp_path, offered["theirs"]())
    assert json.loads((folder / "router.json").read_text())["state"]["class"] == "their_package_of_routers:Theirs"
    assert type(load_router(folder).router) is offered["theirs"]


def test_a_class_that_cannot_be_imported_says_where_to_look(tmp_path: Path) -> None:
    folder = renamed(saved(tmp_path, rv.KNN()), "not_there_at_all:X")
    with pytest.raises(DataError, match=r"cannot be imported here .*install its module, or go to the folder it is in"):
        load_router(folder, trust=("not_there_at_all:X",))


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
    again = load_router(tmp_path / "saved", trust=(ODD,)).router.state_[0]
    assert dataclasses.asdict(again) == dataclasses.asdict(inner)
    queries = problem.test.queries
    assert again.predict(queries).scores.tobytes() == inner.predict(queries).scores.tobytes()
