"""What the best choice in hindsight scores, and what is left of it once it is scored on prompts it did not see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.report.compared_cells import ComparedCell
from routereval.report.prompt_sets import record_for
from routereval.results import RunSpec
from routereval.results.records import ScenarioRecord
from routereval.seeding import generator
from routereval.stats.bootstrap import interval
from routereval.stats.clustered import Clusters, resampled_ratios
from routereval.stats.noisy_oracle import hindsight, split_half

Floats = NDArray[np.float64]
Index = NDArray[np.intp]
Interval = tuple[float, float]

ROUTER, SINGLE, SUBSET, DUPLICATES, ORACLE = "best router", "best model", "best per subset", "best per group", "oracle"
KINDS = (ROUTER, SINGLE, SUBSET, DUPLICATES, ORACLE)


@dataclass(frozen=True)
class OracleEstimate:
    """One way of choosing in hindsight, in one scenario.

    Parameters
    ----------
    kind : ``best router`` of those compared, ``best model`` of the pool, ``best per subset`` (a model for each subset),
        ``best per group`` (a model for each group of near-duplicate prompts, singles left out), ``oracle`` (a model for
        each prompt).
    choices : among how many; groups : how many choices are made.
    prompts : how many it is scored on.
    observed, observed_interval : chosen and scored on the same prompts: biased upward.
    corrected, corrected_interval : chosen on one half, scored on the other; nan where prompts have no other half.
    """

    scenario: str
    protocol: str
    encoder: str
    kind: str
    choices: int
    groups: int
    prompts: int
    observed: float
    observed_interval: Interval
    corrected: float
    corrected_interval: Interval


def oracle_estimates(
    cell: ComparedCell, record: Callable[[RunSpec], ScenarioRecord | None], draws: int, seed: int
) -> list[OracleEstimate]:
    """Every kind that the cell's data allow; without a record only the best router."""
    kept = record_for(cell, record)
    rows = np.flatnonzero(cell.counted)
    labels = sorted(cell.scores)
    routers = np.stack([cell.scores[label] for label in labels], axis=1)[rows]
    units = np.arange(len(rows)) if kept is None else Clusters.of(kept.clusters[rows]).labels
    estimating = _Estimating(cell, units, draws, seed)
    one = np.zeros(len(rows), dtype=np.intp)
    found = [estimating.of(ROUTER, routers, one, units)]
    if kept is None:
        return found
    scores = kept.scores.rows(rows).dense().astype(np.float64)
    ties = np.nan_to_num(kept.train_means, nan=-1.0)
    found.append(estimating.of(SINGLE, scores, one, units, ties))
    if kept.subsets is not None and len(set(kept.subsets)) > 1:
        subsets = Clusters.of(np.asarray(kept.subsets)[rows]).labels
        found.append(estimating.of(SUBSET, scores, subsets, units, ties))
    repeated = np.bincount(units)[units] > 1
    if repeated.any():
        groups = Clusters.of(units[repeated]).labels
        part = _Estimating(cell, groups, draws, seed)
        found.append(part.of(DUPLICATES, scores[repeated], groups, np.arange(len(groups)), ties))
    found.append(estimating.of(ORACLE, scores, np.arange(len(rows)), np.arange(len(rows)), ties))
    return found


@dataclass(frozen=True, eq=False)
class _Estimating:
    """What the kinds of one cell share; ``clusters`` are what intervals resample."""

    cell: ComparedCell
    clusters: Index
    draws: int
    seed: int

    def of(self, kind: str, scores: Floats, groups: Index, units: Index, ties: Floats | None = None) -> OracleEstimate:
        """The estimate of one kind from scores (n, models), each prompt's group (n,) and unit (n,) to be split."""
        spec = self.cell.spec
        rng = generator("oracle", spec.scenario, spec.data_hash, kind, self.seed)
        if kind == ORACLE:
            observed, corrected = np.fmax.reduce(scores, axis=1), np.full((len(scores), 1), np.nan)
        else:
            observed, corrected = hindsight(scores, groups), split_half(scores, groups, units, rng, ties=ties)
        (value, its), (mean, own) = self._mean(observed[:, None]), self._mean(corrected)
        return OracleEstimate(
            *(spec.scenario, spec.protocol, spec.encoder, kind, scores.shape[1], int(groups.max(initial=-1)) + 1),
            *(len(scores), value, its, mean, own),
        )

    def _mean(self, columns: Floats) -> tuple[float, Interval]:
        """Mean over the prompts that have a value, then over repeats (n, repeats), and its interval.

        Every resample of the clusters takes another repeat: the interval has the spread of one split in halves and of
        one resample, so for the mean over many splits it is rather too wide.
        """
        seen = ~np.isnan(columns)
        kept = seen.any(axis=1)
        if not kept.any():
            return math.nan, (math.nan, math.nan)
        clusters = Clusters.of(self.clusters[kept])
        sums, sizes = clusters.sums(np.nan_to_num(columns[kept])), clusters.sums(seen[kept].astype(np.float64))
        mean = float(np.mean(sums.sum(axis=0) / np.maximum(sizes.sum(axis=0), 1)))
        if len(clusters) < 2:
            return mean, (math.nan, math.nan)
        spec, repeats = self.cell.spec, columns.shape[1]
        rng = generator("oracle", "bootstrap", spec.benchmark, spec.data_hash, len(clusters), self.seed)
        drawn = resampled_ratios(sums, sizes, rng, self.draws, np.arange(repeats))
        return mean, interval(drawn[np.arange(self.draws), np.arange(self.draws) % repeats])
