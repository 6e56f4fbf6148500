"""Runs as groups with their place in a table: by benchmark, by strategy, by subset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from routereval import facts
from routereval.data.outcome import Outcome
from routereval.data.scenario import STRATEGIES
from routereval.metrics import METRICS
from routereval.report.arranging import Placed
from routereval.report.groups import groups_of
from routereval.report.paper_tables import Across, TableKey
from routereval.results import StoredRun
from routereval.results.records import RecordKey, ScenarioRecord

Records = Mapping[RecordKey, ScenarioRecord]
Slices = Iterator[tuple[Across, list[StoredRun]]]


@dataclass(frozen=True)
class Sliced:
    """The groups of one benchmark, placed.

    Parameters
    ----------
    asides : what its runs say of themselves: the table, the note, the scenario.
    """

    benchmark: str
    placed: list[Placed]
    asides: set[tuple[TableKey, str, str]]


def sliced(runs: Iterable[StoredRun], by: str, metrics: Sequence[str], records: Records) -> Iterator[Sliced]:
    """Groups with their places, a benchmark at a time: no more of a file is held at once.

    Parameters
    ----------
    runs : ordered so that those of a benchmark follow each other.
    by : ``benchmark``, ``strategy`` or ``subset``.
    """
    for benchmark, of_benchmark in groupby(runs, key=lambda run: run.spec.benchmark):
        members = list(of_benchmark)
        title = _title(benchmark, members)
        ages = _ages(members)
        found = []
        keys = {
            table: TableKey("" if by == "benchmark" else benchmark, *table[1:3], age) for table, age in ages.items()
        }
        for across, part in SLICERS[by](members, Across(benchmark, title, benchmark, title), records):
            for g in groups_of(part, metrics):
                found.append(Placed(keys[g.table], replace(across, data_hash=g.data_hash), g))
        asides = {(keys[_table_of(run)], note, run.spec.scenario) for run in members for note in run.notes}
        yield Sliced(benchmark, found, asides)


def _by_benchmark(runs: list[StoredRun], whole: Across, records: Records) -> Slices:
    yield whole, runs


def _by_strategy(runs: list[StoredRun], whole: Across, records: Records) -> Slices:
    by_strategy: dict[str, list[StoredRun]] = {}
    for run in runs:
        by_strategy.setdefault(run.spec.scenario.split("/")[1], []).append(run)
    known = [*STRATEGIES]
    for name in sorted(by_strategy, key=lambda one: (known.index(one) if one in known else len(known), one)):
        yield replace(whole, key=name, title=name), by_strategy[name]


def _by_subset(runs: list[StoredRun], whole: Across, records: Records) -> Slices:
    named = [
        (run, record.subsets)
        for run in runs
        if (record := records.get((run.spec.scenario, run.spec.data_hash))) is not None
        and record.subsets is not None
        # A row that is damaged may have other prompts than its scenario.
        and (run.outcome is None or len(run.outcome.counted) == len(record.subsets))
    ]
    published = facts.benchmarks()[whole.benchmark].subsets if whole.benchmark in facts.benchmarks() else {}
    here = dict.fromkeys(name for _, subsets in named for name in subsets)
    names = [name for name in published if name in here] + [name for name in here if name not in published]
    titles = shortened(names)
    for name in names:
        sliced = [_restricted(run, subsets, name) for run, subsets in named]
        yield replace(whole, key=name, title=titles[name]), [run for run in sliced if run is not None]


SLICERS: dict[str, Callable[[list[StoredRun], Across, Records], Slices]] = {
    "benchmark": _by_benchmark,
    "strategy": _by_strategy,
    "subset": _by_subset,
}
"""What may be across."""


def _restricted(run: StoredRun, subsets: tuple[str, ...], name: str) -> StoredRun | None:
    """The run on the prompts of one subset; None where it has none of them. A failed run stays failed."""
    index = np.flatnonzero(np.array([one == name for one in subsets], dtype=np.bool_))
    outcome = run.outcome
    if not len(index):
        return None
    if outcome is None:
        return run
    part = Outcome(
        prompt_ids=tuple(outcome.prompt_ids[i] for i in index),
        model_ids=outcome.model_ids,
        counted=outcome.counted[index],
        columns={column: values[index] for column, values in outcome.columns.items()},
        share=outcome.share,
        choices=None if outcome.choices is None else outcome.choices[index],
    )
    metrics = {name: metric(part) for name, metric in METRICS.items() if metric.resampled}
    return replace(run, outcome=part, metrics=metrics, intervals={})


def shortened(names: Sequence[str]) -> dict[str, str]:
    """The names without the words that all of them begin or end with: ``mmlu_anatomy_5`` is ``anatomy``."""
    words = [name.split("_") for name in names]
    if len(names) < 2:
        return {name: name for name in names}
    start = _common(words)
    end = _common([one[start:][::-1] for one in words])
    titles = ["_".join(one[start : len(one) - end]) for one in words]
    if not all(title.strip() for title in titles) or len(set(titles)) < len(titles):
        return {name: name for name in names}
    return dict(zip(names, titles, strict=True))


def _common(words: Sequence[Sequence[str]]) -> int:
    """How many words all begin with, at least one of each left over."""
    alike = 0
    for column in zip(*(one[:-1] for one in words), strict=False):
        if len(set(column)) > 1:
            break
        alike += 1
    return alike


def _title(benchmark: str, runs: Sequence[StoredRun]) -> str:
    # A table of one's own may have a published benchmark's name; its pool is none of the published ones.
    if benchmark in facts.benchmarks() and any(run.spec.scenario.split("/")[1] in STRATEGIES for run in runs):
        return facts.benchmarks()[benchmark].title
    return benchmark


def _table_of(run: StoredRun) -> tuple[str, str, str, str]:
    return run.spec.benchmark, run.spec.protocol, run.spec.encoder, run.spec.data_hash


def _ages(runs: Sequence[StoredRun]) -> dict[tuple[str, str, str, str], int]:
    """How many newer data of the same name, protocol and encoder there are, by table of the groups."""
    newest: dict[tuple[str, str, str, str], str] = {}
    for run in runs:
        table = _table_of(run)
        newest[table] = max(newest.get(table, ""), run.ended)
    ages: dict[tuple[str, str, str, str], int] = {}
    seen: dict[tuple[str, ...], int] = {}
    for table in sorted(newest, key=lambda one: (newest[one], one), reverse=True):
        ages[table] = seen.setdefault(table[:3], 0)
        seen[table[:3]] += 1
    return ages
