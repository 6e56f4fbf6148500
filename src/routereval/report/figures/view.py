"""What figures are drawn from: the runs of one protocol and one encoder, never of two."""

from __future__ import annotations

import fnmatch
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from routereval.catalogue import unknown_name
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.report.figures.cells import Cell, cell_of
from routereval.results import ResultStore, RunSpec, StoredRun
from routereval.results.curves import CurvePoint
from routereval.results.records import ScenarioRecord
from routereval.results.run import canonical_json, router_label
from routereval.routers.catalogue import CONTROLS

BASE = "best_single"
MOST = 12
"""How many routers a figure shows unless it is told which."""


class CellKey(NamedTuple):
    """A scenario on its data, and who was run on it."""

    benchmark: str
    data_hash: str
    m: int
    strategy: str
    label: str


class Task(NamedTuple):
    """A benchmark on its data: what a panel is of."""

    benchmark: str
    data_hash: str


@dataclass(frozen=True)
class Choice:
    """Who is shown, best first, and who is not.

    Parameters
    ----------
    routers : by how much better their mu is than that of the others on the same scenarios; ``best_single`` among them.
    references : policies that read the answers.
    left_out : routers.
    """

    routers: tuple[str, ...]
    references: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def everyone(self) -> tuple[str, ...]:
        """Routers, then references."""
        return (*self.routers, *self.references)


@dataclass(frozen=True, eq=False)
class ResultsView:
    """Runs of one protocol and one encoder, as they stand in a results file.

    Parameters
    ----------
    store : the file, open; per-prompt values are read from it when a figure needs them.
    protocol, encoder : of all runs.
    runs : those that succeeded on all training prompts, without per-prompt values; of runs of one scenario, router and
        seed that differ in the router's source the newest.
    partial : the same on a part of the training prompts: points of learning curves.
    failed : how many failed.
    curves : points of scaling curves; the oracle's and chance's belong to every protocol and encoder.
    routers : who is to be shown: labels or names; empty: the best.
    m : the pool size, where all runs have the same because a figure asked for it.
    cells_read : what was read of the file already.
    """

    store: ResultStore
    protocol: str
    encoder: str
    runs: tuple[StoredRun, ...]
    partial: tuple[StoredRun, ...] = ()
    failed: int = 0
    curves: tuple[CurvePoint, ...] = ()
    routers: tuple[str, ...] = ()
    m: int | None = None
    cells_read: dict[CellKey, Cell] = field(default_factory=dict, repr=False)

    @cached_property
    def by_cell(self) -> Mapping[CellKey, tuple[StoredRun, ...]]:
        """The runs of each cell: its seeds."""
        cells: dict[CellKey, list[StoredRun]] = {}
        for run in self.runs:
            cells.setdefault(key_of(run.spec), []).append(run)
        return {key: tuple(members) for key, members in cells.items()}

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Benchmarks, each with its data, in the order of the file."""
        return tuple(dict.fromkeys(Task(key.benchmark, key.data_hash) for key in self.by_cell))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pool sizes, ascending."""
        return tuple(sorted({key.m for key in self.by_cell}))

    def of_size(self, m: int) -> ResultsView:
        """The runs of one pool size."""
        kept = tuple(run for run in self.runs if run.spec.m == m)
        return replace(self, runs=kept, partial=tuple(run for run in self.partial if run.spec.m == m), m=m)

    def choice(self, most: int = MOST) -> Choice:
        """Who is shown: those asked for, else the best routers, ``best_single`` and the references."""
        merit = self._merit
        references = tuple(sorted((label for label in merit if _name(label) in REFERENCES), key=_reference_place))
        ordered = [label for label in merit if label not in references]
        if self.routers:
            kept = [label for label in ordered if label in self.routers or _name(label) in self.routers]
        else:
            # A control is not what one looks for; where there is room for all of them, they stand beside.
            routers = [label for label in ordered if _name(label) not in CONTROLS and label != BASE]
            controls = [label for label in ordered if _name(label) in CONTROLS]
            best = {*[*routers, *controls][:most], BASE}
            kept = [label for label in ordered if label in best]
        return Choice(tuple(kept), references, tuple(label for label in ordered if label not in kept))

    def cells(self, labels: Iterable[str]) -> Mapping[CellKey, Cell]:
        """The cells of these routers and references with their per-prompt values, in the order of the file."""
        labels = set(labels)
        wanted = {key: runs for key, runs in self.by_cell.items() if key.label in labels}
        missing = {run.key: key for key, runs in wanted.items() if key not in self.cells_read for run in runs}
        left = Counter(missing.values())
        found: dict[CellKey, list[StoredRun]] = {}
        for run in self.store.iter_runs(set(missing)) if missing else ():
            key = missing[run.key]
            left[key] -= 1
            # A row may be damaged where only this reads it.
            found.setdefault(key, []).extend([run] if run.outcome is not None else [])
            if not left[key] and (members := found.pop(key)):
                self.cells_read[key] = cell_of(members)
        return {key: self.cells_read[key] for key in wanted if key in self.cells_read}

    def record(self, spec: RunSpec) -> ScenarioRecord | None:
        """What the scenario is tested on; None in a file from before that was kept."""
        return self.store.record(spec)

    def with_outcomes(self, runs: Sequence[StoredRun]) -> list[StoredRun]:
        """These runs with their per-prompt values."""
        return self.store.runs({run.key for run in runs}) if runs else []

    @cached_property
    def _merit(self) -> dict[str, float]:
        """By label, best first: the mean over cells of mu less the mean of all that were run on the same scenario."""
        mu = {key: float(np.mean([run.metrics["mu"] for run in runs])) for key, runs in self.by_cell.items()}
        mu = {key: value for key, value in mu.items() if not math.isnan(value)}
        scenarios: dict[tuple[str, str, int, str], list[float]] = {}
        for key, value in mu.items():
            scenarios.setdefault(key[:4], []).append(value)
        usual = {scenario: float(np.mean(values)) for scenario, values in scenarios.items()}
        over: dict[str, list[float]] = {}
        for key, value in mu.items():
            over.setdefault(key.label, []).append(value - usual[key[:4]])
        merit = {label: float(np.mean(values)) for label, values in over.items()}
        return dict(sorted(merit.items(), key=lambda one: (-one[1], one[0])))


def views_of(store: ResultStore, scenario: str = "", routers: Sequence[str] = ()) -> list[ResultsView]:
    """The views of a results file, one for each protocol and encoder, in the order they come.

    Parameters
    ----------
    scenario : a glob that scenarios' ids must match; empty: all.
    routers : who is to be shown, by label or name; empty: the best.

    Raises
    ------
    UnknownNameError : nobody of that name was run.
    """
    runs = [run for run in store.iter_runs(outcomes=False) if not scenario or _fits(run.spec.scenario, scenario)]
    labels = {key_of(run.spec).label for run in runs}
    for name in routers:
        if name not in labels and name not in {_name(label) for label in labels}:
            raise unknown_name("router among the stored runs", name, sorted(labels))
    points = [p for p in store.all_points() if not scenario or fnmatch.fnmatchcase(p.spec.benchmark, _head(scenario))]
    settings = dict.fromkeys((run.spec.protocol, run.spec.encoder) for run in runs if run.error is None)
    settings |= dict.fromkeys((p.spec.protocol, p.spec.encoder) for p in points if p.spec.protocol != "none")
    if not settings and points:
        settings = {("none", "none"): None}
    homes = _homes(runs, points, list(settings))
    views = []
    for protocol, encoder in settings:
        here = [run for run in runs if (run.spec.protocol, run.spec.encoder) == (protocol, encoder)]
        done = [run for run in here if run.error is None]
        views.append(
            ResultsView(
                store=store,
                protocol=protocol,
                encoder=encoder,
                runs=_newest(run for run in done if run.spec.train_size is None),
                partial=_newest(run for run in done if run.spec.train_size is not None),
                failed=len(here) - len(done),
                curves=tuple(p for p in points if (protocol, encoder) in homes[_curve_of(p)]),
                routers=tuple(routers),
            )
        )
    return views


def _curve_of(point: CurvePoint) -> tuple[str, str, str, str]:
    spec = point.spec
    return spec.benchmark, spec.data_hash, spec.protocol, spec.encoder


def _homes(
    runs: Sequence[StoredRun], points: Sequence[CurvePoint], settings: Sequence[tuple[str, str]]
) -> dict[tuple[str, str, str, str], set[tuple[str, str]]]:
    """In which views curves belong.

    The oracle's and chance's have neither protocol nor encoder: they go wherever routers were drawn or run on the same
    data, else on the same benchmark, else into the first view.
    """
    own = {_curve_of(p) for p in points if p.spec.protocol != "none"}
    own |= {(r.spec.benchmark, r.spec.data_hash, r.spec.protocol, r.spec.encoder) for r in runs if r.error is None}
    homes: dict[tuple[str, str, str, str], set[tuple[str, str]]] = {}
    for curve in {_curve_of(p) for p in points}:
        benchmark, data, protocol, encoder = curve
        if protocol != "none":
            homes[curve] = {(protocol, encoder)}
            continue
        same = {other[2:] for other in own if other[:2] == (benchmark, data)}
        homes[curve] = same or {other[2:] for other in own if other[0] == benchmark} or set(settings[:1])
    return homes


def key_of(spec: RunSpec) -> CellKey:
    """The cell a run belongs to."""
    return CellKey(spec.benchmark, spec.data_hash, spec.m, spec.scenario.split("/")[1], label_of(spec))


def label_of(spec: RunSpec) -> str:
    """What a run's router is called: the name and the parameters that are not the defaults."""
    return _label(spec.router, canonical_json(dict(spec.params)))


@lru_cache(maxsize=4096)
def _label(router: str, params: str) -> str:
    return router_label(router, json.loads(params), defaults_of(router))


def _newest(runs: Iterable[StoredRun]) -> tuple[StoredRun, ...]:
    kept: dict[tuple[CellKey, int, int | None], StoredRun] = {}
    for run in runs:
        key = (key_of(run.spec), run.spec.seed, run.spec.train_size)
        if key not in kept or run.ended > kept[key].ended:
            kept[key] = run
    return tuple(kept.values())


def _fits(scenario: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(scenario, glob) or fnmatch.fnmatchcase(scenario.split("/")[0], glob)


def _head(glob: str) -> str:
    return glob.split("/")[0]


def _name(label: str) -> str:
    return label.split(":")[0]


def _reference_place(label: str) -> tuple[int, str]:
    return list(REFERENCES).index(_name(label)), label
