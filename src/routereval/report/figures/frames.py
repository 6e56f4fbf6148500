"""A figure's numbers as a frame, and names of panels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from routereval.report.figures.cells import Estimate
from routereval.report.figures.style import benchmark_shown, name_shown
from routereval.report.figures.view import Task

if TYPE_CHECKING:
    import polars as pl


def frame_of(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, type]) -> pl.DataFrame:
    """Rows as a frame with these columns; nan, which stands for what does not exist, is null."""
    import polars as pl

    types = {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    columns = {name: types[kind] for name, kind in schema.items()}
    return pl.DataFrame(rows, schema=columns).with_columns(pl.selectors.float().fill_nan(None))


def described(name: str, one: Estimate) -> dict[str, float]:
    """A number and its interval as columns."""
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def task_titles(tasks: Sequence[Task]) -> list[str]:
    """What panels are called: the benchmark, with its data where there are several of one name."""
    count = Counter(task.benchmark for task in tasks)
    return [
        benchmark_shown(task.benchmark) + (f" ({name_shown(task.data_hash[:8])})" if count[task.benchmark] > 1 else "")
        for task in tasks
    ]


def near(order: Sequence[str], name: str) -> tuple[float, str]:
    """Where a name stands: as in ``order``, others behind, by name."""
    return (order.index(name) if name in order else math.inf), name


def grouped(frame: pl.DataFrame, *names: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The rows by what they have in these columns, in the order they come."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in frame.to_dicts():
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups
