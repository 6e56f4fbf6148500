"""Cells of raw answers as numbers, token counts and texts; whatever cannot be read is unknown, never an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rows_as_columns(value: Any) -> dict[str, Any] | None:
    """A table of items as columns: out of columns, of columns by row number, or of one dictionary per item."""
    if is_list(value):
        if len(value) == 0 or not all(isinstance(row, Mapping) for row in value):
            return None
        names = dict.fromkeys(str(name) for row in value for name in row)
        return {name: [row.get(name) for row in value] for name in names}
    if not isinstance(value, Mapping):
        return None
    columns: dict[str, Any] = {}
    for name, column in value.items():
        if is_list(column):
            columns[str(name)] = column
        elif isinstance(column, Mapping) and column and all(isinstance(i, int) for i in column):
            columns[str(name)] = list(column.values())
    return columns or None


def is_list(value: Any) -> bool:
    """Whether a value has elements by position."""
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def numeric(column: Sequence[Any]) -> NDArray[np.float32] | None:
    """A column of numbers, nan where there is none; None where it holds anything else, or no number at all."""
    values = np.full(len(column), np.nan, dtype=np.float32)
    for i, cell in enumerate(column):
        if isinstance(cell, list | tuple | np.ndarray):
            if not is_list(cell) or len(cell) != 1:
                return None
            cell = cell[0]
        if cell is None:
            continue
        if not isinstance(cell, bool | int | float | np.bool_ | np.integer | np.floating):
            return None
        values[i] = _finite(cell)
    return None if np.isnan(values).all() else values


def _finite(number: Any) -> float:
    """The number, or nan where float32 has no place for it."""
    return float(number) if abs(number) < _LARGEST else math.nan


def token_counts(column: Sequence[Any]) -> NDArray[np.float32]:
    """How many tokens each item has: the number itself, or how long a list of tokens is; nan where it is neither.

    Of several lists, one for each possible answer, the longest counts: it is the prompt that they share, or the answer.
    """
    return np.array([_tokens(cell) for cell in column], dtype=np.float32)


def _tokens(cell: Any) -> float:
    if isinstance(cell, bool | np.bool_) or cell is None:
        return math.nan
    if isinstance(cell, int | float | np.integer | np.floating):
        return _finite(cell) if cell >= 0 else math.nan
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return float(cell.shape[-1]) if cell.ndim else math.nan
    if not is_list(cell):
        return math.nan
    inner = [len(part) for part in cell if is_list(part)]
    return float(max(inner) if inner else len(cell))


def text_of(cell: Any) -> str | None:
    """A prompt's text: itself, the first one of a list or of arguments, or the question of a document."""
    for _ in range(4):  # as deep as any of the schemas goes
        if isinstance(cell, str):
            return str(cell)  # an array's string is one, and keeps the array alive
        if isinstance(cell, Mapping):
            names = [name for name in _QUESTIONS if name in cell] or list(cell)[:1]
            cell = cell[names[0]] if names else None
        elif is_list(cell) and len(cell):
            cell = cell[0]
        else:
            return None
    return None


_LARGEST = 1e38

_QUESTIONS = (
    "full_prompt",
    "gen_args_0",
    "arg_0",
    "question",
    "query",
    "prompt",
    "problem",
    "input",
    "text",
    "Question",
)
