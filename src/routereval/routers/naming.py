"""Routers out of text: ``knn:k=50,ties=train_mean``, ``package.module:Class``, a scikit-learn estimator."""

from __future__ import annotations

import ast
import copy
import dataclasses
import difflib
import inspect
import re
import types
import typing
from collections.abc import Container, Mapping
from pathlib import PurePath
from typing import Any, Literal

from routereval.catalogue import import_object
from routereval.errors import ParameterError, RouterError, RouterEvalError, UnknownNameError
from routereval.protocols import STRICT, Protocol
from routereval.routers.catalogue import routers


def parse(text: str, known: Container[str] | None = None) -> tuple[str, dict[str, str]]:
    """The name and the parameters in ``name:k=v,...``, ``package.module:Class`` or ``package.module:Class:k=v,...``.

    Parameters
    ----------
    known : names that are whole before the colon; None: those of the catalogue.

    Raises
    ------
    ParameterError : a parameter without "=", or given twice.
    """
    head, *rest = text.split(":")
    name = head
    if rest and rest[0].isidentifier() and head not in (routers() if known is None else known):
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
    return name, params


def build(name: str, params: Mapping[str, Any], others: Mapping[str, Any] | None = None) -> Any:
    """What has that name, made with these parameters.

    Parameters
    ----------
    others : classes by name besides the catalogue's.

    Raises
    ------
    UnknownNameError : nothing has that name.
    ParameterError : a parameter it does not have, or a value it cannot take.
    """
    cls = class_named(name, others)
    if not isinstance(cls, type):
        raise ParameterError(f"{name} is {cls!r}, no class; a router is a class with fit and predict")
    if _is_estimator(cls):
        from routereval.routers.contract import Ties
        from routereval.routers.sklearn import SklearnRouter

        own = dict(params)
        ties = _read(name, "ties", own.pop("ties", "protocol"), Ties)
        return SklearnRouter(_made(name, cls, own), ties)
    return _made(name, cls, params)


def router_named(router: Any) -> Any:
    """The router that a text asks for; anything but text is a router already."""
    return build(*parse(router)) if isinstance(router, str) else router


def split_names(text: str) -> list[str]:
    """The routers in ``knn:k=40+ridge``; brackets around a list or around one of them are left out."""
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    # A plus within a number (1e+3) is followed by a digit.
    return [piece.strip() for piece in re.split(r"\+(?=\s*[A-Za-z_])", inner) if piece.strip()]


def label_of(router: Any) -> str:
    """How a router is called in a sentence: its text, or the name of its class."""
    return router if isinstance(router, str) else type(router).__name__


def fresh_copy(router: Any, seed: int | None, rules: Protocol = STRICT) -> Any:
    """A copy of a router to be fitted, ``seed`` set (None: kept), and filled in what it leaves to the protocol.

    A parameter that has the value ``protocol``, ``ties`` above all, takes the protocol's value of the same name.

    Raises
    ------
    RouterError : it cannot be copied.
    """
    changes: dict[str, Any] = {}
    if seed is not None and hasattr(router, "seed"):
        changes["seed"] = seed
    changes |= {
        rule.name: getattr(rules, rule.name)
        for rule in dataclasses.fields(rules)
        if isinstance(given := getattr(router, rule.name, None), str) and given == "protocol"
    }
    if dataclasses.is_dataclass(router) and not isinstance(router, type):
        return dataclasses.replace(router, **changes)
    try:
        fresh = copy.deepcopy(router)
    except Exception as error:  # a lock, an open file, ...
        raise RouterError(
            f"{type(router).__name__} cannot be copied ({type(error).__name__}: {error}); "
            "make what cannot be copied in fit()"
        ) from error
    for name, value in changes.items():
        setattr(fresh, name, value)
    return fresh


def class_named(name: str, others: Mapping[str, Any] | None = None) -> Any:
    """The class behind a name of the catalogue, or behind an import path.

    Raises
    ------
    UnknownNameError : there is none, or it cannot be imported.
    """
    others = others or {}
    if name in others:
        return others[name]
    if ":" not in name:
        if name not in routers():
            known = [*routers(), *others]
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


def _made(name: str, cls: Any, params: Mapping[str, Any]) -> Any:
    checked = _checked(name, cls, params)
    try:
        return cls(**checked)
    except RouterEvalError:
        raise
    except Exception as error:  # a constructor of somebody else's
        raise ParameterError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


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
