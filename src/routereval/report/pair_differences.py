"""Every two routers against each other: the difference, its interval and its p-value, in a scenario and over all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from routereval.report.compared_cells import ComparedCell
from routereval.report.prompt_sets import PromptSet
from routereval.seeding import generator
from routereval.stats.bootstrap import LEVEL
from routereval.stats.clustered import resampled_ratios
from routereval.stats.corrections import Correction, adjusted
from routereval.stats.paired import sign_flip, sign_flip_exactly

Floats = NDArray[np.float64]
Pair = tuple[str, str]

ALPHA = 0.05
ALL = "all"
"""Stands for the scenario of a row that is over all scenarios."""
MOST_PARTS = 60
"""Means over so many seeds are still counted exactly."""
MCNEMAR, FLIPS, EXACT_FLIPS = "McNemar, exact", "sign flips", "sign flips, exact"


@dataclass(frozen=True)
class PairRow:
    """Two routers on the prompts that both were tested on.

    Parameters
    ----------
    scenario : its id, or ``all``.
    first, second : labels; a difference is the first's mean score minus the second's.
    first_mean, second_mean, difference, low, high : mean scores, over all: strategies first, then pool sizes, then
        benchmarks; the difference's 95 % interval, nan where there is one cluster only.
    p, p_adjusted : of no difference; over all pairs of this scenario.
    test : which; draws : how many random sign flips, 0 where the test is exact.
    scenarios : how many both have; wins, ties, losses : in how many the first is above, at, below the second.
    better, worse : in how many of these the adjusted p is below 5 %.
    prompts, clusters : how many are compared; differ : in how many clusters the two differ.
    seeds, data_hash, version : of the runs of both; where there are several, one after the other.
    """

    scenario: str
    protocol: str
    encoder: str
    first: str
    second: str
    first_mean: float
    second_mean: float
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    test: str
    draws: int
    scenarios: int
    wins: int
    ties: int
    losses: int
    better: int
    worse: int
    prompts: int
    clusters: int
    differ: int
    seeds: str = ""
    data_hash: str = ""
    version: str = ""

    @property
    def significant(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return self.p_adjusted < ALPHA


@dataclass(frozen=True)
class Asked:
    """How pairs are compared.

    Parameters
    ----------
    order : labels, best first; the better router of a pair is its first.
    baseline : the second of every pair; None: all pairs.
    draws, flips : resamples of the bootstrap, random sign flips.
    seed : of both.
    """

    order: tuple[str, ...]
    baseline: str | None
    correction: Correction
    draws: int
    flips: int
    seed: int

    def pairs(self, labels: Sequence[str]) -> list[Pair]:
        """The pairs of these routers."""
        have = [label for label in self.order if label in set(labels)]
        if self.baseline is None:
            return list(combinations(have, 2))
        return [(label, self.baseline) for label in have if label != self.baseline] if self.baseline in have else []


@dataclass(frozen=True, eq=False)
class CellDraws:
    """One cell's routers: mean scores (k,), the same in every resample (draws, k), and summed scores by cluster."""

    cell: ComparedCell
    labels: tuple[str, ...]
    means: Floats
    draws: Floats
    sums: Floats
    sizes: Floats

    def columns(self, pairs: Sequence[Pair]) -> NDArray[np.intp]:
        """Where the routers of each pair stand, (P, 2)."""
        place = {label: i for i, label in enumerate(self.labels)}
        return np.array([[place[a], place[b]] for a, b in pairs], dtype=np.intp).reshape(-1, 2)


def resample(prompts: PromptSet, asked: Asked) -> list[CellDraws]:
    """Resample the prompts of a set: once for all of its cells and routers, so that everything is paired."""
    labels = [tuple(label for label in asked.order if label in cell.scores) for cell in prompts.cells]
    sums = [
        prompts.clusters.sums(np.stack([cell.scores[label] for label in have], axis=1))
        for cell, have in zip(prompts.cells, labels, strict=True)
    ]
    sizes = prompts.clusters.sums(np.stack([cell.counted.astype(np.float64) for cell in prompts.cells], axis=1))
    of = np.repeat(np.arange(len(sums)), [part.shape[1] for part in sums])
    rng = generator("compare", "bootstrap", *prompts.names, prompts.by, asked.seed)
    drawn = resampled_ratios(np.concatenate(sums, axis=1), sizes, rng, asked.draws, of)
    if prompts.drawn < 2:
        # One cluster is drawn again and again: that is no interval.
        drawn[:] = np.nan
    parts = np.split(drawn, np.cumsum([part.shape[1] for part in sums])[:-1], axis=1)
    return [
        CellDraws(cell, have, _ratio(part.sum(axis=0), float(size.sum())), draws, part, size)
        for cell, have, part, draws, size in zip(prompts.cells, labels, sums, parts, sizes.T, strict=True)
    ]


def scenario_rows(prompts: PromptSet, one: CellDraws, asked: Asked) -> list[PairRow]:
    """A row for each pair in one cell, adjusted over these pairs."""
    pairs = asked.pairs(one.labels)
    if not pairs:
        return []
    at = one.columns(pairs)
    p, test, draws, differ = _tested(prompts, one, at, asked)
    low, high = _interval(one.draws[:, at[:, 0]] - one.draws[:, at[:, 1]])
    spec = one.cell.spec
    rows = []
    for i, (pair, p_adjusted) in enumerate(zip(pairs, adjusted(p, asked.correction).tolist(), strict=True)):
        first, second = one.means[at[i]].tolist()
        difference = _clean(first - second)
        small = p_adjusted < ALPHA
        rows.append(
            PairRow(
                scenario=spec.scenario,
                protocol=spec.protocol,
                encoder=spec.encoder,
                first=pair[0],
                second=pair[1],
                first_mean=first,
                second_mean=second,
                difference=difference,
                low=float(low[i]),
                high=float(high[i]),
                p=float(p[i]),
                p_adjusted=p_adjusted,
                test=test[i],
                draws=draws[i],
                scenarios=1,
                wins=int(difference > 0),
                ties=int(difference == 0),
                losses=int(difference < 0),
                better=int(difference > 0 and small),
                worse=int(difference < 0 and small),
                prompts=int(one.cell.counted.sum()),
                clusters=prompts.drawn,
                differ=int(differ[i]),
                **_origins([one.cell], pair),
            )
        )
    return rows


def overall_rows(
    sets: Sequence[tuple[PromptSet, Sequence[CellDraws]]], by_scenario: Sequence[PairRow], asked: Asked
) -> list[PairRow]:
    """A row for each pair over all cells that both have, adjusted over all pairs."""
    cells = [(prompts, one) for prompts, parts in sets for one in parts]
    having: dict[str, frozenset[int]] = {
        label: frozenset(i for i, (_, one) in enumerate(cells) if label in one.labels) for label in asked.order
    }
    of_pair: dict[Pair, list[PairRow]] = {}
    for row in by_scenario:
        of_pair.setdefault((row.first, row.second), []).append(row)
    alike: dict[frozenset[int], list[Pair]] = {}
    for pair in asked.pairs(asked.order):
        if shared := having[pair[0]] & having[pair[1]]:
            alike.setdefault(shared, []).append(pair)
    found: dict[Pair, PairRow] = {}
    for shared, pairs in alike.items():
        chosen = [cells[i] for i in sorted(shared)]
        if len(chosen) == 1:
            found |= {pair: replace(of_pair[pair][0], scenario=ALL) for pair in pairs}
        else:
            found |= dict(zip(pairs, _over(chosen, pairs, of_pair, asked), strict=True))
    rows = [found[pair] for pair in asked.pairs(asked.order) if pair in found]
    p = adjusted(np.array([row.p for row in rows]), asked.correction)
    return [replace(row, p_adjusted=float(one)) for row, one in zip(rows, p, strict=True)]


def weights_of(cells: Sequence[ComparedCell]) -> Floats:
    """What each cell counts in a mean over all: strategies first, then pool sizes, then benchmarks; sums to one."""
    strategies = Counter(cell.pool_size_cell for cell in cells)
    sizes = Counter(key[0] for key in strategies)
    return np.array([1 / (len(sizes) * sizes[cell.spec.benchmark] * strategies[cell.pool_size_cell]) for cell in cells])


def _over(
    cells: Sequence[tuple[PromptSet, CellDraws]],
    pairs: Sequence[Pair],
    of_pair: Mapping[Pair, Sequence[PairRow]],
    asked: Asked,
) -> list[PairRow]:
    """Rows of pairs that have exactly these cells in common."""
    names = sorted({label for pair in pairs for label in pair})
    place = {label: i for i, label in enumerate(names)}
    at = np.array([[place[a], place[b]] for a, b in pairs], dtype=np.intp)
    means, draws = np.zeros(len(names)), np.zeros((asked.draws, len(names)))
    summed: dict[int, Floats] = {}
    sets = {id(prompts): prompts for prompts, _ in cells}
    for weight, (prompts, one) in zip(weights_of([one.cell for _, one in cells]), cells, strict=True):
        columns = [one.labels.index(name) for name in names]
        means += weight * one.means[columns]
        draws += weight * one.draws[:, columns]
        # Flipping the sign of a cluster flips it in all scenarios that are tested on it.
        part = weight / max(1.0, float(one.sizes.sum())) * one.sums[:, columns]
        summed[id(prompts)] = summed.get(id(prompts), 0.0) + part
    rng = generator("compare", "flips", ALL, *(name for one in sets.values() for name in one.names), asked.seed)
    flips = sign_flip(np.concatenate(list(summed.values())), at, rng, asked.flips)
    low, high = _interval(draws[:, at[:, 0]] - draws[:, at[:, 1]])
    specs = [one.cell.spec for _, one in cells]
    rows = []
    for i, (first, second) in enumerate(pairs):
        own = of_pair[first, second]
        exact = bool(flips.exact[i])
        rows.append(
            PairRow(
                scenario=ALL,
                protocol=", ".join(sorted({spec.protocol for spec in specs})),
                encoder=", ".join(sorted({spec.encoder for spec in specs})),
                first=first,
                second=second,
                first_mean=float(means[at[i, 0]]),
                second_mean=float(means[at[i, 1]]),
                difference=_clean(float(means[at[i, 0]] - means[at[i, 1]])),
                low=float(low[i]),
                high=float(high[i]),
                p=float(flips.p[i]),
                p_adjusted=math.nan,
                test=EXACT_FLIPS if exact else FLIPS,
                draws=0 if exact else flips.draws,
                scenarios=len(cells),
                wins=sum(row.wins for row in own),
                ties=sum(row.ties for row in own),
                losses=sum(row.losses for row in own),
                better=sum(row.better for row in own),
                worse=sum(row.worse for row in own),
                prompts=sum(one.prompts for one in sets.values()),
                clusters=sum(one.drawn for one in sets.values()),
                differ=int(flips.differ[i]),
                **_origins([one.cell for _, one in cells], (first, second)),
            )
        )
    return rows


def _origins(cells: Sequence[ComparedCell], pair: Pair) -> dict[str, str]:
    """The columns that say where the runs of a pair come from."""
    runs = [run for cell in cells for label in pair for run in cell.origins.get(label, ())]
    return {
        "seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
        "data_hash": ", ".join(dict.fromkeys(run.data_hash for run in runs)),
        "version": ", ".join(sorted({run.version for run in runs})),
    }


def _tested(
    prompts: PromptSet, one: CellDraws, at: NDArray[np.intp], asked: Asked
) -> tuple[Floats, list[str], list[int], NDArray[np.intp]]:
    """p of each pair in one cell, by which test, of how many draws, and in how many clusters it differs."""
    # Means of binary scores over three seeds are whole thirds.
    parts = math.lcm(*one.cell.seeds.values())
    whole = one.sums * parts
    binary = parts <= MOST_PARTS and bool((np.abs(whole - whole.round()) < 1e-6).all())
    if binary:
        flips = sign_flip_exactly(whole, at)
    else:
        rng = generator("compare", "flips", *prompts.names, one.cell.name, one.cell.spec.encoder, asked.seed)
        flips = sign_flip(one.sums, at, rng, asked.flips)
    tests = [
        MCNEMAR if simple and parts == 1 else EXACT_FLIPS if exact else FLIPS
        for exact, simple in zip(flips.exact, flips.mcnemar, strict=True)
    ]
    return flips.p, tests, [0 if exact else flips.draws for exact in flips.exact], flips.differ


def _interval(draws: Floats) -> tuple[Floats, Floats]:
    """Percentile intervals of columns; nan where a resample has no value."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low.round(12) + 0.0, high.round(12) + 0.0


def _clean(difference: float) -> float:
    """Without what the order of a sum leaves; and no -0."""
    return round(difference, 12) + 0.0


def _ratio(sums: Floats, size: float) -> Floats:
    return sums / size if size > 0 else np.full(sums.shape, np.nan)
