"""What a stored value must be, so that a damaged row is told from a whole one before anything is made of it."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

DAMAGE = (zlib.error, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError)
"""What making something of a damaged row may raise."""

_SCENARIO = re.compile(r"[^/]+/[^/]+/[0-9]{1,9}")
_FLOATS = frozenset({float})
_TEXTS = ("scenario", "router", "encoder", "protocol", "data_hash", "code", "ended", "key")


def is_scenario(value: object) -> bool:
    """Whether this can be the id of a scenario, ``benchmark/strategy/m``."""
    return isinstance(value, str) and _SCENARIO.fullmatch(value) is not None


def check_run(row: Mapping[str, Any]) -> None:
    """Refuse a row of ``runs`` whose columns are not of their types.

    Raises
    ------
    ValueError : says which column.
    """
    odd = [name for name in _TEXTS if not isinstance(row[name], str)]
    odd += [name for name in ("seed", "prompts", "models") if type(row[name]) is not int]
    odd += [name for name in ("seconds",) if not isinstance(row[name], int | float)]
    odd += ["error"] * (not isinstance(row["error"], str | None))
    odd += ["train_size"] * (not isinstance(row.get("train_size"), int | None))
    odd += ["predict_seconds"] * (not isinstance(row.get("predict_seconds"), int | float | None))
    odd += ["scenario"] * (not odd and not is_scenario(row["scenario"]))
    if odd:
        raise ValueError(f"column {odd[0]} holds {row[odd[0]]!r:.80}")


def an_object(text: str) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    ValueError : it is something else.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:80]!r} is no JSON object")
    return value


def texts(text: str | bytes) -> list[str]:
    """A JSON list of texts.

    Raises
    ------
    ValueError : it is something else.
    """
    value = json.loads(text)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{text[:80]!r} is no JSON list of texts")
    return value


def number(value: Any) -> float:
    """A number, or null, which stands for nan.

    Raises
    ------
    ValueError : it is something else.
    """
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r:.80} is no number")
    return float(value)


def numbers(values: Iterable[Any]) -> list[float]:
    """Numbers, null for nan; a file has millions of them, nearly all floats as they are.

    Raises
    ------
    ValueError : one is something else.
    """
    listed = list(values)
    return listed if _FLOATS.issuperset(map(type, listed)) else [number(value) for value in listed]


def array(blob: bytes, dtype: DTypeLike, shape: Sequence[int] | None) -> NDArray[Any]:
    """The array of this shape in a compressed blob; not a byte more is unpacked than it needs.

    Parameters
    ----------
    shape : None: of one axis, however long.

    Raises
    ------
    ValueError, TypeError, zlib.error : it is something else.
    """
    kind = np.dtype(dtype)
    if shape is None:
        return np.frombuffer(zlib.decompress(blob), dtype=kind)
    if any(length < 0 for length in shape):
        raise ValueError(f"a shape of {tuple(shape)}")
    expected = kind.itemsize * math.prod(shape)
    # At most 1032 times as many bytes come out of a blob as there are in it.
    if expected > 1100 * len(blob) + 1100:
        raise ValueError(f"{len(blob)} bytes where {expected} were packed")
    raw = zlib.decompressobj().decompress(blob, expected + 1)
    if len(raw) != expected:
        raise ValueError(f"{len(raw)} bytes unpacked, {expected} expected")
    return np.frombuffer(raw, dtype=kind).reshape(shape)
