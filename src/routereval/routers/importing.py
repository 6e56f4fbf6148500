"""Which classes a saved router may name: ours, those of the catalogue, and those that whoever reads it trusts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from routereval.catalogue import import_object
from routereval.errors import DataError, UnsafeFileError
from routereval.routers.catalogue import routers

OURS = "routereval."


def path_of(cls: type) -> str:
    """The import path under which a router's class is saved; the catalogue's, where that has the class."""
    written = f"{cls.__module__}:{cls.__qualname__}"
    if cls.__module__.startswith(OURS):
        return written
    # A package may offer as `package:Theirs` what is written in `package.inner`; only the former is known on reading.
    root = cls.__module__.split(".")[0]
    for name, path in ((name, routers().path(name)) for name in routers()):
        module, _, attribute = path.partition(":")
        if attribute == cls.__name__ and module.split(".")[0] == root and routers()[name] is cls:
            return path
    return written


def strangers(value: Any) -> list[str]:
    """The paths of a router, and of those within it, that reading it again takes trust for; each once."""
    found: list[str] = []
    if isinstance(value, dict):
        found = [path for one in value.values() for path in strangers(one)]
    elif isinstance(value, list | tuple):
        found = [path for one in value for path in strangers(one)]
    elif dataclasses.is_dataclass(value) and hasattr(value, "predict"):
        path = path_of(type(value))
        found = [*([] if _known(path) else [path]), *strangers(vars(value))]
    return list(dict.fromkeys(found))


def _known(path: str) -> bool:
    return path.startswith(OURS) or path in {routers().path(name) for name in routers()}


def trusted_class(path: str, trust: Collection[str], source: Path) -> Any:
    """The router class a saved folder names; nothing is imported before it is clear that it may be.

    Parameters
    ----------
    path : ``package.module:Class`` as the folder has it.
    trust : paths that are imported although they are neither ours nor the catalogue's.
    source : the folder, for errors.

    Raises
    ------
    UnsafeFileError : a class nobody trusts, or one that is no router.
    DataError : it cannot be imported here.
    """
    trusted = {trust} if isinstance(trust, str) else set(trust)
    if not (_known(path) or path in trusted):
        raise UnsafeFileError(
            f"{source} names {path!r} as its router, and to read it would run that module; nothing of it was run. "
            f"If the router is your own, say --trust {path} (Python: trust=({path!r},))"
        )
    try:
        cls = import_object(path)
    except Exception as error:  # a module may raise anything while it is imported
        raise DataError(
            f"{source} was saved by {path}, which cannot be imported here ({type(error).__name__}: {error}); "
            "install its module, or go to the folder it is in"
        ) from error
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls) and hasattr(cls, "predict")):
        raise UnsafeFileError(f"{source} names {path} as its router, which is none")
    return cls
