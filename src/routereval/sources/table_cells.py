"""Cells of a table as numbers, names and vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_SCORE_KINDS = ("Boolean", "String", "Null")
_TRUTH = {"true": "1", "false": "0"}


def numbers(frame: pl.DataFrame, where: Callable[[int, str], str]) -> NDArray[np.float64]:
    """Cells as numbers, nan where empty; true and false are 1 and 0.

    Raises
    ------
    DataError : cells that are no number, or that are nan: an empty cell was not observed, nan is a mistake.
    """
    import polars as pl

    # One copy: a frame makes its schema anew each time it is asked.
    kinds = dict(frame.schema)
    odd = [f"{name!r} ({kind})" for name, kind in kinds.items() if not (kind.is_numeric() or str(kind) in _SCORE_KINDS)]
    if odd:
        raise DataError(f"{len(odd)} columns hold no scores: {', '.join(odd[:5])}; --map ignore=... leaves columns out")
    columns = []
    problems = []
    for name, kind in kinds.items():
        given = frame[name]
        if kind == pl.String:
            given = given.str.strip_chars().str.to_lowercase().replace("", None).replace(_TRUTH)
        read = given.cast(pl.Float64, strict=False)
        columns.append(read.to_numpy())
        for what, bad in (("no number", given.is_not_null() & read.is_null()), ("nan", read.is_nan())):
            rows = bad.arg_true()
            if len(rows):
                problems.append((len(rows), what, frame[name][rows[0]], where(rows[0], name)))
    if problems:
        _, what, value, first = problems[0]
        count = sum(rows for rows, *_ in problems)
        raise DataError(
            f"{count} scores are no numbers in [0, 1] (first: {value!r} is {what}, {first}); "
            "leave a cell empty if it was not observed, and columns that hold no scores out with --map ignore=..."
        )
    return np.column_stack(columns)


def idlike(frame: pl.DataFrame, longest: int = 100) -> list[str]:
    """The columns whose cells look like ids: whole numbers, or words of up to 100 characters without white space."""
    import polars as pl

    found = []
    for name, kind in dict(frame.schema).items():
        if kind.is_integer():
            found.append(name)
        elif kind == pl.String and (values := frame[name].drop_nulls()).len():
            word = ~values.str.contains(r"\s") & (values.str.len_chars() <= longest)
            if word.all():
                found.append(name)
    return found


def names(values: pl.Series) -> list[str]:
    """Ids or names as strings.

    Raises
    ------
    DataError : empty cells.
    """
    import polars as pl

    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise DataError(f"column {values.name!r} holds {values.dtype}; expected ids or names")
    as_text = values.cast(pl.String, strict=False)
    empty = as_text.is_null() | (as_text == "").fill_null(False)
    if empty.any():
        raise DataError(
            f"{empty.sum()} of {len(values)} rows have nothing in column {values.name!r} "
            f"(first: row {empty.arg_true()[0] + 1})"
        )
    return as_text.to_list()


def numbered(listed: Iterable[str]) -> tuple[NDArray[np.intp], list[str]]:
    """Each name's number, counted by first appearance, and the names by number."""
    number: dict[str, int] = {}
    numbers_of = np.array([number.setdefault(name, len(number)) for name in listed], dtype=np.intp)
    return numbers_of, list(number)


def strings(values: pl.Series | None) -> list[str] | None:
    """Cells as strings, empty ones as ``""``; None where there is no such column."""
    import polars as pl

    if values is None:
        return None
    if values.dtype.is_nested():
        # A conversation as a list of messages, say: as JSON it is a text.
        return ["" if value is None else json.dumps(value, ensure_ascii=False) for value in values.to_list()]
    return values.cast(pl.String).fill_null("").to_list()


def one_each(values: pl.Series, prompt_of: NDArray[np.intp], ids: Sequence[str]) -> pl.Series:
    """A prompt's value, out of a column that repeats it in each of the prompt's rows (or has it in some).

    Raises
    ------
    DataError : a prompt with more than one value.
    """
    import polars as pl

    values_of = (
        pl.DataFrame({"prompt": prompt_of, "value": values})
        .drop_nulls("value")
        .group_by("prompt", maintain_order=True)
        .agg(pl.col("value").first(), pl.col("value").n_unique().alias("different"))
    )
    torn = values_of.filter(pl.col("different") > 1)["prompt"].to_list()
    if torn:
        raise DataError(
            f"{len(torn)} prompts have more than one value in column {values.name!r} (first: prompt {ids[torn[0]]!r})"
        )
    everyone = pl.DataFrame({"prompt": np.arange(len(ids))})
    return everyone.join(values_of, on="prompt", how="left", maintain_order="left")["value"].alias(values.name)


def vectors(values: pl.Series, ids: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings (n, d) out of lists, or of strings such as ``[0.1, 0.2]``.

    Raises
    ------
    DataError : cells that are no list of numbers, or lists of different lengths.
    """
    rows = []
    for name, value in zip(ids, values.to_list(), strict=True):
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which Queries reports
                row = np.asarray(json.loads(value) if isinstance(value, str) else value, dtype=np.float32)
        except (TypeError, ValueError, OverflowError, RecursionError):
            row = np.empty((0, 0), dtype=np.float32)
        if row.ndim != 1 or len(row) == 0:
            raise DataError(f"the embedding of prompt {name!r} in column {values.name!r} is no list of numbers")
        rows.append(row)
    lengths = np.array([len(row) for row in rows])
    if (lengths != lengths[0]).any():
        odd = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"embeddings in column {values.name!r} have different lengths: {lengths[0]} for prompt {ids[0]!r}, "
            f"{lengths[odd]} for prompt {ids[odd]!r}"
        )
    return np.stack(rows)
