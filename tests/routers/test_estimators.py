"""A file of a scikit-learn estimator may hold estimators and their data, and run nothing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, VotingRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

import routereval as rv
from routereval.data import packing
from routereval.errors import DataError, RouterError, UnsafeFileError
from routereval.routers.estimators import dumped, loaded

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(40, 3)))
Y = RNG.integers(0, 2, 40)


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        RandomForestClassifier(3, random_state=0),
        HistGradientBoostingRegressor(max_iter=3),
        KNeighborsClassifier(algorithm="kd_tree"),
        KNeighborsClassifier(algorithm="ball_tree"),
        MLPClassifier((2,), max_iter=2000, random_state=0),
        GaussianProcessClassifier(),
        CalibratedClassifierCV(LogisticRegression()),
        VotingRegressor([("a", Ridge())]),
        make_pipeline(SelectKBest(k=2), LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_an_estimator_comes_back_and_predicts_the_same(estimator: Any) -> None:
    estimator.fit(X, Y)
    assert np.array_equal(loaded(dumped(estimator, "e"), "e.skops").predict(X), estimator.predict(X))


def json_node(value: Any) -> dict[str, Any]:
    kind = type(value).__name__
    return {
        "__class__": kind,
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
        "is_json": True,
    }


def calling(module: str, name: str, *arguments: Any) -> bytes:
    """A file that has a function called with arguments when it is read."""
    inside = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": [json_node(one) | {"__id__": i} for i, one in enumerate(arguments)],
        "__id__": 98,
    }
    call = {"__class__": name, "__module__": module, "__loader__": "ConstructorFromReduceNode", "content": inside}
    schema = json.loads(zipfile.ZipFile(io.BytesIO(skops.io.dumps(1))).read("schema.json"))
    head = {key: schema[key] for key in ("protocol", "_skops_version") if key in schema}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("schema.json", json.dumps(call | head | {"__id__": 99}))
    return out.getvalue()


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("numpy.testing", "runstring", ("open({path!r}, 'w')", {})),
        ("numpy", "savetxt", ("{path}", [1.0])),
        ("numpy", "load", ("{path}", None, True)),
        ("numpy", "fromfile", ("{path}",)),
        ("scipy.io", "savemat", ("{path}", {})),
        ("sklearn.datasets", "dump_svmlight_file", ([[1]], [1], "{path}")),
        ("sklearn.utils._testing", "_delete_folder", ("{path}",)),
        ("os", "system", ("touch {path}",)),
    ],
)
def test_no_function_of_a_package_is_called_however_trusted_the_package(
    module: str, name: str, arguments: tuple[Any, ...], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    filled = [one.format(path=str(made)) if isinstance(one, str) else one for one in arguments]
    with pytest.raises(UnsafeFileError, match=rf"asks for {module}\.{name}, .*Nothing in it was executed"):
        loaded(calling(module, name, *filled), "e.skops")
    assert not made.exists()


def test_what_could_not_be_read_again_is_not_saved() -> None:
    strange = Ridge()
    strange.extra_ = rv.KNN()
    with pytest.raises(RouterError, match=r"Mine\.model_ is a Ridge, which cannot be saved: it has routereval.*KNN"):
        dumped(strange, "Mine.model_")


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
def test_a_tree_that_points_outside_of_itself_is_refused(field: str) -> None:
    forest = RandomForestClassifier(1, random_state=0).fit(X, Y)
    tree = forest.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = 10**6
    tree.__setstate__(state)
    with pytest.raises(DataError, match="a tree that points outside of itself"):
        loaded(dumped(forest, "e"), "e.skops")


def test_a_damaged_file_and_one_that_fills_the_memory_are_errors_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    content = dumped(Ridge().fit(X, Y), "e")
    for end in (0, 10, len(content) // 2, len(content) - 1):
        with pytest.raises(DataError, match=r"e\.skops is damaged"):
            loaded(content[:end], "e.skops")
    monkeypatch.setattr(packing, "MOST_UNPACKED", 1_000_000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(5_000_000))
    with pytest.raises(UnsafeFileError, match=r"e\.skops was refused: [\d,]+ bytes unpack to 5,000,000"):
        loaded(bomb.getvalue(), "e.skops")
