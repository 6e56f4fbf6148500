"""The tables of a results file: ``rv.tables("r.sqlite").latex()``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from routereval.catalogue import unknown_name
from routereval.errors import ParameterError, ResultsError
from routereval.metrics import METRICS
from routereval.protocols import protocol as protocol_named
from routereval.report.arranging import Placed, arranged
from routereval.report.groups import SHOWN
from routereval.report.paper_tables import PaperTable, TableKey
from routereval.report.slicing import SLICERS, Records, sliced
from routereval.report.table_notes import listed, notes_of
from routereval.results import ResultStore, StoredRun

if TYPE_CHECKING:
    import polars

FORMATS = ("terminal", "markdown", "latex", "csv", "json")
"""What a table can be written as."""


@dataclass(frozen=True)
class Tables:
    """Tables of one results file, and what was left out of all of them."""

    tables: tuple[PaperTable, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[PaperTable]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __str__(self) -> str:
        return self.text()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def text(self, width: int = 160, *, intervals: bool = True) -> str:
        """Lines no wider than that many columns."""
        from routereval.report.formats.terminal import plain

        return plain(self.tables, width, intervals=intervals)

    def markdown(self, *, intervals: bool = True) -> str:
        """Tables as GitHub and mkdocs read them."""
        from routereval.report.formats.markdown import markdown

        return markdown(self.tables, intervals=intervals)

    def latex(self, *, intervals: bool = True) -> str:
        """``table*`` environments for a document that uses booktabs and graphicx."""
        from routereval.report.formats.latex import latex

        return latex(self.tables, intervals=intervals)

    def csv(self) -> str:
        """One line per number, with all that is known of it."""
        from routereval.report.formats.csv import as_csv

        return as_csv(self.tables)

    def json(self) -> str:
        """An array of tables, each with its notes and numbers."""
        from routereval.report.formats.json import as_json

        return as_json(self.tables)

    def frame(self) -> polars.DataFrame:
        """One row per number, with all that is known of it."""
        from routereval.report.formats.frame import frame

        return frame(self.tables)

    def written(self, format_: str, *, width: int = 160, intervals: bool = True) -> str:
        """The tables in one of ``FORMATS``.

        Raises
        ------
        UnknownNameError : there is no such format.
        """
        if format_ not in FORMATS:
            raise unknown_name("format", format_, list(FORMATS))
        if format_ == "terminal":
            return self.text(width, intervals=intervals)
        if format_ == "markdown":
            return self.markdown(intervals=intervals)
        return (
            self.latex(intervals=intervals) if format_ == "latex" else self.csv() if format_ == "csv" else self.json()
        )


def tables(
    results: str | Path | Sequence[StoredRun],
    *,
    by: str = "benchmark",
    metrics: Sequence[str] = (),
    sizes: Sequence[int] = (),
    protocol: str | None = None,
    published: bool = False,
) -> Tables:
    """The paper's tables of stored runs: benchmarks across, routers down, blocks by pool size.

    Parameters
    ----------
    results : a results file, or runs.
    by : what is across: ``benchmark`` (means over strategies, as published), ``strategy`` or ``subset``.
    metrics : names as ``routereval list metrics`` has them; none: the paper's four, by subset mu.
    sizes : pool sizes; none: all.
    protocol : only runs by these rules; None: all, in tables of their own.
    published : whether the published numbers stand beside ours, with the difference.

    Raises
    ------
    UnknownNameError : a metric, protocol or ``by`` that does not exist.
    ParameterError : a metric that no part of the prompts has, by subset; published numbers by anything but benchmark.
    ResultsError : no run is left to show.
    """
    shown = _checked(by, tuple(dict.fromkeys(metrics)), protocol, published)
    if isinstance(results, str | Path):
        with ResultStore(Path(results), create=False) as store:
            records = store.records() if by == "subset" else {}
            # Values of prompts are most of a file: those of runs that are not shown are not read.
            choice = _Choice(sizes, protocol)
            keys = {run.key for run in store.iter_runs(outcomes=False) if choice.takes(run)}
            return _tables(store.iter_runs(keys), records, by, shown, choice, published)
    if by == "subset":
        raise ParameterError("subsets are known to a results file only; give its path instead of runs")
    ordered = sorted(results, key=lambda run: run.spec.scenario)
    choice = _Choice(sizes, protocol)
    return _tables(filter(choice.takes, ordered), {}, by, shown, choice, published)


def _checked(by: str, metrics: tuple[str, ...], protocol: str | None, published: bool) -> tuple[str, ...]:
    if by not in SLICERS:
        raise unknown_name("way to lay out tables", by, list(SLICERS))
    for name in metrics:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
        if by == "subset" and not METRICS[name].resampled:
            raise ParameterError(f"{name} is a property of all choices together; no subset has one of its own")
    if protocol is not None:
        protocol_named(protocol)
    if published and by != "benchmark":
        raise ParameterError(f"published numbers are means over strategies and subsets; there are none by {by}")
    return metrics or (("mu",) if by == "subset" else SHOWN)


def _tables(
    runs: Iterable[StoredRun],
    records: Records,
    by: str,
    metrics: tuple[str, ...],
    choice: _Choice,
    published: bool,
) -> Tables:
    placed: list[Placed] = []
    asides: dict[TableKey, dict[str, set[str]]] = {}
    without = []
    for part in sliced(runs, by, metrics, records):
        placed += part.placed
        if not part.placed:
            without.append(part.benchmark)
        for key, note, scenario in part.asides:
            asides.setdefault(key, {}).setdefault(note, set()).add(scenario)
    if without and not placed:
        raise ResultsError(f"{_without(without)}; build scenarios from data that name subsets, and run them again")
    if not placed:
        raise ResultsError(choice.nothing)
    made = arranged(placed, by, metrics, published=published)
    return Tables(
        tuple(replace(one, notes=notes_of(one, asides.get(one.key, {}))) for one in made),
        (*choice.left_out, *([_without(without)] if without else [])),
    )


def _without(benchmarks: Sequence[str]) -> str:
    return f"the results do not say which subset a prompt of {listed(benchmarks)} belongs to"


class _Choice:
    """Which runs are shown, and what is to be said of those that are not."""

    def __init__(self, sizes: Sequence[int], protocol: str | None):
        self.sizes, self.protocol = sizes, protocol
        self._seen: set[tuple[int, str]] = set()
        self._damaged = self._parts = 0

    def takes(self, run: StoredRun) -> bool:
        """Whether the run is shown; why not is counted."""
        parts = run.spec.scenario.split("/")
        if len(parts) < 3 or not parts[-1].isdecimal():
            # A row of the file that cannot be read back has no scenario.
            self._damaged += 1
            return False
        if run.spec.train_size is not None:
            self._parts += 1
            return False
        self._seen.add((run.spec.m, run.spec.protocol))
        return (not self.sizes or run.spec.m in self.sizes) and self.protocol in (None, run.spec.protocol)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What was passed over whatever was asked for, in sentences."""
        said = []
        if self._parts:
            said.append(
                f"{self._parts} runs on a part of the training prompts are left out: they are of learning curves"
            )
        if self._damaged:
            said.append(f"{self._damaged} damaged rows of the file are left out; routereval results lists them")
        return tuple(said)

    @property
    def nothing(self) -> str:
        """Why there is nothing to show, and what there would be."""
        if not self._seen:
            return "; ".join(["no runs to show are stored yet", *self.left_out])
        wanted = [f"m = {', '.join(map(str, self.sizes))}"] if self.sizes else []
        wanted += [f"protocol {self.protocol}"] if self.protocol else []
        have = ", ".join(f"m = {m} ({rules})" for m, rules in sorted(self._seen))
        return f"no stored run has {' and '.join(wanted)}; there are {have}"
