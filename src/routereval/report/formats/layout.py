"""What tables for reading share: columns, numbers as text, marks, and how a wide table becomes several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from routereval.metrics import METRICS
from routereval.report.paper_tables import ABSENT, FAILED, INCOMPLETE, REFERENCE, Across, Cell, PaperTable

Kind = Literal["ours", "published", "difference"]
STEPS = 16
"""How many widths are tried to make the parts of a table alike."""
NONE = "-"
"""Stands where a metric has no value; where nothing was run there is nothing."""


@dataclass(frozen=True)
class Column:
    """One column of numbers."""

    across: Across
    metric: str
    kind: Kind = "ours"

    @property
    def unit(self) -> tuple[str, str]:
        """What is never torn apart: a metric with its published numbers."""
        return self.across.key, self.metric


def columns_of(table: PaperTable) -> list[Column]:
    """The columns, without those that no router has a number in."""
    columns = []
    for across in table.across:
        cells = [row.cell(across.key) for row in table.rows]
        for i, name in enumerate(table.metrics):
            numbers = [cell.numbers[name] for cell in cells if name in cell.numbers]
            published = any(one.published is not None for one in numbers)
            if i > 0 and not published and all(math.isnan(one.value) for one in numbers):
                continue
            columns.append(Column(across, name))
            if table.published and published:
                columns += [Column(across, name, "published"), Column(across, name, "difference")]
    return columns


def number(cell: Cell, column: Column) -> str:
    """The number of that column as text; ``failed`` where a run of it failed."""
    if column.kind == "ours" and cell.status == FAILED:
        return FAILED
    one = cell.numbers.get(column.metric)
    if one is None:
        return ""
    if column.kind == "published":
        return "" if one.published is None else f"{one.published:.2f}"
    if column.kind == "difference":
        # Adding 0 makes -0.00 +0.00.
        return "" if one.difference is None else f"{round(one.difference, 2) + 0.0:+.2f}"
    if cell.status == ABSENT:
        return ""
    if math.isnan(one.value):
        return NONE
    return f"{one.value:.1f}" if column.metric == "models_used" else f"{one.value:.3f}"


def interval(cell: Cell, column: Column) -> str:
    """``[0.75, 0.87]``; empty where the number has none, and for numbers that are not ours."""
    one = cell.numbers.get(column.metric)
    if column.kind != "ours" or one is None or math.isnan(one.low) or math.isnan(one.high):
        return ""
    return f"[{one.low:.2f}, {one.high:.2f}]"


def is_best(cell: Cell, column: Column) -> bool:
    """Whether the number is to stand out."""
    return column.kind == "ours" and column.metric in cell.numbers and cell.numbers[column.metric].best


def is_incomplete(cell: Cell, column: Column) -> bool:
    """Whether the number is to be marked as over less than its neighbours are."""
    one = cell.numbers.get(column.metric)
    return column.kind == "ours" and cell.status == INCOMPLETE and one is not None and not math.isnan(one.value)


def heading(column: Column) -> str:
    """What stands directly above a column."""
    symbol = METRICS[column.metric].symbol
    if column.kind == "ours":
        return symbol
    return {"published": "publ.", "difference": "diff."}[column.kind]


def title(across: Across, by: str) -> str:
    """What stands above the columns of a benchmark, strategy or subset."""
    return f"{across.title} ({across.prompts})" if by == "subset" else across.title


def parts_of(columns: Sequence[Column], widths: Sequence[float], room: float, gap: float) -> list[list[int]]:
    """Positions of the columns in tables that fit into the room, at least one metric each, about as wide as each other.

    A benchmark's columns stay together where a table can hold them.

    Parameters
    ----------
    widths : of each column, in any unit; gap : what comes on top where another benchmark begins.
    """
    parts = _filled(columns, widths, room, gap)
    even = sum(widths) / max(1, len(parts))
    for step in range(STEPS):
        attempt = _filled(columns, widths, even + (room - even) * step / STEPS, gap)
        # Narrower tables, and no more of them; nor may a benchmark be torn apart for it.
        if len(attempt) == len(parts) and _torn(columns, attempt) <= _torn(columns, parts):
            return attempt
    return parts


def _torn(columns: Sequence[Column], parts: Sequence[Sequence[int]]) -> int:
    return sum(len({columns[i].across.key for i in part}) for part in parts)


def _filled(columns: Sequence[Column], widths: Sequence[float], room: float, gap: float) -> list[list[int]]:
    """The same, each table filled before the next is begun."""
    parts: list[list[int]] = [[]]
    left = room
    everything = range(len(columns))
    for _, one in groupby(everything, key=lambda i: columns[i].across.key):
        whole = list(one)
        pieces = [whole]
        if sum(widths[i] for i in whole) > room:
            pieces = [list(unit) for _, unit in groupby(whole, key=lambda i: columns[i].unit)]
        for piece in pieces:
            needed = sum(widths[i] for i in piece)
            new = gap if parts[-1] and columns[parts[-1][-1]].across.key != columns[piece[0]].across.key else 0.0
            if parts[-1] and needed + new > left:
                parts.append([])
                left, new = room, 0.0
            parts[-1] += piece
            left -= needed + new
    return [part for part in parts if part]


def spans(columns: Sequence[Column], part: Sequence[int]) -> list[tuple[Across, list[int]]]:
    """What stands above the columns of a part, each with the columns below it."""
    found: list[tuple[Across, list[int]]] = []
    for i in part:
        across = columns[i].across
        if found and found[-1][0].key == across.key:
            found[-1][1].append(i)
        else:
            found.append((across, [i]))
    return found


_BREAKS = (" ", "_-,:;=/.")
"""Behind what a line is broken, the first best."""


def fold(text: str, width: int, measure: Callable[[str], int] = len) -> list[str]:
    """The text in lines of at most that width, broken behind a space or a mark where there is one.

    Parameters
    ----------
    measure : how wide a text is; where characters differ, as on a terminal.
    """
    lines = []
    while len(text) > 1 and measure(text) > width:
        # At least one character a line, however narrow it is.
        fits = max((i for i in range(1, len(text)) if measure(text[:i]) <= width), default=1)
        ends = (max((i + 1 for i, one in enumerate(text[:fits]) if one in marks), default=0) for marks in _BREAKS)
        at = next((end for end in ends if end > fits // 2), fits)
        lines.append(text[:at].rstrip(" "))
        text = text[at:].lstrip(" ")
    return [*lines, text]


def legend(table: PaperTable, *, best: str, mark: str, references: str, intervals: bool) -> str:
    """What the marks of a format mean, as far as they occur in a table; empty where none does."""
    cells = [row.cell(one.key) for row in table.rows for one in table.across]
    numbers = [one for cell in cells for one in cell.numbers.values()]
    said = []
    if any(one.best for one in numbers):
        said.append(f"{best}: best router of its block and column")
    if any(cell.status == INCOMPLETE for cell in cells):
        said.append(f"{mark}: incomplete")
    if any(row.kind == REFERENCE for row in table.rows):
        said.append(references)
    if intervals and any(not math.isnan(one.low) for one in numbers):
        said.append("brackets: 95 % bootstrap interval over test prompts")
    if table.by == "subset":
        said.append("parentheses: test prompts")
    columns = columns_of(table)
    if any(number(row.cell(one.across.key), one) == NONE for row in table.rows for one in columns):
        said.append(f"{NONE}: does not exist")
    if any(row.cell(one.key).status == ABSENT for row in table.rows for one in table.across):
        said.append("empty: not run")
    return "; ".join(said)
