"""Routers beside controls: whether routing used the prompt at all, and how much of the gain the subset explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.metrics import METRICS
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.results import StoredRun
from routereval.results.run import router_label
from routereval.routers.catalogue import CONTROLS
from routereval.stats import interval, resampled_means, resampled_metrics

BLIND = ("shuffled_labels", "random_embeddings")
"""Controls that cannot know the prompt: who is better than both has used it."""

BASE = "best_single"
USED, NO_EVIDENCE = "used the prompt", "no evidence"


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % bootstrap interval, over the same resamples of prompts for everyone."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: NDArray[np.float64]) -> Estimate:
        """The value with the percentile interval of its resampled values."""
        return cls(value, *interval(draws))


@dataclass(frozen=True)
class Check:
    """One router, beside the controls of its benchmark and pool size.

    Parameters
    ----------
    label : name and parameters; ``is_control`` where it is a control itself.
    strategies : which it was run on; means are over these, over a strategy's seeds first.
    mu : its mean score.
    over : by how much it is better than ``best_single`` (chosen on train), ``shuffled_labels``, ``random_embeddings``;
        paired, over the strategies both were run on. Absent where the control was not run.
    controls : which run of a control it was compared with, by name.
    explained : share of its gain over ``best_single`` that ``subset_only`` has, between 0 and 1; None where that was
        not run, or where there is no gain.
    """

    benchmark: str
    m: int
    label: str
    protocol: str
    encoder: str
    data_hash: str
    strategies: tuple[str, ...]
    mu: Estimate
    is_control: bool = False
    over: Mapping[str, Estimate] = field(default_factory=dict)
    controls: Mapping[str, str] = field(default_factory=dict)
    explained: Estimate | None = None

    @property
    def table(self) -> tuple[str, str, str, str]:
        """Which table it stands in: benchmark, protocol, encoder, data."""
        return self.benchmark, self.protocol, self.encoder, self.data_hash

    @property
    def used_prompt(self) -> bool | None:
        """Whether it is better than both blind controls, intervals above 0; None where one of them was not run."""
        if self.is_control or any(name not in self.over for name in BLIND):
            return None
        return all(self.over[name].low > 0 for name in BLIND)

    @property
    def verdict(self) -> str:
        """The same in words."""
        if self.is_control:
            return "control"
        if self.used_prompt is None:
            return f"needs {' and '.join(name for name in BLIND if name not in self.over)}"
        return USED if self.used_prompt else NO_EVIDENCE


@dataclass(frozen=True)
class _Cell:
    """Runs of one router in one cell of the table: per strategy its mu and that of ``best_single``, with resamples."""

    router: str
    label: str
    params: Mapping[str, Any]
    mu: Mapping[str, tuple[float, NDArray[np.float64]]]
    base: Mapping[str, tuple[float, NDArray[np.float64]]]


def controls_were_run(runs: Sequence[StoredRun]) -> bool:
    """Whether there is anything to compare with."""
    return any(run.spec.router in CONTROLS and run.error is None for run in runs)


def checks_of(runs: Sequence[StoredRun]) -> list[Check]:
    """Every router and control that succeeded, where at least one control did, in the order they came."""
    tables: dict[tuple[Any, ...], dict[tuple[str, str], list[StoredRun]]] = {}
    for run in runs:
        spec = run.spec
        if spec.router in REFERENCES or spec.router == BASE:
            continue
        label = router_label(spec.router, spec.params, defaults_of(spec.router))
        table = (spec.benchmark, spec.protocol, spec.encoder, spec.data_hash, spec.m)
        tables.setdefault(table, {}).setdefault((label, spec.code), []).append(run)
    checks = []
    for table, members in tables.items():
        # A router that failed anywhere has no mean, as in the table of results.
        cells = [_cell(label, group) for (label, _), group in members.items() if all(r.error is None for r in group)]
        controls = [cell for cell in cells if cell.router in CONTROLS]
        if controls:
            routers = [cell for cell in cells if cell.router not in CONTROLS]
            checks += [_check(table, cell, controls) for cell in [*routers, *controls]]
    seen = list(dict.fromkeys(check.table for check in checks))
    return sorted(checks, key=lambda check: (seen.index(check.table), check.m))


def _cell(label: str, runs: Sequence[StoredRun]) -> _Cell:
    by_strategy: dict[str, list[StoredRun]] = {}
    for run in sorted(runs, key=lambda run: run.spec.scenario):
        by_strategy.setdefault(run.spec.scenario.split("/")[1], []).append(run)
    mu: dict[str, tuple[float, NDArray[np.float64]]] = {}
    base: dict[str, tuple[float, NDArray[np.float64]]] = {}
    for strategy, members in by_strategy.items():
        outcomes = [run.outcome for run in members if run.outcome is not None]
        values = [(one.mean("chosen"), one.mean("best_single_train")) for one in outcomes]
        draws = [resampled_metrics(one, [METRICS["mu"]])["mu"] for one in outcomes]
        singles = [resampled_means(one, ["best_single_train"])["best_single_train"] for one in outcomes]
        mean, single = np.mean(values, axis=0)
        mu[strategy] = float(mean), np.mean(draws, axis=0)
        base[strategy] = float(single), np.mean(singles, axis=0)
    spec = runs[0].spec
    return _Cell(spec.router, label, spec.params, mu, base)


def _check(table: tuple[Any, ...], cell: _Cell, controls: Sequence[_Cell]) -> Check:
    benchmark, protocol, encoder, data_hash, m = table
    over = {BASE: _difference(cell.mu, cell.base)}
    beside: dict[str, str] = {}
    is_control = cell.router in CONTROLS
    for name in () if is_control else BLIND:
        same = [one for one in controls if one.router == name and one.mu.keys() & cell.mu.keys()]
        if same:
            control = _nearest(cell, same)
            over[name], beside[name] = _difference(cell.mu, control.mu), control.label
    subset = [one for one in controls if one.router == "subset_only" and one.mu.keys() & cell.mu.keys()]
    return Check(
        benchmark=benchmark,
        m=m,
        label=cell.label,
        protocol=protocol,
        encoder=encoder,
        data_hash=data_hash,
        strategies=tuple(cell.mu),
        mu=Estimate.of(*_mean(cell.mu, list(cell.mu))),
        is_control=is_control,
        over=over,
        controls=beside,
        explained=_explained(cell, _best(subset)) if subset and not is_control else None,
    )


def _nearest(cell: _Cell, controls: Sequence[_Cell]) -> _Cell:
    """The control made of this very router, else of one of its name, else the best: the hardest to beat."""
    for wanted in (cell.label, cell.router):
        of_it = [one for one in controls if str(one.params.get("router")) == wanted]
        if of_it:
            return _best(of_it)
    of_its_name = [one for one in controls if str(one.params.get("router")).split(":")[0] == cell.router]
    return _best(of_its_name or controls)


def _best(cells: Sequence[_Cell]) -> _Cell:
    return max(cells, key=lambda one: _mean(one.mu, list(one.mu))[0])


def _mean(
    values: Mapping[str, tuple[float, NDArray[np.float64]]], strategies: Sequence[str]
) -> tuple[float, NDArray[np.float64]]:
    return (
        float(np.mean([values[strategy][0] for strategy in strategies])),
        np.mean([values[strategy][1] for strategy in strategies], axis=0),
    )


def _difference(
    one: Mapping[str, tuple[float, NDArray[np.float64]]], other: Mapping[str, tuple[float, NDArray[np.float64]]]
) -> Estimate:
    """Mean of one less that of the other over the strategies of both; the resamples are the same, so it is paired."""
    common = [strategy for strategy in one if strategy in other]
    (a, resampled_a), (b, resampled_b) = _mean(one, common), _mean(other, common)
    return Estimate.of(a - b, resampled_a - resampled_b)


def _explained(cell: _Cell, subset: _Cell) -> Estimate | None:
    """Share of the gain over ``best_single`` that knowing the subset alone gives; None where there is no gain."""
    common = [strategy for strategy in cell.mu if strategy in subset.mu]
    (mu, mu_draws), (single, single_draws) = _mean(cell.mu, common), _mean(cell.base, common)
    known, known_draws = _mean(subset.mu, common)
    if not mu > single:
        return None
    shares = _share(known_draws - single_draws, mu_draws - single_draws)
    (share,) = _share(np.array([known - single]), np.array([mu - single]))
    return Estimate.of(float(share), shares)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole between 0 and 1; where there is no whole, as where it is all but nothing: 1 if there is a part."""
    share = np.divide(part, whole, out=np.where(part > 0, 1.0, 0.0), where=whole > 0)
    return np.clip(share, 0.0, 1.0)
