"""What the tables of the paper hold: benchmarks (or strategies, or subsets) across, routers down, blocks by pool size.

No format is here; ``formats`` writes these out. Runs that differ in protocol, encoder or data never share a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

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
