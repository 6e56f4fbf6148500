"""Routers and references by name: ``knn:k=50,ties=train_mean``, ``mypkg.mymod:MyRouter``, an entry point."""

from __future__ import annotations

import ast
import copy
import dataclasses
import difflib
import hashlib
import inspect
import logging
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any, Literal

from routereval.catalogue import Catalogue, import_object
from routereval.errors import ParameterError, RouterError, RouterEvalError, UnknownNameError
from routereval.protocols import Protocol
from routereval.references import REFERENCES

ENTRY_POINTS = "routereval.routers"

EVERYTHING = (
    *("oracle", "r_o:p=0.5", "random", "best_single_hindsight"),
    *("best_single", "knn", "kmeans", "linear", "mlp"),
)
"""What is evaluated when nobody says what: every reference and every router of ours."""


@cache
def routers() -> Catalogue:
    """Every router by name: ours, then those of installed packages (entry points ``routereval.routers``)."""
    catalogue = Catalogue(
        "router",
        {
            "best_single": "routereval.routers.best_single:BestSingle",
            "knn": "routereval.routers.knn:KNN",
            "kmeans": "routereval.routers.kmeans:KMeans",
            "linear": "routereval.routers.linear:Linear",
            "mlp": "routereval.routers.mlp:MLP",
        },
    )
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        path = f"{entry.module}:{entry.attr}"
        try:
            catalogue.add(entry.name, path)
        except ValueError as error:
            # Somebody else's package must not take the whole command down; its router still has its import path.
            logging.getLogger(__name__).warning("%s; until then it is --router %s", error, path)
    return catalogue


@dataclass(frozen=True)
class PolicySpec:
    """A router or reference as one asks for it.

    Parameters
    ----------
    name : of the catalogue, or ``package.module:Class``.
    params : values by name; strings are read as the parameter's type.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> PolicySpec:
        """Read ``name``, ``name:k=v,...``, ``package.module:Class`` or ``package.module:Class:k=v,...``.

        Raises
        ------
        ParameterError : a parameter without "=".
        """
        head, *rest = text.split(":")
        name = head
        if rest and rest[0].isidentifier() and head not in routers() and head not in REFERENCES:
            name = f"{head}:{rest.pop(0)}"
        params: dict[str, str] = {}
        # Commas within brackets belong to a value: hidden_layer_sizes=(64,64).
        for pair in filter(None, (piece.strip() for piece in re.split(r",(?![^(\[{]*[)\]}])", ":".join(rest)))):
            key, equals, value = pair.partition("=")
            if not equals:
                raise ParameterError(f"cannot read {pair!r} in {text!r}; write parameters as name:k=v,k=v")
            if key.strip() in params:
                raise ParameterError(f"{key.strip()} is given twice in {text!r}")
            params[key.strip()] = value.strip()
        return cls(name, params)

    def build(self) -> Any:
        """The router or reference.

        Raises
        ------
        UnknownNameError : nothing has that name.
        ParameterError : a parameter it does not have, or a value it cannot take.
        """
        cls = _class_named(self.name)
        if not isinstance(cls, type):
            raise ParameterError(f"{self.name} is {cls!r}, no class; a router is a class with fit and predict")
        if _is_estimator(cls):
            from routereval.routers.contract import Ties
            from routereval.routers.sklearn import SklearnRouter

            params = dict(self.params)
            ties = _read(self.name, "ties", params.pop("ties", "protocol"), Ties)
            return SklearnRouter(_made(self.name, cls, params), ties)
        return _made(self.name, cls, self.params)


def _made(name: str, cls: Any, params: Mapping[str, Any]) -> Any:
    checked = _checked(name, cls, params)
    try:
        return cls(**checked)
    except RouterEvalError:
        raise
    except Exception as error:  # a constructor of somebody else's
        raise ParameterError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


def describe(policy: Any) -> tuple[str, dict[str, Any]]:
    """The name and all parameters but the seed of a router or reference: what ``PolicySpec`` would need to build it."""
    from routereval.routers.sklearn import SklearnRouter

    if isinstance(policy, SklearnRouter):
        estimator = policy.estimator
        defaults = {k: p.default for k, p in inspect.signature(type(estimator)).parameters.items()}
        given = {k: v for k, v in estimator.get_params(deep=False).items() if repr(v) != repr(defaults.get(k))}
        ties = {} if policy.ties == "protocol" else {"ties": policy.ties}
        return _name_of(type(estimator)), _plain(given) | ties
    if dataclasses.is_dataclass(policy):
        values = {f.name: getattr(policy, f.name) for f in dataclasses.fields(policy) if f.init}
    else:
        values = {k: v for k, v in vars(policy).items() if not k.startswith("_") and not k.endswith("_")}
    values.pop("seed", None)
    return _name_of(type(policy)), _plain(values)


def source_hash(policy: Any) -> str:
    """sha256 of the file a router's class is written in, so that a changed router is another router.

    Empty for ours, whose version is stored with a run, and for a class that no file holds.
    """
    from routereval.routers.sklearn import SklearnRouter

    cls = type(policy.estimator) if isinstance(policy, SklearnRouter) else type(policy)
    if cls.__module__.split(".")[0] == __package__:
        return ""
    try:
        source = inspect.getsourcefile(cls)
        return "" if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return ""


def needs_embeddings(policy: Any) -> bool:
    """Whether it cannot do without; a router that can says so by ``needs_embeddings = False``."""
    return not is_reference(policy) and bool(getattr(policy, "needs_embeddings", True))


def is_reference(policy: Any) -> bool:
    """Whether it reads the answers."""
    return hasattr(policy, "expected") and not hasattr(policy, "fit")


def prepared(router: Any, rules: Protocol, seed: int | None) -> Any:
    """A fresh copy of the router for one run, its ``seed`` set, its ``ties`` as the protocol says."""
    changes: dict[str, Any] = {}
    if seed is not None and hasattr(router, "seed"):
        changes["seed"] = seed
    if getattr(router, "ties", None) == "protocol":
        changes["ties"] = rules.ties
    if dataclasses.is_dataclass(router) and not isinstance(router, type):
        fresh = dataclasses.replace(router, **changes)
    else:
        try:
            fresh = copy.deepcopy(router)
        except Exception as error:  # a lock, an open file, ...
            raise RouterError(
                f"{type(router).__name__} cannot be copied ({type(error).__name__}: {error}); "
                "make what cannot be copied in fit()"
            ) from error
        for name, value in changes.items():
            setattr(fresh, name, value)
    ties = getattr(fresh, "ties", "first")
    if ties not in ("first", "train_mean"):
        raise ParameterError(f"ties is {ties!r}; expected 'protocol', 'first' or 'train_mean'")
    for method in ("fit", "predict"):
        if not callable(getattr(fresh, method, None)):
            raise RouterError(f"{type(router).__name__} has no method {method}(); a router has fit and predict")
    return fresh


def defaults_of(name: str) -> dict[str, Any]:
    """The parameters of a catalogued router or reference with their default values, without the seed."""
    if name not in routers() and name not in REFERENCES:
        return {}
    cls = _class_named(name)
    fields = [f for f in dataclasses.fields(cls) if f.init and f.name != "seed"]
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


def _class_named(name: str) -> Any:
    if name in REFERENCES:
        return REFERENCES[name]
    if ":" not in name:
        if name not in routers():
            known = [*routers(), *REFERENCES]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
            raise UnknownNameError(
                f"unknown router {name!r}; {hint}{'' if near else '.'} One of your own: --router package.module:Class"
            )
        return routers()[name]
    path, _, attribute = name.partition(":")
    if "/" in path or path.endswith(".py"):
        module = PurePath(path).stem
        raise UnknownNameError(f"{path!r} is a file; go to its folder and write --router {module}:{attribute}")
    try:
        return import_object(name)
    except Exception as error:  # a module may raise anything while it is imported
        raise UnknownNameError(
            f"cannot import router {name!r}: {type(error).__name__}: {error}; "
            "expected package.module:Class, importable from here"
        ) from error


def _is_estimator(cls: Any) -> bool:
    return isinstance(cls, type) and all(hasattr(cls, name) for name in ("fit", "predict", "get_params", "set_params"))


def _checked(name: str, cls: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with strings read as their types; unknown ones are an error."""
    signature = inspect.signature(cls).parameters
    variable = {k for k, p in signature.items() if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    known = [p for p in signature if p != "seed" and p not in variable]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.values())
    for key in params:
        if key == "seed":
            raise ParameterError(f"{name}: the seed is set for the whole run; give --seed")
        if key not in known and not open_ended:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? It takes" if near else "it takes"
            raise ParameterError(f"{name} has no parameter {key!r}; {hint}: {', '.join(known) or 'none'}")
    required = [k for k, p in signature.items() if p.default is p.empty and k in known]
    if absent := [key for key in required if key not in params]:
        raise ParameterError(f"{name} needs {', '.join(absent)}: write {name}:{absent[0]}=...")
    try:
        types_ = typing.get_type_hints(cls.__init__ if not dataclasses.is_dataclass(cls) else cls)
    except Exception:  # names imported for type checkers alone: values are then read as Python literals
        types_ = {}
    return {key: _read(name, key, value, types_.get(key)) for key, value in params.items()}


def _read(name: str, key: str, value: Any, expected: Any) -> Any:
    """A string as the expected type; anything else as it is."""
    if not isinstance(value, str):
        return value
    origin = typing.get_origin(expected)
    if origin is Literal:
        allowed = typing.get_args(expected)
        by_text = {str(one): one for one in allowed}
        if value not in by_text:
            raise ParameterError(f"{name}: {key} is {value!r}; expected one of {', '.join(by_text)}")
        return by_text[value]
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(expected)
        if type(None) in options and value.lower() == "none":
            return None
        for option in options:
            if option is not type(None):
                try:
                    return _read(name, key, value, option)
                except ParameterError:
                    continue
        raise ParameterError(f"{name}: {key} is {value!r}; expected {expected}")
    if expected is bool:
        if value.lower() not in ("true", "false"):
            raise ParameterError(f"{name}: {key} is {value!r}; expected true or false")
        return value.lower() == "true"
    if expected in (int, float):
        try:
            return expected(value)
        except ValueError:
            raise ParameterError(f"{name}: {key} is {value!r}; expected {expected.__name__}") from None
    if expected is str:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _name_of(cls: type) -> str:
    path = f"{cls.__module__}:{cls.__qualname__}"
    for catalogue in (routers(), REFERENCES):
        for name in catalogue:
            if catalogue.path(name) == path:
                return name
    # scikit-learn keeps classes in private modules and offers them one level up.
    public = ".".join(part for part in cls.__module__.split(".") if not part.startswith("_"))
    try:
        if public and import_object(f"{public}:{cls.__qualname__}") is cls:
            return f"{public}:{cls.__qualname__}"
    except (ImportError, AttributeError):
        return path
    return path


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold; others as their repr, or by their type where the repr is an address in memory."""
    return {k: v if isinstance(v, (str, int, float, bool, type(None))) else _stable(v) for k, v in values.items()}


def _stable(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()  # a NumPy scalar: 5 is 5, however it was made
    text = repr(value)
    if hex(id(value))[2:] in text.lower() or " at 0x" in text:
        return f"{type(value).__module__}.{type(value).__qualname__}"
    return text
