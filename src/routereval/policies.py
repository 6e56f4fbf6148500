"""Routers and references by name: ``knn:k=50,ties=train_mean``, ``mypkg.mymod:MyRouter``, an entry point."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from routereval.catalogue import import_object
from routereval.errors import ParameterError, RouterError
from routereval.protocols import Protocol
from routereval.references import REFERENCES
from routereval.routers import naming
from routereval.routers.catalogue import CONTROLS, PUBLISHED, core
from routereval.routers.catalogue import routers as routers

_REFERENCES = ("oracle", "r_o:p=0.5", "random", "best_single_hindsight")

EVERYTHING = (*_REFERENCES, *PUBLISHED)
"""What is evaluated when nobody says what: every reference and the published routers."""

GROUPS: dict[str, tuple[str, ...]] = {
    "references": _REFERENCES,
    "published": PUBLISHED,
    "core": core(),
    "controls": CONTROLS,
    "all": (*_REFERENCES, *core(), *CONTROLS),
}
"""Names that stand for several policies."""


def expanded(texts: Iterable[str]) -> list[str]:
    """The policies that these texts ask for, groups written out, each once."""
    return list(dict.fromkeys(one for text in texts for one in GROUPS.get(text, (text,))))


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
        return cls(*naming.parse(text, {*routers(), *REFERENCES}))

    def build(self) -> Any:
        """The router or reference.

        Raises
        ------
        UnknownNameError : nothing has that name.
        ParameterError : a parameter it does not have, or a value it cannot take.
        """
        return naming.build(self.name, self.params, REFERENCES)


def describe(policy: Any) -> tuple[str, dict[str, Any]]:
    """The name and all parameters of a router or reference: what ``PolicySpec`` would need to build it.

    Without the seed, and without what its class names ``incidental``: what cannot change the outcome, such as a device.
    """
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
    for name in ("seed", *getattr(policy, "incidental", ())):
        values.pop(name, None)
    return _name_of(type(policy)), _plain(values)


def source_hash(policy: Any) -> str:
    """sha256 of what a router is beside its parameters, so that a changed router is another router.

    That is the file its class is written in; of a class that no file holds, from a notebook say, its compiled methods;
    nothing for ours, whose version is stored with a run. And the files that its parameters name (``reads_files``).
    Empty where there is nothing.
    """
    named = (getattr(policy, name) for name in getattr(policy, "reads_files", ()))
    content = _source(policy) + b"".join(map(_content, filter(None, named)))
    return hashlib.sha256(content).hexdigest() if content else ""


def _content(file: str) -> bytes:
    try:
        return hashlib.sha256(Path(file).read_bytes()).digest()
    except OSError:
        return b""  # the fit says why


def _source(policy: Any) -> bytes:
    from routereval.routers.sklearn import SklearnRouter

    cls = type(policy.estimator) if isinstance(policy, SklearnRouter) else type(policy)
    if cls.__module__.split(".")[0] == __package__:
        return b""
    members = (member for base in cls.__mro__[:-1] for _, member in sorted(vars(base).items()))
    functions = [one.__code__ for one in map(_function, members) if one is not None]
    try:
        source = inspect.getsourcefile(cls)
        # What was typed into a session has the file of whatever started the session, if any.
        written = source is not None and any(Path(one.co_filename).name == Path(source).name for one in functions)
        code = Path(source).read_bytes() if source is not None and (written or not functions) else None
    except (OSError, TypeError):
        code = None
    return b"".join(map(_compiled, functions)) if code is None else code


def _function(member: Any) -> FunctionType | None:
    """The function behind a method, static, of the class or a property; None where there is none."""
    inner = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    return inner if isinstance(inner, FunctionType) else None


def _compiled(code: CodeType) -> bytes:
    """What a function does, without where it was written: its instructions, names and constants."""
    inner = [_compiled(one) if isinstance(one, CodeType) else repr(one).encode() for one in code.co_consts]
    return b"\0".join([code.co_code, repr(code.co_names).encode(), *inner])


def needs_embeddings(policy: Any) -> bool:
    """Whether it cannot do without; a router that can says so by ``needs_embeddings = False``."""
    return not is_reference(policy) and bool(getattr(policy, "needs_embeddings", True))


def needs_subsets(policy: Any) -> bool:
    """Whether it cannot do without knowing which subset a prompt belongs to; one that cannot says so."""
    return bool(getattr(policy, "needs_subsets", False))


def on_device(policy: Any, device: str) -> Any:
    """A copy of the policy that computes there, where it has a parameter ``device`` that does not say."""
    if device and dataclasses.is_dataclass(policy) and getattr(policy, "device", None) == "":
        return dataclasses.replace(policy, device=device)  # type: ignore[type-var]
    return policy


def is_reference(policy: Any) -> bool:
    """Whether it reads the answers."""
    return hasattr(policy, "expected") and not hasattr(policy, "fit")


def prepared(router: Any, rules: Protocol, seed: int | None) -> Any:
    """A fresh copy of the router for one run, its ``seed`` set, its ``ties`` and the like as the protocol says."""
    fresh = naming.fresh_copy(router, seed, rules)
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
    cls = naming.class_named(name, REFERENCES)
    fields = [f for f in dataclasses.fields(cls) if f.init and f.name != "seed"]
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


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
