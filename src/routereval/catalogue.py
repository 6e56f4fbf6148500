"""Names to objects: imported on first use, never twice the same name, with "did you mean"."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from routereval.errors import UnknownNameError


def unknown_name(kind: str, name: str, known: Mapping[str, Any] | list[str]) -> UnknownNameError:
    """The error for a name nobody has, with the nearest known ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"known: {', '.join(names)}"
    return UnknownNameError(f"unknown {kind} {name!r}; {hint}")


def import_object(path: str) -> Any:
    """The object named ``package.module:attribute``."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Catalogue(Mapping[str, Any]):
    """Names of one kind of thing, each with the import path of its object.

    Parameters
    ----------
    kind : what the names name, as it should read in an error: ``"router"``.
    paths : name to ``package.module:attribute``.
    """

    def __init__(self, kind: str, paths: Mapping[str, str]):
        self.kind = kind
        self._paths = dict(paths)

    def add(self, name: str, path: str) -> None:
        """Register one more name; a name that is taken raises ``ValueError``."""
        if self._paths.get(name, path) != path:
            raise ValueError(f"{self.kind} {name!r} is already {self._paths[name]!r}; {path!r} needs another name")
        self._paths[name] = path

    def path(self, name: str) -> str:
        """The import path behind a name, nothing imported."""
        return self._paths[name]

    def __getitem__(self, name: str) -> Any:
        if name not in self._paths:
            raise unknown_name(self.kind, name, self._paths)
        return import_object(self._paths[name])

    def get(self, name: str, default: Any = None) -> Any:
        """The object behind a name, or the default."""
        return self[name] if name in self._paths else default

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
