"""A fitted router as a folder: what it learned as arrays and JSON, scikit-learn estimators by skops; no pickle.

::

    router.json      which router, its parameters, what it learned with arrays named, who its models are
    arrays.npz       the arrays
    *.skops          scikit-learn estimators, where it has any
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.packing import check_packing
from routereval.errors import DataError, RouterError, RouterEvalError
from routereval.routers import estimators
from routereval.routers.importing import path_of, trusted_class

FORMAT = 1
HEAD = "router.json"
ARRAYS = "arrays.npz"


@dataclass(frozen=True)
class SavedRouter:
    """A router read from a folder, ready to predict.

    Parameters
    ----------
    router : as it was fitted.
    model_ids : the m models, in the order of its scores.
    about : what else was noted when it was saved: scenario, protocol, encoder, versions, ....
    """

    router: Any
    model_ids: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


def save_router(
    router: Any, folder: Path | str, *, model_ids: tuple[str, ...], about: Mapping[str, Any] | None = None
) -> Path:
    """Write a fitted router to a folder that is not there yet; complete or not at all.

    Parameters
    ----------
    model_ids : the models it was fitted on, in order.
    about : anything JSON can hold that a reader should have with it.

    Raises
    ------
    RouterError : it is no dataclass, is not fitted, or learned something that has no place in arrays and JSON.
    DataError : the folder is there already, or cannot be written.
    """
    target = Path(folder)
    if target.exists():
        raise DataError(f"{target} is there already; remove it, or save somewhere else")
    writer = _Writer()
    if not any(name.endswith("_") for name in vars(router)):
        raise RouterError(f"{type(router).__name__} is not fitted, so there is nothing to save; call fit first")
    head = {"format": FORMAT, "model_ids": list(model_ids), "about": dict(about or {}), "state": writer.router(router)}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
        try:
            np.savez_compressed(temporary / ARRAYS, allow_pickle=False, **writer.arrays)
            for name, content in writer.estimators.items():
                (temporary / name).write_bytes(content)
            (temporary / HEAD).write_text(json.dumps(head, indent=1), encoding="utf-8")
            temporary.chmod(0o755)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def load_router(folder: Path | str, *, trust: Collection[str] = ()) -> SavedRouter:
    """Read a fitted router; it predicts what it predicted when it was saved.

    To import a class is to run its module, so only our own and those of the catalogue (installed packages' entry
    points too) are imported unasked.

    Parameters
    ----------
    trust : import paths of other routers that the folder may name: ``("mine:Nearest",)``.

    Raises
    ------
    DataError : no saved router, a damaged one, one written by a newer version, or by a class that cannot be imported.
    UnsafeFileError : it names a router that is not trusted, or an estimator's file names something else than
        scikit-learn's estimators and their data.
    """
    source = Path(folder)
    try:
        head = json.loads((source / HEAD).read_text(encoding="utf-8"))
        if head["format"] > FORMAT:
            raise DataError(f"{source} was saved by a newer version; pip install --upgrade routereval")
        reader = _Reader(source, _arrays(source / ARRAYS), trust)
        ids, about = head["model_ids"], head["about"]
        if not (isinstance(ids, list) and ids and all(isinstance(name, str) for name in ids)):
            raise ValueError("model_ids is no list of names")
        if not isinstance(about, dict):
            raise ValueError("about is no object")
        return SavedRouter(reader.value(head["state"]), tuple(ids), about)
    except FileNotFoundError as error:
        raise DataError(
            f"{source} holds no saved router ({Path(error.filename).name} is not there); make one with: "
            f"routereval fit SCENARIO --router knn --out {source}"
        ) from error
    except RouterEvalError:
        raise
    except Exception as error:  # whatever a damaged folder provokes is the folder's fault
        raise DataError(f"{source} is damaged ({type(error).__name__}: {error}); fit the router again") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays in a .npz file.

    Raises
    ------
    UnsafeFileError : it unpacks to far more than it is.
    OSError, ValueError, zipfile.BadZipFile, MemoryError : it is damaged.
    """
    with path.open("rb") as file:
        check_packing(file, path)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


class _Writer:
    """Values as JSON; arrays and estimators are set aside under names."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self.estimators: dict[str, bytes] = {}

    def router(self, router: Any) -> dict[str, Any]:
        """A router, its parameters and what it learned."""
        cls = type(router)
        if not dataclasses.is_dataclass(router):
            raise RouterError(f"{cls.__name__} cannot be saved: only a dataclass says what its parameters are")
        names = {f.name for f in dataclasses.fields(router) if f.init}
        learned = {name: value for name, value in vars(router).items() if name not in names}
        where = cls.__name__
        return {
            "kind": "router",
            "class": path_of(cls),
            "parameters": {name: self.value(getattr(router, name), f"{where}.{name}") for name in sorted(names)},
            "learned": {name: self.value(value, f"{where}.{name}") for name, value in learned.items()},
        }

    def value(self, value: Any, where: str) -> Any:
        """A value as JSON that :class:`_Reader` undoes."""
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            # JSON has no nan and no infinity.
            return value if math.isfinite(value) else {"kind": "float", "value": repr(value)}
        if isinstance(value, np.ndarray | np.generic):
            return self._array(np.asarray(value), where, scalar=isinstance(value, np.generic))
        if isinstance(value, tuple | list):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {"kind": kind, "items": [self.value(item, f"{where}[{i}]") for i, item in enumerate(value)]}
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {"kind": "dict", "items": {key: self.value(item, f"{where}.{key}") for key, item in value.items()}}
        if hasattr(value, "fit") and hasattr(value, "get_params") and not dataclasses.is_dataclass(value):
            return self._estimator(value, where)
        if dataclasses.is_dataclass(value) and hasattr(value, "fit") and hasattr(value, "predict"):
            return self.router(value)
        raise RouterError(
            f"{where} is a {type(value).__name__}, which cannot be saved; keep arrays, strings, numbers, tuples, "
            "lists, dictionaries of these, scikit-learn estimators and routers"
        )

    def _array(self, array: NDArray[Any], where: str, *, scalar: bool) -> dict[str, Any]:
        if array.dtype.kind not in "biufU":
            raise RouterError(f"{where} is an array of {array.dtype}, which cannot be saved without pickle")
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return {"kind": "scalar" if scalar else "array", "name": name}

    def _estimator(self, estimator: Any, where: str) -> dict[str, Any]:
        name = f"e{len(self.estimators)}.skops"
        self.estimators[name] = estimators.dumped(estimator, where)
        return {"kind": "estimator", "name": name}


class _Reader:
    """What :class:`_Writer` wrote, as values again."""

    def __init__(self, source: Path, arrays: Mapping[str, NDArray[Any]], trust: Collection[str]):
        self._source = source
        self._arrays = arrays
        self._trust = trust

    def value(self, value: Any) -> Any:
        """One value."""
        if not isinstance(value, dict):
            return value
        match value["kind"]:
            case "float":
                return float(value["value"])
            case "array":
                return self._arrays[value["name"]]
            case "scalar":
                return self._arrays[value["name"]][()]
            case "tuple":
                return tuple(self.value(item) for item in value["items"])
            case "list":
                return [self.value(item) for item in value["items"]]
            case "dict":
                return {key: self.value(item) for key, item in value["items"].items()}
            case "estimator":
                return self._estimator(value["name"])
            case "router":
                return self._router(value)
            case other:
                raise ValueError(f"a value of unknown kind {other!r}")

    def _router(self, saved: Mapping[str, Any]) -> Any:
        cls = trusted_class(saved["class"], self._trust, self._source)
        router = cls(**{name: self.value(value) for name, value in saved["parameters"].items()})
        for name, value in saved["learned"].items():
            setattr(router, name, self.value(value))
        return router

    def _estimator(self, name: str) -> Any:
        # By its last part: no name leads out of the folder.
        return estimators.loaded((self._source / Path(name).name).read_bytes(), str(self._source / name))
