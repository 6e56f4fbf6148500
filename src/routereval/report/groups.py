"""Averages over strategies and seeds, as the paper's table has them, with intervals; never over less than asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from routereval.facts import PublishedRow, published_results
from routereval.metrics import METRICS
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.results import StoredRun
from routereval.results.run import router_label
from routereval.stats import Interval, interval, resampled_metrics

SHOWN = ("mu", "V_R", "V_B", "E_p")
ORDER = ("oracle", "r_o", "random", "best_single_hindsight", "best_single", "knn", "kmeans", "linear", "mlp")
"""References first, then routers from simple to not; others follow in alphabetical order."""


@dataclass(frozen=True)
class Group:
    """All runs of one cell of the table: a benchmark, a pool size and a router; over strategies and seeds.

    Parameters
    ----------
    strategies : which strategies are in it.
    values, intervals : mean over the runs and its 95 % bootstrap interval, by metric; empty where any run failed.
    published : the published row of this cell, where all of it was run.
    best : whether no router of this benchmark and pool size has a higher mu.
    """

    benchmark: str
    m: int
    router: str
    label: str
    protocol: str
    encoder: str
    strategies: tuple[str, ...]
    runs: int
    errors: tuple[str, ...]
    values: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    published: PublishedRow | None = None
    best: bool = False

    @property
    def is_reference(self) -> bool:
        """Whether the policy reads the answers."""
        return self.router in REFERENCES


def groups_of(runs: Sequence[StoredRun]) -> list[Group]:
    """The cells of the table, by benchmark, pool size and router."""
    cells: dict[tuple[str, int, str, str, str, str, str], list[StoredRun]] = {}
    for run in runs:
        spec = run.spec
        label = router_label(spec.router, spec.params, defaults_of(spec.router))
        cell = (spec.benchmark, spec.m, spec.router, label, spec.protocol, spec.encoder, spec.data_hash)
        cells.setdefault(cell, []).append(run)
    seen = list(dict.fromkeys(run.spec.benchmark for run in runs))
    groups = [_group(cell[:6], members) for cell, members in cells.items()]
    groups.sort(key=lambda g: (seen.index(g.benchmark), g.protocol, g.encoder, g.m, _place(g.router), g.label))
    return _mark_best(groups)


def _group(cell: tuple[str, int, str, str, str, str], runs: Sequence[StoredRun]) -> Group:
    benchmark, m, router, label, protocol, encoder = cell
    strategies = tuple(sorted({run.spec.scenario.split("/")[1] for run in runs}))
    errors = tuple(f"{run.spec.scenario}: {run.error}" for run in runs if run.error is not None)
    group = Group(benchmark, m, router, label, protocol, encoder, strategies, len(runs), errors)
    if errors:
        return group
    outcomes = [run.outcome for run in runs if run.outcome is not None]
    draws = [resampled_metrics(outcome, [METRICS[name] for name in SHOWN]) for outcome in outcomes]
    return Group(
        *(benchmark, m, router, label, protocol, encoder, strategies, len(runs), errors),
        values={name: float(np.mean([run.metrics.get(name, math.nan) for run in runs])) for name in SHOWN},
        # Resamples are the same for every run on as many prompts, so means over runs are paired by prompt.
        intervals={name: interval(np.mean([one[name] for one in draws], axis=0)) for name in SHOWN},
        published=_published(group),
    )


def _published(group: Group) -> PublishedRow | None:
    complete = {"all_strong", "all_weak", "strong_to_weak"} <= set(group.strategies)
    return published_results().get((group.benchmark, group.m, group.label)) if complete else None


def _mark_best(groups: list[Group]) -> list[Group]:
    top: dict[tuple[str, str, str, int], float] = {}
    for g in groups:
        if not g.is_reference and g.values:
            cell = (g.benchmark, g.protocol, g.encoder, g.m)
            top[cell] = max(top.get(cell, -math.inf), g.values["mu"])
    return [
        Group(**{**vars(g), "best": True})
        if not g.is_reference and g.values and g.values["mu"] == top[g.benchmark, g.protocol, g.encoder, g.m]
        else g
        for g in groups
    ]


def _place(router: str) -> int:
    return ORDER.index(router) if router in ORDER else len(ORDER)
