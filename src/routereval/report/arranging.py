"""Groups arranged as the paper's tables: which table and row each belongs to, which is the best of its column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from routereval.data.scenario import STRATEGIES
from routereval.facts import PublishedRow, benchmarks, published_results
from routereval.metrics import METRICS
from routereval.report.groups import ORDER, Group
from routereval.report.paper_tables import (
    CONTROL,
    FAILED,
    INCOMPLETE,
    KINDS,
    REFERENCE,
    ROUTER,
    WHOLE,
    Across,
    Cell,
    Number,
    PaperTable,
    Row,
    TableKey,
)
from routereval.results.run import PREDICTIONS_FILE
from routereval.routers.catalogue import CONTROLS


@dataclass(frozen=True)
class Placed:
    """A group and where it stands."""

    key: TableKey
    across: Across
    group: Group


def arranged(placed: Iterable[Placed], by: str, metrics: Sequence[str], *, published: bool = False) -> list[PaperTable]:
    """Tables of groups, benchmarks as the paper orders them, strategies and subsets as they come; without notes.

    Parameters
    ----------
    metrics : names of ``METRICS``, which the groups have.
    published : whether to put the published numbers beside ours; they are means over the three published strategies.
    """
    tables: dict[TableKey, list[Placed]] = {}
    for one in placed:
        tables.setdefault(one.key, []).append(one)
    order = sorted(tables, key=lambda key: (_published_place(key.benchmark), key))
    return [_table(key, tables[key], by, tuple(metrics), published) for key in order]


def _published_place(benchmark: str) -> int:
    known = list(benchmarks())
    return known.index(benchmark) if benchmark in known else len(known)


def _table(key: TableKey, members: list[Placed], by: str, metrics: tuple[str, ...], published: bool) -> PaperTable:
    across: dict[str, Across] = {}
    for one in members:
        known = across.setdefault(one.across.key, one.across)
        if known.prompts < one.group.prompts:
            across[known.key] = replace(known, prompts=one.group.prompts)
    best = _best(members, metrics)
    asides = _asides([one.group for one in members])
    rows: dict[tuple[int, str, str, str], dict[str, Placed]] = {}
    for one in members:
        g = one.group
        rows.setdefault((g.m, g.router, g.label, g.code), {})[one.across.key] = one
    beside = {one.across.key for one in members if _published(one.group)} if published else set()
    built = [
        _row(cells, best, metrics, beside, asides[name[0], name[1], name[2]]) for (_, *name), cells in rows.items()
    ]
    versions: dict[str, set[str]] = {}
    for package, version in frozenset().union(*(one.group.versions for one in members)):
        versions.setdefault(package, set()).add(version)
    return PaperTable(
        key=key,
        by=by,
        title="By benchmark" if by == "benchmark" else f"{members[0].across.named}, by {by}",
        metrics=metrics,
        published=bool(beside),
        across=tuple(sorted(across.values(), key=lambda one: _published_place(one.key))),
        rows=tuple(sorted(built, key=_place)),
        seeds=tuple(sorted({s for one in members for s in one.group.seeds if not one.group.is_reference} or {0})),
        versions={name: tuple(sorted(found)) for name, found in sorted(versions.items())},
    )


Column = tuple[str, int, str]
"""What is across, pool size, metric."""


def _best(members: Sequence[Placed], metrics: Sequence[str]) -> dict[Column, float]:
    """The best value in each column of each block, of the groups that can be compared."""
    best: dict[Column, float] = {}
    for one in members:
        for name in metrics:
            higher, value = METRICS[name].higher_is_better, one.group.values.get(name, math.nan)
            if higher is None or math.isnan(value) or not one.group.competes:
                continue
            column = one.across.key, one.group.m, name
            best[column] = (max if higher else min)(best.get(column, value), value)
    return best


def _asides(groups: Sequence[Group]) -> dict[tuple[str, str, str], str]:
    """What tells rows of the same label apart, by router, label and code."""
    newest: dict[tuple[str, str], tuple[str, str]] = {}
    routers: dict[str, set[str]] = {}
    for g in groups:
        name = g.router, g.label
        newest[name] = max(newest.get(name, ("", "")), (g.ended, g.code))
        routers.setdefault(g.label, set()).add(g.router)
    asides = {}
    for g in groups:
        old = newest[g.router, g.label][1] != g.code
        file = g.router.startswith(PREDICTIONS_FILE) and len(routers[g.label]) > 1
        said = f"earlier code {g.code[:6]}" if old else "predictions file" if file else ""
        asides[g.router, g.label, g.code] = said
    return asides


def _row(
    members: Mapping[str, Placed], best: Mapping[Column, float], metrics: Sequence[str], beside: set[str], aside: str
) -> Row:
    first = next(iter(members.values())).group
    cells = {key: _cell(one.group, key, best, metrics, key in beside) for key, one in members.items()}
    for key in beside - members.keys():
        numbers = _published_numbers(key, first, metrics)
        if numbers:
            cells[key] = Cell(numbers=numbers)
    kind = REFERENCE if first.is_reference else CONTROL if first.router in CONTROLS else ROUTER
    return Row(first.m, first.router, first.label, kind, first.code, aside, cells)


def _cell(g: Group, key: str, best: Mapping[Column, float], metrics: Sequence[str], published: bool) -> Cell:
    status = FAILED if g.errors else WHOLE if g.whole and g.runs == len(g.strategies) * len(g.seeds) else INCOMPLETE
    numbers = {}
    for name in metrics if not g.errors else ():
        value, (low, high) = g.values[name], g.intervals.get(name, (math.nan, math.nan))
        numbers[name] = Number(
            value,
            low,
            high,
            best=g.competes and best.get((key, g.m, name)) == value,
            published=getattr(_published(g), name, None) if published else None,
        )
    return Cell(
        status,
        numbers,
        g.strategies,
        g.seeds,
        g.prompts,
        tuple(sorted(version for package, version in g.versions if package == "routereval")),
        g.runs,
        g.errors,
    )


def _published(g: Group) -> PublishedRow | None:
    """What the paper has of this cell; nothing beside a mean over further strategies."""
    return g.published if set(g.strategies) == set(STRATEGIES) else None


def _published_numbers(benchmark: str, g: Group, metrics: Sequence[str]) -> dict[str, Number]:
    row = published_results().get((benchmark, g.m, g.label))
    return {} if row is None else {name: Number(published=getattr(row, name)) for name in metrics if hasattr(row, name)}


def _place(row: Row) -> tuple[int, int, int, str, str, str]:
    order = ORDER.index(row.router) if row.router in ORDER else len(ORDER)
    return row.m, KINDS.index(row.kind), order, row.label, row.aside, row.code
