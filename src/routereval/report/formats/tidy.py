"""Tables as rows for scripts: one per number, with everything that is known of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from routereval.report.paper_tables import ABSENT, Across, Cell, Number, PaperTable, Row


@dataclass(frozen=True)
class TidyRow:
    """One number.

    Parameters
    ----------
    strategy, subset : which it is of, in a table by these; else None, and the number is a mean over ``strategies``.
    kind : ``reference``, ``router`` or ``control``; aside : an earlier version of its source, a predictions file.
    value, low, high : the number and its 95 % interval; None where there is none.
    best : whether no router that can be compared does better in this block and column.
    status : ``ok``, ``incomplete``, ``failed``; ``not run`` where only the published number is there.
    published, difference : what the paper has; ours less that.
    strategies, seeds, version : all that are in it, joined by ``;``.
    """

    benchmark: str
    strategy: str | None
    subset: str | None
    m: int
    router: str
    aside: str
    kind: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    best: bool
    status: str
    published: float | None
    difference: float | None
    prompts: int
    strategies: str
    seeds: str
    protocol: str
    encoder: str
    data_hash: str
    version: str


def tidy(table: PaperTable) -> Iterator[TidyRow]:
    """Every number of a table, by row, then column; a failed cell has a row per metric without one."""
    for row in table.rows:
        for across in table.across:
            cell = row.cell(across.key)
            for name in table.metrics:
                one = cell.numbers.get(name, Number())
                if cell.status != ABSENT or one.published is not None:
                    yield _tidy(table, row, across, cell, name, one)


def _tidy(table: PaperTable, row: Row, across: Across, cell: Cell, metric: str, one: Number) -> TidyRow:
    return TidyRow(
        benchmark=across.benchmark,
        strategy=across.key if table.by == "strategy" else None,
        subset=across.key if table.by == "subset" else None,
        m=row.m,
        router=row.label,
        aside=row.aside,
        kind=row.kind,
        metric=metric,
        value=_known(one.value),
        low=_known(one.low),
        high=_known(one.high),
        best=one.best,
        status=cell.status,
        published=one.published,
        difference=one.difference,
        prompts=cell.prompts,
        strategies=";".join(cell.strategies),
        seeds=";".join(map(str, cell.seeds)),
        protocol=table.key.protocol,
        encoder=table.key.encoder,
        data_hash=across.data_hash,
        version=";".join(cell.versions),
    )


def all_tidy(tables: Iterable[PaperTable]) -> Iterator[TidyRow]:
    """Every number of every table."""
    for table in tables:
        yield from tidy(table)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
