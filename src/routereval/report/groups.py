"""Averages over strategies and seeds, as the paper's table has them, with intervals; never over less than asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from routereval.facts import PublishedRow, published_results
from routereval.metrics import METRICS, Metric
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.results import StoredRun
from routereval.results.run import router_label
from routereval.routers.catalogue import CONTROLS
from routereval.stats import Interval, interval, resampled_metrics

SHOWN = ("mu", "V_R", "V_B", "E_p")
ORDER = (
    *("oracle", "r_o", "random", "best_single_hindsight", "best_single", "knn", "kmeans", "linear", "mlp"),
    *("ridge", "logistic", "svm"),
    *("gmm", "avengers", "uniroute", "uniroute_learned"),
    *("mf", "mirt", "ranking"),
    *("boosting", "forest", "rorf", "satzilla", "bradley_terry", "similarity_bt", "elo", "eagle"),
    *("mlc", "routerdc", "graph", "probe", "routellm_mf", "attention"),
    *("stack", "auto", "majority", "subset_only", "prompt_length", "random_embeddings", "shuffled_labels"),
)
"""References first, then routers from simple to not; others follow in alphabetical order."""


@dataclass(frozen=True)
class Group:
    """All runs of one cell of the table: a benchmark, a pool size and a router; over strategies and seeds.

    Parameters
    ----------
    code : of a router that is not ours, which version of its source.
    train_size : how many training prompts its runs learnt from, which the label says too; None: all.
    strategies, seeds : which are in it.
    runs : how many; prompts : how many test prompts each has.
    values, intervals : mean over the strategies (over a strategy's seeds first) and its 95 % bootstrap interval, by
        metric; empty where any run failed.
    ended : when the last of its runs was stored.
    published : the published row of this cell, where all of it was run.
    superseded : whether runs of a newer version of the router's source stand in the same table.
    whole : whether it has every strategy that any router has on this benchmark and pool size.
    best : whether no other whole router of this benchmark and pool size has a higher mu.
    versions : of which packages its runs were computed with, (package, version) each.
    """

    benchmark: str
    m: int
    router: str
    label: str
    protocol: str
    encoder: str
    data_hash: str
    code: str
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: int
    prompts: int
    errors: tuple[str, ...]
    ended: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    published: PublishedRow | None = None
    whole: bool = True
    superseded: bool = False
    best: bool = False
    train_size: int | None = None
    versions: frozenset[tuple[str, str]] = frozenset()

    @property
    def competes(self) -> bool:
        """Whether it can be the best of its benchmark and pool size."""
        return (
            self.train_size is None
            and self.whole
            and not self.superseded
            and not self.is_reference
            and self.router not in CONTROLS
            and bool(self.values)
        )

    @property
    def is_reference(self) -> bool:
        """Whether the policy reads the answers."""
        return self.router in REFERENCES

    @property
    def table(self) -> tuple[str, str, str, str]:
        """Which table it stands in: benchmark, protocol, encoder, data."""
        return self.benchmark, self.protocol, self.encoder, self.data_hash


def groups_of(runs: Sequence[StoredRun], metrics: Sequence[str] = SHOWN) -> list[Group]:
    """The cells of the tables: by benchmark (the newest data first), pool size and router.

    Parameters
    ----------
    metrics : which are averaged; mu, which says who is best, always is.
    """
    cells: dict[tuple[Any, ...], list[StoredRun]] = {}
    for run in runs:
        spec = run.spec
        label = router_label(spec.router, spec.params, defaults_of(spec.router))
        if spec.train_size is not None:
            label += f" ({spec.train_size} training prompts)"
        cell = (spec.benchmark, spec.m, spec.router, label, spec.protocol, spec.encoder, spec.data_hash, spec.code)
        cells.setdefault(cell, []).append(run)
    wanted = [METRICS[name] for name in dict.fromkeys(("mu", *metrics))]
    groups = [_group(cell[3], members, wanted) for cell, members in cells.items()]
    seen = list(dict.fromkeys(run.spec.benchmark for run in runs))
    newest: dict[tuple[str, str, str, str], str] = {}
    for g in groups:
        newest[g.table] = max(newest.get(g.table, ""), g.ended)
    age = {table: i for i, table in enumerate(sorted(newest, key=lambda table: newest[table], reverse=True))}
    groups.sort(
        key=lambda g: (
            *(
                seen.index(g.benchmark),
                g.protocol,
                g.encoder,
                age[g.table],
                g.m,
                _place(g.router),
                _bare(g),
                g.train_size or math.inf,
                g.ended,
            ),
        )
    )
    return _compared(groups)


def _group(label: str, runs: Sequence[StoredRun], shown: Sequence[Metric]) -> Group:
    spec = runs[0].spec
    by_strategy: dict[str, list[StoredRun]] = {}
    for run in sorted(runs, key=lambda run: run.spec.scenario):
        by_strategy.setdefault(run.spec.scenario.split("/")[1], []).append(run)
    group = Group(
        benchmark=spec.benchmark,
        m=spec.m,
        router=spec.router,
        label=label,
        protocol=spec.protocol,
        encoder=spec.encoder,
        data_hash=spec.data_hash,
        code=spec.code,
        strategies=tuple(by_strategy),
        seeds=tuple(sorted({run.spec.seed for run in runs})),
        runs=len(runs),
        prompts=max((int(run.outcome.counted.sum()) for run in runs if run.outcome is not None), default=0),
        errors=tuple(f"{run.spec.scenario}: {run.error}" for run in runs if run.error is not None),
        ended=max(run.ended for run in runs),
        train_size=spec.train_size,
        versions=frozenset(pair for run in runs for pair in run.versions.items()),
    )
    if group.errors:
        return group

    def mean_over_seeds(members: Sequence[StoredRun], name: str) -> float:
        return float(np.mean([run.metrics.get(name, math.nan) for run in members]))

    draws = [
        [resampled_metrics(run.outcome, shown) for run in members if run.outcome is not None]
        for members in by_strategy.values()
    ]
    return replace(
        group,
        values={
            one.name: _mean([mean_over_seeds(members, one.name) for members in by_strategy.values()]) for one in shown
        },
        # Resamples are the same for every run on as many prompts, so means over runs are paired by prompt.
        intervals={
            name: interval(np.mean([np.mean([one[name] for one in members], axis=0) for members in draws], axis=0))
            for name in (one.name for one in shown if one.resampled)
        },
        published=_published(group),
    )


def _mean(values: Sequence[float]) -> float:
    """Rounded, so that what differs by the order of a sum is the best together."""
    return round(float(np.mean(values)), 12)


def _published(group: Group) -> PublishedRow | None:
    complete = {"all_strong", "all_weak", "strong_to_weak"} <= set(group.strategies)
    return published_results().get((group.benchmark, group.m, group.label)) if complete else None


def _compared(groups: list[Group]) -> list[Group]:
    """The groups with those marked that lack a strategy others have, and the best of those that lack none."""
    strategies: dict[tuple[Any, ...], set[str]] = {}
    for g in groups:
        strategies.setdefault((g.table, g.m), set()).update(g.strategies)
    newest: dict[tuple[Any, ...], str] = {}
    for g in groups:
        # By router and label: a predictions file may be called as a router is, and is no version of it.
        versions = (g.table, g.m, g.router, g.label)
        newest[versions] = max(newest.get(versions, ""), g.ended)
    marked = [
        replace(
            g,
            whole=set(g.strategies) == strategies[g.table, g.m],
            superseded=g.ended < newest[g.table, g.m, g.router, g.label],
        )
        for g in groups
    ]
    top: dict[tuple[Any, ...], float] = {}
    for g in marked:
        if g.competes:
            top[g.table, g.m] = max(top.get((g.table, g.m), -math.inf), g.values["mu"])
    return [replace(g, best=True) if g.competes and g.values["mu"] == top[g.table, g.m] else g for g in marked]


def _bare(g: Group) -> str:
    return g.label if g.train_size is None else g.label.rpartition(" (")[0]


def _place(router: str) -> int:
    return ORDER.index(router) if router in ORDER else len(ORDER)
