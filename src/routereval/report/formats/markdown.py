"""Tables as Markdown (GitHub's, mkdocs'): one heading line, a line per router, blocks named in bold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from routereval.report.formats.escaping import markdown_line, markdown_text
from routereval.report.formats.layout import (
    Column,
    columns_of,
    heading,
    interval,
    is_best,
    is_incomplete,
    legend,
    number,
    parts_of,
    title,
)
from routereval.report.paper_tables import CONTROL, REFERENCE, PaperTable, Row
from routereval.report.table_notes import conditions, provenance

ROOM = 16
"""Columns of numbers in a table, the paper's four benchmarks of four; what is more stands in a table of its own."""


def markdown(tables: Iterable[PaperTable], *, intervals: bool = True) -> str:
    """The tables, each below a line of its own in bold and above its notes."""
    return "\n".join(line for table in tables for line in _table(table, intervals))


def _table(table: PaperTable, intervals: bool) -> Iterator[str]:
    columns = columns_of(table)
    parts = parts_of(columns, [1.0] * len(columns), ROOM, 0.0)
    head = f"{table.title} ({conditions(table)}"
    for i, part in enumerate(parts):
        said = f"{head}, part {i + 1} of {len(parts)})" if len(parts) > 1 else f"{head})"
        yield from (f"**{markdown_text(said)}**", "")
        yield from _part(table, [columns[i] for i in part], intervals)
        yield ""
    marks = legend(
        table,
        best="bold",
        mark="†",
        references="italics: references, which read the answers, and controls, which take no part",
        intervals=intervals,
    )
    for note in (provenance(table), marks, *table.notes):
        if note:
            yield f"- {markdown_line(note)}"
    yield ""


def _part(table: PaperTable, columns: Sequence[Column], intervals: bool) -> Iterator[str]:
    heads = [markdown_text(f"{title(one.across, table.by)} {heading(one)}") for one in columns]
    yield _line(["router", *heads])
    yield _line(["---", *("--:" for _ in columns)])
    for m, kinds in table.blocks:
        yield _line([f"**m = {m}**", *("" for _ in columns)])
        for row in (row for rows in kinds for row in rows):
            label = markdown_text(row.shown)
            aside = row.kind in (REFERENCE, CONTROL)
            yield _line([f"*{label}*" if aside else label, *(_cell(row, one, intervals) for one in columns)])


def _cell(row: Row, column: Column, intervals: bool) -> str:
    cell = row.cell(column.across.key)
    text, bracket = number(cell, column), interval(cell, column)
    text = f"**{text}**" if is_best(cell, column) else text
    text += "†" if is_incomplete(cell, column) else ""
    return f"{text} {bracket}" if intervals and bracket else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
