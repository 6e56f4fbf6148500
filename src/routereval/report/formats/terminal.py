"""Tables as lines of text, no wider than there is room: a wide table becomes several."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from routereval.report.formats.layout import (
    Column,
    columns_of,
    fold,
    heading,
    interval,
    is_best,
    is_incomplete,
    legend,
    number,
    parts_of,
    spans,
    title,
)
from routereval.report.paper_tables import FAILED, REFERENCE, Across, PaperTable, Row
from routereval.report.printable import printable
from routereval.report.table_notes import conditions, provenance

GAP, WIDE_GAP = 2, 4
"""Spaces between columns, and where another benchmark begins."""
LEAST_TITLE = 14
"""How wide a column may be made for what stands above it; the rest goes on the next line."""
BEST, INCOMPLETE = "*", "†"


@dataclass(frozen=True)
class Grid:
    """A table measured.

    Parameters
    ----------
    below : whether intervals stand below their numbers instead of beside them; None: there are none.
    label : how wide the routers' column is; widths : of each column.
    marked : whether any number of a column has a mark, so that all get room for one: digits stand below digits.
    brackets : how wide the intervals of a column are, where they stand beside the numbers; else 0.
    """

    columns: list[Column]
    below: bool | None
    label: int
    widths: list[int]
    marked: list[bool]
    brackets: list[int]


def renderable(tables: Iterable[PaperTable], width: int, *, intervals: bool = True) -> RenderableType:
    """The tables for a console of that many columns."""
    return Stack(*_lines(tables, width, intervals))


def plain(tables: Iterable[PaperTable], width: int, *, intervals: bool = True) -> str:
    """The same without colours."""
    return "\n".join(line.plain.rstrip() for line in _lines(tables, width, intervals)) + "\n"


def _lines(tables: Iterable[PaperTable], width: int, intervals: bool) -> list[Text]:
    return [line for table in tables for line in (*_table(table, width, intervals), Text())][:-1]


def _table(table: PaperTable, width: int, intervals: bool) -> Iterator[Text]:
    grid, parts = _fitted(table, width, intervals)
    head = f"{table.title}  ·  {conditions(table)}"
    for i, part in enumerate(parts):
        if i > 0:
            yield Text()
        said = f"{head}  ·  part {i + 1} of {len(parts)}" if len(parts) > 1 else head
        yield from (Text(line, style="bold") for line in fold(printable(said), width, cell_len))
        yield from _part(table, grid, part)
    marks = legend(
        table,
        best=BEST,
        mark=INCOMPLETE,
        references="dim, above the line: references, which read the answers",
        intervals=intervals,
    )
    console = Console(file=io.StringIO(), width=width, force_jupyter=False)
    for note in (provenance(table), marks, *table.notes):
        if note:
            yield from Text(printable(note), style="red" if note.startswith("failed:") else "dim").wrap(console, width)


def _fitted(table: PaperTable, width: int, intervals: bool) -> tuple[Grid, list[list[int]]]:
    """Intervals beside their numbers where the whole table then fits, else below them, in as many parts as it takes."""
    for below in (False, True) if intervals else (None,):
        grid = _grid(table, below, width)
        room = width - grid.label
        parts = parts_of(grid.columns, [one + GAP for one in grid.widths], room, WIDE_GAP - GAP)
        if len(parts) == 1:
            break
    return grid, parts


def _grid(table: PaperTable, below: bool | None, width: int) -> Grid:
    columns = columns_of(table)
    longest = max((cell_len(printable(row.shown)) for row in table.rows), default=0)
    marked = [any(_mark(row, column) for row in table.rows) for column in columns]
    brackets = [
        0
        if below is not False
        else max((len(interval(row.cell(column.across.key), column)) for row in table.rows), default=0)
        for column in columns
    ]
    grid = Grid(columns, below, min(longest, max(16, width // 3)), [0] * len(columns), marked, brackets)
    for i in range(len(columns)):
        lines = [line for row in table.rows for line in _cell_lines(row, grid, i)]
        grid.widths[i] = max(map(cell_len, [_head(grid, i), *lines]))
    for across, under in spans(columns, range(len(columns))):
        needed = min(cell_len(printable(title(across, table.by))), LEAST_TITLE)
        grid.widths[under[0]] += max(0, needed - _span(grid, under))
    return grid


def _span(grid: Grid, under: Sequence[int]) -> int:
    return sum(grid.widths[i] for i in under) + GAP * (len(under) - 1)


def _mark(row: Row, column: Column) -> str:
    cell = row.cell(column.across.key)
    return BEST if is_best(cell, column) else INCOMPLETE if is_incomplete(cell, column) else ""


def _cell_lines(row: Row, grid: Grid, i: int) -> list[str]:
    """The number with its mark, or room for one, and its interval beside or below it."""
    column = grid.columns[i]
    cell = row.cell(column.across.key)
    shown, bracket = number(cell, column), interval(cell, column)
    if shown != FAILED:
        # That word is as wide as a number with its mark.
        shown += _mark(row, column) or " " * grid.marked[i]
    if grid.brackets[i]:
        return [f"{shown} {bracket:<{grid.brackets[i]}}"]
    return [shown, bracket] if grid.below and bracket else [shown]


def _head(grid: Grid, i: int) -> str:
    text = heading(grid.columns[i]) + " " * grid.marked[i]
    return f"{text} {'[95 %]':<{grid.brackets[i]}}" if grid.brackets[i] else text


def _part(table: PaperTable, grid: Grid, part: Sequence[int]) -> Iterator[Text]:
    above = spans(grid.columns, part)
    total = grid.label + sum(_span(grid, under) for _, under in above) + GAP + WIDE_GAP * (len(above) - 1)
    yield from _titles(table, grid, above)
    yield _line(grid, "", above, {i: Text(_head(grid, i)) for i in part})
    for m, kinds in table.blocks:
        yield Text("─" * total, style="dim")
        yield Text(f"m = {m}", style="bold")
        for k, rows in enumerate(kinds):
            if k > 0:
                yield Text("╌" * total, style="dim")
            for row in rows:
                yield from _row(row, grid, above)
    yield Text("─" * total, style="dim")


def _titles(table: PaperTable, grid: Grid, above: Sequence[tuple[Across, list[int]]]) -> Iterator[Text]:
    """What is across, in as many lines as the longest takes, each above the middle of its columns."""
    folded = [
        (under, fold(printable(title(across, table.by)), _span(grid, under), cell_len)) for across, under in above
    ]
    most = max(len(lines) for _, lines in folded)
    for i in range(most):
        line = " " * grid.label
        for j, (under, lines) in enumerate(folded):
            padded = [""] * (most - len(lines)) + lines
            text, span = padded[i], _span(grid, under)
            left = (span - cell_len(text)) // 2
            line += " " * (WIDE_GAP if j else GAP) + " " * left + text + " " * (span - cell_len(text) - left)
        yield Text(line.rstrip(), style="bold")


def _row(row: Row, grid: Grid, above: Sequence[tuple[Across, list[int]]]) -> Iterator[Text]:
    labels = fold(printable(row.shown), grid.label, cell_len)
    cells = {i: _cell_lines(row, grid, i) for _, under in above for i in under}
    for k in range(max(len(labels), *map(len, cells.values()))):
        texts = {i: _styled(row, grid.columns[i], lines[k], k) for i, lines in cells.items() if k < len(lines)}
        line = _line(grid, labels[k] if k < len(labels) else "", above, texts)
        if row.kind == REFERENCE:
            line.stylize("dim")
        yield line


def _styled(row: Row, column: Column, text: str, k: int) -> Text:
    cell = row.cell(column.across.key)
    if text.strip() == FAILED:
        return Text(text, style="bold red")
    if k > 0 or column.kind == "published":
        return Text(text, style="dim")
    return Text(text, style="bold green" if is_best(cell, column) else "yellow" if is_incomplete(cell, column) else "")


def _line(grid: Grid, label: str, above: Sequence[tuple[Across, list[int]]], texts: dict[int, Text]) -> Text:
    line = Text(label + " " * (grid.label - cell_len(label)))
    for j, (_, under) in enumerate(above):
        line.append(" " * (WIDE_GAP - GAP if j else 0))
        for i in under:
            text = texts.get(i, Text())
            line.append(" " * (GAP + grid.widths[i] - cell_len(text.plain))).append_text(text)
    return line
