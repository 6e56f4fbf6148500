"""What the tables of the paper hold: benchmarks (or strategies, or subsets) across, routers down, blocks by pool size.

No format is here; ``formats`` writes these out. Runs that differ in protocol, encoder or data never share a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from routereval.facts import benchmarks, published_results
from routereval.metrics import METRICS
from routereval.report.groups import ORDER, Group
from routereval.results.run import PREDICTIONS_FILE
from routereval.routers.catalogue import CONTROLS

WHOLE, INCOMPLETE, FAILED, ABSENT = "ok", "incomplete", "failed", "not run"
REFERENCE, ROUTER, CONTROL = "reference", "router", "control"
KINDS = (REFERENCE, ROUTER, CONTROL)
"""In the order in which a block shows them, set apart from each other."""

FEW = 30
"""Below this many test prompts a table says that there are few."""


@dataclass(frozen=True)
class Number:
    """One number of a cell.

    Parameters
    ----------
    value : nan where the metric does not exist.
    low, high : its 95 % bootstrap interval over test prompts; nan where there is none.
    best : whether no router that can be compared does better in this block and column.
    published : what the paper has, to two decimals; None where it has nothing.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    best: bool = False
    published: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours less the published; None where either is missing."""
        return None if self.published is None or math.isnan(self.value) else self.value - self.published


@dataclass(frozen=True)
class Cell:
    """One router on one benchmark, strategy or subset, at one pool size.

    Parameters
    ----------
    status : ``ok``; ``incomplete``: a mean over fewer strategies than others of the block have, or over some seeds of a
        strategy only; ``failed``: a run of it failed, so there is no number; ``not run``.
    numbers : by metric.
    strategies, seeds, prompts, versions : what it is a mean over; versions are those of this package.
    errors : of the runs that failed, of ``runs``.
    """

    status: str = ABSENT
    numbers: Mapping[str, Number] = field(default_factory=dict)
    strategies: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    prompts: int = 0
    versions: tuple[str, ...] = ()
    runs: int = 0
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One router at one pool size.

    Parameters
    ----------
    label : its name and those parameters that are not the defaults.
    kind : reference, router or control.
    code : of a router that is not ours, which version of its source.
    aside : what tells it from another row of the same label: an earlier version of its source, a predictions file.
    cells : by the key of what is across; what is missing was not run.
    """

    m: int
    router: str
    label: str
    kind: str
    code: str
    aside: str
    cells: Mapping[str, Cell]

    def cell(self, key: str) -> Cell:
        """The cell in that column."""
        return self.cells.get(key, Cell())

    @property
    def shown(self) -> str:
        """The label, with what tells it from others."""
        return f"{self.label} ({self.aside})" if self.aside else self.label


@dataclass(frozen=True)
class Across:
    """What stands above a column: a benchmark, a strategy or a subset.

    Parameters
    ----------
    key, title : as results have it; as a table shows it.
    benchmark, named, data_hash : which data it is of: as results have it, as a table shows it.
    prompts : how many test prompts it has.
    """

    key: str
    title: str
    benchmark: str
    named: str
    data_hash: str = ""
    prompts: int = 0


@dataclass(frozen=True, order=True)
class TableKey:
    """What all runs of a table have in common.

    Parameters
    ----------
    benchmark : the only one, in a table by strategy or subset; else empty.
    age : 0 for the newest data of a benchmark, 1 for those before.
    """

    benchmark: str
    protocol: str
    encoder: str
    age: int = 0


@dataclass(frozen=True)
class PaperTable:
    """One table.

    Parameters
    ----------
    by : what is across: ``benchmark``, ``strategy`` or ``subset``.
    title : what it shows, of which benchmark.
    metrics : names, in the order shown; published : whether the published numbers stand beside ours.
    seeds : of its routers.
    versions : every version of every package that computed any of it.
    notes : what a reader should know, a sentence each.
    """

    key: TableKey
    by: str
    title: str
    metrics: tuple[str, ...]
    published: bool
    across: tuple[Across, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    versions: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def blocks(self) -> Iterator[tuple[int, list[list[Row]]]]:
        """By pool size the references, the routers and the controls, as far as there are any."""
        for m, rows in groupby(self.rows, key=lambda row: row.m):
            yield m, [list(members) for _, members in groupby(rows, key=lambda row: row.kind)]


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
    beside = {one.across.key for one in members if one.group.published} if published else set()
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
            published=getattr(g.published, name, None) if published else None,
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


def _published_numbers(benchmark: str, g: Group, metrics: Sequence[str]) -> dict[str, Number]:
    row = published_results().get((benchmark, g.m, g.label))
    return {} if row is None else {name: Number(published=getattr(row, name)) for name in metrics if hasattr(row, name)}


def _place(row: Row) -> tuple[int, int, int, str, str, str]:
    order = ORDER.index(row.router) if row.router in ORDER else len(ORDER)
    return row.m, KINDS.index(row.kind), order, row.label, row.aside, row.code
