"""A task on its way to another process: the router is pickled once for all its tasks, the data are a path."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from routereval.runner.perform import perform, perform_each
from routereval.runner.plan import Task

_KEPT = 64
_pickled: dict[tuple[int, bool], tuple[Any, bytes]] = {}
"""What was pickled last, each with the router itself so that its id stays its own."""


class _Pickled:
    """Arrives as what was pickled."""

    def __init__(self, content: bytes):
        self._content = content

    def __reduce__(self) -> Any:
        return pickle.loads, (self._content,)


def call_of(task: Task, threads: int) -> bytes:
    """The call that does a task on another machine, pickled.

    Routers written in a script or a notebook travel whole, by cloudpickle, and so does the module of a router that no
    package brought.
    """
    policy = _Pickled(_policy(task.policy, True))
    return pickle.dumps((perform, (replace(task, policy=policy), threads)), protocol=pickle.HIGHEST_PROTOCOL)


def call_of_each(tasks: Sequence[Task], threads: int, seconds: float) -> bytes:
    """The call that does those of several tasks that a process of ours begins within so many seconds, pickled."""
    sent = [replace(task, policy=_Pickled(_policy(task.policy, False))) for task in tasks]
    return pickle.dumps((perform_each, (sent, threads, seconds)), protocol=pickle.HIGHEST_PROTOCOL)


def forget() -> None:
    """Pickle every router anew: its owner may have changed it since."""
    _pickled.clear()


def _policy(policy: Any, far: bool) -> bytes:
    key = id(policy), far
    if key not in _pickled:
        while len(_pickled) >= _KEPT:
            _pickled.pop(next(iter(_pickled)))
        _pickled[key] = policy, _by_value(policy) if far else _cloudpickled(policy)
    return _pickled[key][1]


def _by_value(policy: Any) -> bytes:
    import cloudpickle

    module = sys.modules.get(type(policy).__module__)
    if module is None or not _is_loose(module) or module.__name__ in cloudpickle.list_registry_pickle_by_value():
        return _cloudpickled(policy)
    cloudpickle.register_pickle_by_value(module)
    try:
        return _cloudpickled(policy)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _cloudpickled(policy: Any) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(policy))


def _is_loose(module: Any) -> bool:
    """Whether a module is a file of somebody's rather than part of an installed package."""
    if "." in module.__name__ or module.__name__ == "__main__":
        return False
    file = getattr(module, "__file__", None) or ""
    return bool(file) and "site-packages" not in file and Path(os.__file__).parent not in Path(file).parents
