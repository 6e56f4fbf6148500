"""Which runs are compared: per-prompt scores of every router in every scenario, over the same prompts."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routereval.catalogue import unknown_name
from routereval.errors import ParameterError
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.report.provenance import Origin, origin_of
from routereval.report.unmixed import notes_on_data, of_choice, refuse_mixed, with_one_encoder
from routereval.results import RunSpec, StoredRun
from routereval.results.records import ScenarioRecord
from routereval.results.run import PREDICTIONS_FILE, canonical_json, router_label

CellKey = tuple[str, str, str, str]
"""Scenario, protocol, encoder, data."""


@dataclass(frozen=True)
class RunSource:
    """Where runs come from.

    Parameters
    ----------
    heads : every run, its per-prompt values perhaps not read.
    read : the runs of these keys with their per-prompt values.
    record : what the scenario of a run is tested on, where that was kept.
    """

    heads: Sequence[StoredRun]
    read: Callable[[set[str]], Iterable[StoredRun]]
    record: Callable[[RunSpec], ScenarioRecord | None]


@dataclass(frozen=True, eq=False)
class ComparedCell:
    """One scenario (under a protocol, an encoder, on some data), and what every router scored in it.

    Parameters
    ----------
    spec : of one of its runs.
    counted : (n,) which test prompts count, for every router alike.
    scores : by router (n,), the mean over its seeds; zero where not counted.
    seeds : by router, how many; origins : by router, where each of its runs comes from.
    """

    spec: RunSpec
    counted: NDArray[np.bool_]
    scores: Mapping[str, NDArray[np.float64]]
    seeds: Mapping[str, int]
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The scenario's id."""
        return self.spec.scenario

    @property
    def place(self) -> tuple[str, str, str, str, int, str]:
        """Where it stands among others: small pools first."""
        return (*self.pool_size_cell, self.spec.scenario)

    @property
    def pool_size_cell(self) -> tuple[str, str, str, str, int]:
        """What strategies are averaged within, as in ``routereval rank``."""
        spec = self.spec
        return spec.benchmark, spec.protocol, spec.encoder, spec.data_hash, spec.m


@dataclass(frozen=True)
class FailedRun:
    """A run that takes no part, and why; the router's other seeds in that scenario take none either."""

    router: str
    scenario: str
    seed: int
    error: str


@dataclass(frozen=True)
class Gathered:
    """Everything that can be compared.

    Parameters
    ----------
    routers : labels, in alphabetical order.
    baseline : the label every other is compared with; None: all pairs.
    asked : the labels that would be compared if there were no baseline.
    failed : every run that failed.
    """

    routers: tuple[str, ...]
    cells: tuple[ComparedCell, ...]
    baseline: str | None
    asked: frozenset[str]
    failed: tuple[FailedRun, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def origins(self) -> list[Origin]:
        """Where each of the runs that are compared comes from."""
        return [one for cell in self.cells for runs in cell.origins.values() for one in runs]


@dataclass
class _Member:
    """The runs of one router in one cell."""

    runs: list[StoredRun] = field(default_factory=list)
    total: NDArray[np.float64] | None = None
    counted: NDArray[np.bool_] | None = None
    read: int = 0


def gather(
    source: RunSource,
    routers: Sequence[str] | None,
    scenarios: Sequence[str] | None,
    baseline: str | None,
    protocol: str | None = None,
    encoder: str | None = None,
) -> Gathered:
    """Read what is asked for; runs on a part of the training prompts and references nobody named are left out.

    Raises
    ------
    UnknownNameError : a router nobody ran, a protocol that does not exist, an encoder that no run has.
    ParameterError : fewer than two routers, no scenario in common, a name that stands for several baselines; runs by
        several protocols, or with several encoders on the same data.
    """
    heads = _heads(source, scenarios, protocol, encoder)
    labels = _labels(heads)
    asked, base = _chosen(heads, labels, routers, baseline)
    chosen = asked | ({base} if base is not None else set())
    if len(chosen) < 2:
        there, names = ", ".join(sorted(chosen)) or "none", sorted(set(labels.values()))
        raise ParameterError(f"two routers at least are compared; found {there}, of {', '.join(names)}")
    taken = [head for head in heads if labels[_identity(head.spec)] in chosen]
    refuse_mixed([head.spec for head in taken])
    members: dict[CellKey, dict[str, _Member]] = {}
    for head in with_one_encoder(taken):
        label = labels[_identity(head.spec)]
        members.setdefault(_cell(head.spec), {}).setdefault(label, _Member()).runs.append(head)
    notes = _newest_only(members)
    notes += notes_on_data(run.spec for cell in members.values() for member in cell.values() for run in member.runs)
    _read(source, members)
    failed = tuple(
        FailedRun(label, run.spec.scenario, run.spec.seed, run.error)
        for cell in members.values()
        for label, member in cell.items()
        for run in member.runs
        if run.error is not None
    )
    found = (_compared(one) for one in members.values())
    cells = tuple(sorted((cell for cell in found if cell is not None), key=lambda cell: cell.place))
    have = {label for cell in cells for label in cell.scores}
    if len(have) < 2 or (base is not None and base not in have):
        raise ParameterError(
            "there is nothing to compare: no scenario on which two routers have runs that did not fail"
            + (f" ({failed[0].router} on {failed[0].scenario}: {failed[0].error})" if failed else "")
        )
    return Gathered(tuple(sorted(have)), cells, base, frozenset(asked & have), failed, tuple(notes))


def _heads(
    source: RunSource, scenarios: Sequence[str] | None, protocol: str | None, encoder: str | None
) -> list[StoredRun]:
    """The runs on all training prompts that are asked for, whoever their routers are."""
    heads = [head for head in source.heads if head.spec.train_size is None and _wanted(head.spec, scenarios)]
    if not heads:
        known = sorted({head.spec.scenario for head in source.heads})
        which = f" of {', '.join(scenarios)}" if scenarios else ""
        there = f"; there are runs on {', '.join(known[:6])}" if known else ""
        raise ParameterError(f"there are no runs{which} to compare{there}")
    return of_choice(heads, protocol, encoder)


def _wanted(spec: RunSpec, scenarios: Sequence[str] | None) -> bool:
    return not scenarios or any(fnmatch.fnmatchcase(spec.scenario, one) or spec.benchmark == one for one in scenarios)


def _cell(spec: RunSpec) -> CellKey:
    return spec.scenario, spec.protocol, spec.encoder, spec.data_hash


def _identity(spec: RunSpec) -> tuple[str, str]:
    return spec.router, canonical_json(dict(spec.params))


def _labels(heads: Sequence[StoredRun]) -> dict[tuple[str, str], str]:
    """How each router is called; a predictions file that has a router's name keeps the word "file" before it."""
    bare = {
        _identity(spec): (spec.router, router_label(spec.router, spec.params, defaults_of(spec.router)))
        for spec in (head.spec for head in heads)
    }
    own = {label for router, label in bare.values() if not router.startswith(PREDICTIONS_FILE)}
    return {
        identity: router if router.startswith(PREDICTIONS_FILE) and label in own else label
        for identity, (router, label) in bare.items()
    }


def _chosen(
    heads: Sequence[StoredRun],
    labels: Mapping[tuple[str, str], str],
    routers: Sequence[str] | None,
    baseline: str | None,
) -> tuple[set[str], str | None]:
    """The labels asked for, and the baseline's, which may be none of them."""
    names: dict[str, str] = {}
    for head in heads:
        names[labels[_identity(head.spec)]] = head.spec.router
    base = None
    if baseline is not None:
        found = _matching(baseline, names)
        if len(found) > 1:
            raise ParameterError(f"{baseline!r} may be any of {', '.join(sorted(found))}; name one of them as baseline")
        base = found.pop()
    if routers:
        chosen = set().union(*(_matching(one, names) for one in routers))
    else:
        chosen = {label for label, router in names.items() if router not in REFERENCES}
    return chosen, base


def _matching(name: str, names: Mapping[str, str]) -> set[str]:
    """The labels that a label, the name of a router or a glob stands for."""
    if name in names:
        return {name}
    found = {label for label, router in names.items() if router == name or fnmatch.fnmatchcase(label, name)}
    if not found:
        raise unknown_name("router", name, list(names))
    return found


def _newest_only(members: Mapping[CellKey, Mapping[str, _Member]]) -> list[str]:
    """Keep, of each router in a cell, the newest version of its source, and of each seed the newest run."""
    older: dict[str, int] = {}
    for cell in members.values():
        for label, member in cell.items():
            newest = max(member.runs, key=lambda run: run.ended).spec.code
            by_seed: dict[int, StoredRun] = {}
            for run in sorted(member.runs, key=lambda run: run.ended):
                if run.spec.code == newest:
                    by_seed[run.spec.seed] = run
            older[label] = older.get(label, 0) + len(member.runs) - len(by_seed)
            member.runs = [by_seed[seed] for seed in sorted(by_seed)]
    return [f"{label}: {count} runs of older versions of it are left out" for label, count in older.items() if count]


def _read(source: RunSource, members: Mapping[CellKey, Mapping[str, _Member]]) -> None:
    """Add up the per-prompt scores of every member that has not failed."""
    of = {
        run.key or run.spec.key: member
        for cell in members.values()
        for member in cell.values()
        if not any(run.error is not None for run in member.runs)
        for run in member.runs
    }
    for run in source.read(set(of)):
        member = of[run.key or run.spec.key]
        if run.outcome is None:
            # Its per-prompt values are damaged: that shows when they are read.
            member.runs = [run if run.key == one.key else one for one in member.runs]
            continue
        chosen = run.outcome.columns["chosen"]
        member.total = chosen.astype(np.float64) if member.total is None else member.total + chosen
        member.counted = run.outcome.counted if member.counted is None else member.counted & run.outcome.counted
        member.read += 1


def _compared(cell: Mapping[str, _Member]) -> ComparedCell | None:
    """What the cell's routers scored, those left out that failed; None where fewer than two are left."""
    whole = {
        label: member for label, member in cell.items() if member.total is not None and member.read == len(member.runs)
    }
    # Data of one hash have the same test prompts for everyone.
    lengths = [len(member.total) for member in whole.values() if member.total is not None]
    if len(whole) < 2 or len(set(lengths)) > 1:
        return None
    counted = np.ones(lengths[0], dtype=np.bool_)
    scores = {}
    for label, member in whole.items():
        assert member.total is not None and member.counted is not None
        counted &= member.counted
        scores[label] = member.total / member.read
    return ComparedCell(
        next(iter(whole.values())).runs[0].spec,
        counted,
        {label: np.where(counted, one, 0.0) for label, one in scores.items()},
        {label: member.read for label, member in whole.items()},
        {label: tuple(map(origin_of, member.runs)) for label, member in whole.items()},
    )
