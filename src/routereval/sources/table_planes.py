"""What a table knows of each cell beside its score: costs, tokens, times; where they stand, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routereval.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl

PLANE_NAMES: dict[str, tuple[str, ...]] = {
    "cost": ("cost", "total_cost", "cost_usd"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "latency": ("latency", "latency_seconds", "response_time"),
}
"""Column names by role, as people call them; in a table with one column per model the part behind ``|``."""

PLANES = {
    "cost": "cost_usd",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "latency": "latency_seconds",
}
"""The plane of each role."""

ATTRIBUTE = "|"
"""RouterBench's layout: ``M|total_cost`` belongs to the model in column ``M``."""

Columns = Mapping[str, Mapping[str, str]]
"""Column by role and model; in a long table the model is ``""``."""


def planes_of_long(given: Mapping[str, str], free: Sequence[str]) -> Columns:
    """The column of each role in a table with one row per prompt and model; of several that may be it, none is.

    Parameters
    ----------
    given : column by role, where the caller says so.
    free : the columns that have no other role.
    """
    found: dict[str, Mapping[str, str]] = {}
    for role, known in PLANE_NAMES.items():
        candidates = [given[role]] if role in given else [name for name in free if plain(name) in known]
        if len(candidates) == 1:
            found[role] = {"": candidates[0]}
    return found


def planes_of_wide(given: Mapping[str, str], models: Sequence[str], free: Sequence[str]) -> Columns:
    """The columns ``M|attribute`` of each role in a table with one column per model.

    Raises
    ------
    ParameterError : an attribute was given for a role, and no model has it.
    """
    found: dict[str, Mapping[str, str]] = {}
    for role, known in PLANE_NAMES.items():
        candidates = [given[role]] if role in given else [name for name in attributes(free) if plain(name) in known]
        of_model = {
            model: f"{model}{ATTRIBUTE}{name}"
            for name in candidates[:2]
            for model in models
            if f"{model}{ATTRIBUTE}{name}" in set(free)
        }
        if role in given and not of_model:
            raise ParameterError(
                f"--map {role}={given[role]}: in a table with one column per model each model's {role} has a column of "
                f"its own, like {models[0]}{ATTRIBUTE}{given[role]}, and there is none"
            )
        if len(candidates) == 1 and of_model:
            found[role] = of_model
    return found


def attributes(names: Iterable[str]) -> list[str]:
    """What stands behind the ``|`` of columns ``M|attribute``, each once."""
    return list(dict.fromkeys(name.rpartition(ATTRIBUTE)[2] for name in names if ATTRIBUTE in name))


def plain(name: str) -> str:
    """A name as it is compared: in lower case, spaces and hyphens as underscores."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


Cells = Sequence[tuple[Any, Any, "pl.Series"]]
"""Rows, columns and values of a role's cells."""


def filled(cells: Mapping[str, Cells], shape: tuple[int, ...]) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """The planes (prompts x models) of which anything is known, and a sentence on each where cells cannot be read."""
    planes, doubts = {}, []
    for role, parts in cells.items():
        plane = np.full(shape, np.nan, dtype=np.float32)
        odd = 0
        for rows, columns, values in parts:
            plane[rows, columns], strange = _numbers(values)
            odd += strange
        if odd:
            doubts.append(f"{odd} cells of {role} are no number from 0 on, and count as unknown")
        if not np.isnan(plane).all():
            planes[PLANES[role]] = plane
    return planes, doubts


def _numbers(values: pl.Series) -> tuple[NDArray[np.float64], int]:
    """Cells as numbers, nan where there is none; and how many cells hold something that is no finite number >= 0."""
    import polars as pl

    given = values.str.strip_chars().replace("", None) if values.dtype == pl.String else values
    if given.dtype != pl.String and not given.dtype.is_numeric():
        return np.full(len(values), np.nan), int(given.is_not_null().sum())
    read = given.cast(pl.Float64, strict=False)
    numbers = read.to_numpy()
    good = (numbers >= 0) & (numbers <= np.finfo(np.float32).max)  # planes are float32
    # nan is how some writers say "unknown"; that is no mistake.
    said = given.is_not_null().to_numpy() & ~read.is_nan().fill_null(False).to_numpy()
    return np.where(good, numbers, np.nan), int((said & ~good).sum())
