"""Pools that cover most prompts for the money: what a model costs, and the greedy weighted set cover."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.benchmark import BenchmarkData
from routereval.data.pools import chosen
from routereval.data.scenario import CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.errors import DataError

STRATEGY = "cheapest_covering"
COST = "cost_usd"
TOKENS = ("input_tokens", "output_tokens")


@dataclass(frozen=True)
class Costs:
    """What a prompt costs on average.

    Parameters
    ----------
    of_model : by model, those only of which it is known; US dollars, or tokens.
    notes : what the numbers are, and how many models have none, where that is not as one would expect.
    """

    of_model: Mapping[str, float]
    notes: tuple[str, ...]


def mean_costs(data: BenchmarkData, prompts: NDArray[np.intp] | None = None) -> Costs:
    """Each model's mean cost: of the plane ``cost_usd``, else input and output tokens added.

    Parameters
    ----------
    prompts : the positions that may be looked at; all where None.

    Raises
    ------
    DataError : nothing is known of any model's costs there; says which strategy needs them, and how to give them.
    """
    notes = []
    found = _means(data.planes[COST], prompts) if COST in data.planes else None
    if found is None or np.isnan(found).all():
        planes = [name for name in TOKENS if name in data.planes]
        found = _means(_sum(data, planes), prompts)
        # No answer takes no tokens: a sum of 0 is how some logs say that nobody counted.
        found[found == 0] = np.nan
        notes.append(f"{STRATEGY}: costs are {' + '.join(planes)}, because nothing is known in US dollars")
    known = ~np.isnan(found)
    if not known.any():
        raise DataError(
            f"no pool {STRATEGY}: this strategy, the only one that does, needs to know what models cost, and "
            f"{data.source} says nothing of it; give a table with a column cost (--map cost=COLUMN) or with columns "
            "input_tokens and output_tokens, or the raw answers (full_data), some of which have tokens"
        )
    if not known.all():
        notes.append(f"{STRATEGY}: {int((~known).sum())} of {len(known)} models have no cost and are left out")
    names = data.scores.model_ids
    return Costs({names[i]: float(found[i]) for i in np.flatnonzero(known)}, tuple(notes))


def cheapest_covering(scores: ScoreMatrix, costs: Costs, m: int) -> CandidatePool:
    """m models picked one by one, each the one that adds most oracle score per mean cost, in ascending mean score.

    Of models that add nothing any more the cheapest comes first. Cells that were not observed count as 0.

    Raises
    ------
    DataError : fewer than m models have a cost.

    Notes
    -----
    The greedy rule for weighted set cover (Chvatal 1979), stopped at m sets.
    """
    names = [name for name in scores.model_ids if name in costs.of_model]
    if len(names) < m:
        raise DataError(
            f"no pool {STRATEGY}/{m}: only {len(names)} of {scores.shape[1]} models have a cost; ask for fewer "
            "candidates"
        )
    picked = _greedy_cover(scores.models(names), [costs.of_model[name] for name in names], m)
    return replace(chosen(scores, [names[i] for i in picked]), strategy=STRATEGY)


def _greedy_cover(scores: ScoreMatrix, costs: Sequence[float], m: int) -> list[int]:
    """Positions of the models in the order of picking; of equals the one with the higher mean, then the later one."""
    cover = _Cover(scores)
    means = np.nan_to_num(scores.model_means)
    place = np.empty(len(costs), dtype=np.int64)
    place[np.argsort(means, kind="stable")] = np.arange(len(costs))

    def rank(model: int) -> tuple[float, float, float, int, int]:
        gain, cost = cover.gain(model), costs[model]
        per_cost = 0.0 if gain == 0 else gain / cost if cost > 0 else np.inf
        return (-per_cost, -gain, cost, -int(place[model]), model)

    # What a model adds never grows while others are taken, so what was computed before is at least as good as now.
    heap = [rank(model) for model in range(len(costs))]
    heapq.heapify(heap)
    picked: list[int] = []
    while len(picked) < m:
        now = rank(heapq.heappop(heap)[-1])
        if heap and heap[0] < now:
            heapq.heappush(heap, now)
            continue
        picked.append(now[-1])
        cover.take(now[-1])
    return picked


class _Cover:
    """The best score on each prompt of the models taken so far; binary scores as bits."""

    def __init__(self, scores: ScoreMatrix):
        bits = scores.bits
        self._models: NDArray[Any] = np.nan_to_num(np.ascontiguousarray(scores.dense().T)) if bits is None else bits
        self._best: NDArray[Any] = np.zeros_like(self._models[0])
        self._binary = bits is not None

    def gain(self, model: int) -> float:
        """By how much the sum over prompts would rise."""
        if self._binary:
            return float(np.bitwise_count(self._models[model] & ~self._best).sum())
        return float(np.maximum(self._models[model] - self._best, 0).sum(dtype=np.float64))

    def take(self, model: int) -> None:
        """Take a model."""
        join = np.bitwise_or if self._binary else np.maximum
        self._best = join(self._best, self._models[model])


def _sum(data: BenchmarkData, planes: Sequence[str]) -> NDArray[np.float32]:
    """The sum of some planes, nan where one of them is; all nan where there are none."""
    first = data.planes[planes[0]] if planes else np.full(data.scores.shape, np.nan, dtype=np.float32)
    return first + data.planes[planes[1]] if len(planes) > 1 else first


def _means(plane: NDArray[np.float32], prompts: NDArray[np.intp] | None) -> NDArray[np.float64]:
    """The mean of each model's known cells, (M,); nan where there is none."""
    cells = plane if prompts is None else plane[prompts]
    known = ~np.isnan(cells)
    counts = known.sum(axis=0)
    means = np.full(cells.shape[1], np.nan)
    np.divide(np.where(known, cells, 0).sum(axis=0, dtype=np.float64), counts, out=means, where=counts > 0)
    return means
