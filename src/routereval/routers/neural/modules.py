"""Weights as arrays, so that a router can be saved and copied; the module they belong to is built when it is asked."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Arrays = dict[str, NDArray[Any]]
Built = TypeVar("Built")

_BUILT: dict[int, tuple[weakref.ref[Any], Any, Any]] = {}
"""By a router's id: the router, the learned state its module was built of, the module."""


def arrays_of(module: torch.nn.Module) -> Arrays:
    """A module's parameters and buffers by name, as arrays of their own."""
    return {
        name: values.detach().float().cpu().numpy().copy()
        if values.is_floating_point()
        else values.detach().cpu().numpy().copy()
        for name, values in module.state_dict().items()
    }


def with_arrays(module: Built, arrays: Mapping[str, NDArray[Any]]) -> Built:
    """The module given, its parameters and buffers set to these, ready to predict.

    Raises
    ------
    RuntimeError : names or shapes are not those of the module.
    """
    import torch

    made: Any = module
    made.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in arrays.items()})
    made.eval()
    return module


def built(router: Any, state: Any, build: Callable[[], Built]) -> Built:
    """What ``build`` makes of a fitted router, made on first use and kept as long as the router lives.

    It is kept beside the router, not in it: a copy, a pickle or a saved folder of the router has no part of it.

    Parameters
    ----------
    state : the learned state it is made of, such as ``router.weights_``. Once ``fit`` has put another object there, it
        is made anew.
    """
    key = id(router)
    kept = _BUILT.get(key)
    if kept is not None and kept[0]() is router and kept[1] is state:
        return kept[2]  # type: ignore[no-any-return]
    made = build()
    _BUILT[key] = (weakref.ref(router, lambda _: _BUILT.pop(key, None)), state, made)
    return made
