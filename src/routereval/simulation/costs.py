"""What a run costs, learnt from measured ones: each router's seconds as a power of prompts and of models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.errors import ParameterError
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.results import StoredRun
from routereval.results.run import router_label
from routereval.routers.catalogue import routers

EXPECTED = (1.0, 0.5)
"""How seconds are taken to grow with prompts and with models where measurements say little of it."""

WEIGHT = 2.0
"""So many measurements that expectation counts for."""

HIGHEST = 3.0
"""No exponent is taken to be above this: two small measurements would promise centuries."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one router's run on a scenario: exp(level) * prompts^by_prompts * models^by_models.

    So within the sizes that were measured; beyond them the exponents are those of :data:`EXPECTED`: a fit from pools of
    3 to 10 models says nothing of a thousand.

    Parameters
    ----------
    router : its label.
    columnwise : whether the scenarios of a benchmark share one fit.
    spread : standard deviation of log seconds about the fit.
    runs : how many measured runs it rests on.
    prompts, models : the least and the most that was measured.
    """

    router: str
    columnwise: bool
    level: float
    by_prompts: float
    by_models: float
    spread: float
    runs: int
    prompts: tuple[float, float] = (1.0, math.inf)
    models: tuple[float, float] = (1.0, math.inf)

    def seconds(self, prompts: int, models: int) -> float:
        """Expected seconds for so many test prompts and candidates: the mean of the log-normal that was fitted."""
        log = self.level + self.spread**2 / 2
        for size, measured, fitted, expected in (
            (prompts, self.prompts, self.by_prompts, EXPECTED[0]),
            (models, self.models, self.by_models, EXPECTED[1]),
        ):
            inside = min(max(size, measured[0]), measured[1])
            log += fitted * math.log(inside) + expected * math.log(size / inside)
        return math.exp(log)


def costs_of(runs: Iterable[StoredRun]) -> dict[str, Cost]:
    """The cost of every router of these runs, by label; references and failed runs are left out.

    Least squares on logarithms, the exponents drawn towards :data:`EXPECTED`: a router that was measured on one size
    only still gets exponents.

    Parameters
    ----------
    runs : with their outcomes.

    Raises
    ------
    ParameterError : no run of a router succeeded, so there is nothing to learn from.
    """
    measured: dict[str, list[tuple[float, float, float]]] = {}
    columnwise: dict[str, bool] = {}
    for run in runs:
        spec = run.spec
        if spec.router in REFERENCES or run.outcome is None or spec.train_size is not None or run.seconds <= 0:
            continue
        label = router_label(spec.router, spec.params, defaults_of(spec.router))
        size = math.log(len(run.outcome.prompt_ids)), math.log(spec.m)
        measured.setdefault(label, []).append((*size, math.log(run.seconds)))
        columnwise.setdefault(label, _columnwise(spec.router))
    if not measured:
        raise ParameterError("no run of a router is stored that succeeded, so nothing is known of what one costs")
    return {label: _fitted(label, rows, columnwise[label]) for label, rows in measured.items()}


def _fitted(label: str, rows: Sequence[tuple[float, float, float]], columnwise: bool) -> Cost:
    values = np.array(rows)
    sizes, seconds = values[:, :2], values[:, 2]
    middle, level = sizes.mean(axis=0), seconds.mean()
    centred = sizes - middle
    # Ridge towards what is expected; the weight is in measurements a factor of e apart.
    gram = centred.T @ centred + WEIGHT * np.eye(2)
    exponents = np.linalg.solve(gram, centred.T @ (seconds - level) + WEIGHT * np.array(EXPECTED))
    exponents = np.clip(exponents, 0.0, HIGHEST)
    left = seconds - level - centred @ exponents
    spread = float(left.std()) if len(rows) > 1 else 0.0
    return Cost(
        *(label, columnwise, float(level - middle @ exponents), float(exponents[0]), float(exponents[1])),
        spread,
        len(rows),
        prompts=_range(sizes[:, 0]),
        models=_range(sizes[:, 1]),
    )


def _range(logs: NDArray[np.float64]) -> tuple[float, float]:
    return float(np.exp(logs.min())), float(np.exp(logs.max()))


def _columnwise(router: str) -> bool:
    return bool(getattr(routers().get(router), "columnwise", False))


def chosen(costs: Mapping[str, Cost], wanted: Sequence[str]) -> dict[str, Cost]:
    """Those that are wanted, all where none is named.

    Raises
    ------
    ParameterError : one that was not measured.
    """
    missing = [name for name in wanted if name not in costs]
    if missing:
        have = ", ".join(sorted(costs))
        raise ParameterError(f"{', '.join(missing)}: no measured run; the results file has {have}")
    return {name: costs[name] for name in wanted} if wanted else dict(costs)
