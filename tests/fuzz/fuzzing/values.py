"""Values (what JSON and pickles hold) changed at random: another type, another length, one key twice, too deep."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from fuzzing.damage import NASTY, NUMBERS, retyped

_EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 10**6, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**64), 10**12, 10**400),
    *(0.0, -0.0, 0.5, 1.5, -1.5, 1e-320, 1e39, 1e308, float("nan"), float("inf"), -float("inf"), "", [], {}),
)
_DTYPES = ("f8", ">f8", "f4", "f2", "i8", "u8", "i1", "b1", "c16", "U3", "O", "S2", "M8[s]", "V4")


def changed(value: Any, rng: random.Random) -> Any:
    """A value with one to three of its parts changed; the value itself stays as it is."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _somewhere(value, rng)
    return value


def _somewhere(value: Any, rng: random.Random) -> Any:
    children = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list | tuple) else []
    )
    if not children or rng.random() < 0.15:
        return _replaced(value, rng)
    key = rng.choice(children)
    if isinstance(value, dict):
        return {name: _somewhere(item, rng) if name is key else item for name, item in value.items()}
    return type(value)(_somewhere(item, rng) if i == key else item for i, item in enumerate(value))


def _replaced(value: Any, rng: random.Random) -> Any:
    if rng.random() < 0.35:
        return rng.choice((_extreme, _extreme, _text, _deep))(rng)
    if isinstance(value, np.ndarray):
        return _array(value, rng)
    if isinstance(value, str):
        return retyped(value, rng)
    if isinstance(value, bool) or value is None:
        return _extreme(rng)
    if isinstance(value, int | float):
        return rng.choice((value + 1, -value, value * 1000, str(value), [value], _extreme(rng)))
    if isinstance(value, dict):
        return _dict(value, rng)
    if isinstance(value, list | tuple):
        return _list(value, rng)
    return _extreme(rng)


def _extreme(rng: random.Random) -> Any:
    return rng.choice(_EXTREMES)


def _text(rng: random.Random) -> str:
    return rng.choice(rng.choice((NASTY, NUMBERS)))


def _deep(rng: random.Random) -> Any:
    value: Any = 1
    keyed = rng.random() < 0.5
    for _ in range(rng.choice((2, 4, 12))):
        value = {"a": value} if keyed else [value]
    return value


def _dict(value: dict[Any, Any], rng: random.Random) -> Any:
    names = list(value)
    if not names:
        return {_text(rng): _extreme(rng)}
    one, other = rng.choice(names), rng.choice(names)
    match rng.randrange(6):
        case 0:
            return {name: item for name, item in value.items() if name != one}
        case 1:
            return {(_text(rng) if name == one else name): item for name, item in value.items()}
        case 2:
            return value | {one: value[other], other: value[one]}
        case 3:
            return value | {_text(rng): value[one]}
        case 4:
            return value | {one: {one: value[one]}}
    return list(value.values())


def _list(value: Any, rng: random.Random) -> Any:
    items = list(value)
    at = rng.randint(0, len(items))
    match rng.randrange(6):
        case 0:
            items = items[:at]
        case 1:
            items.insert(at, rng.choice(items) if items else _extreme(rng))
        case 2:
            rng.shuffle(items)
        case 3:
            items = items * 2
        case 4:
            return dict(enumerate(items)) if rng.random() < 0.5 else tuple(items)
        case _:
            items.insert(at, _extreme(rng))
    return type(value)(items)


def _array(value: np.ndarray[Any, Any], rng: random.Random) -> Any:
    with np.errstate(all="ignore"):
        match rng.randrange(7):
            case 0:
                try:
                    return value.astype(rng.choice(_DTYPES))
                except (ValueError, TypeError):
                    return value.astype(str)
            case 1:
                return value.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (1, -1, 1))))
            case 2:
                return value.T
            case 3:
                return value[: rng.randint(0, len(value))] if value.ndim else value
            case 4:
                return np.concatenate([value, value]) if value.ndim else value
            case 5:
                out = value.astype(object)
                if out.size:
                    out.flat[rng.randrange(out.size)] = _extreme(rng)
                return out
            case _:
                out = (
                    value.astype(value.dtype if value.dtype.kind in "fO" else "f8")
                    if value.dtype.kind in "fiubO"
                    else value
                )
                if out.size and out.dtype.kind in "fO":
                    out = out.copy()
                    out.flat[rng.randrange(out.size)] = rng.choice((float("nan"), float("inf"), 2.0, -1.0, 1e300))
                return out
