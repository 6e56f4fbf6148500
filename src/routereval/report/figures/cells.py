"""One router on one scenario, over its seeds, and what follows: means with intervals over strategies and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import Outcome
from routereval.report.provenance import version_of
from routereval.results import StoredRun
from routereval.stats import interval, resampled_means

COLUMNS = ("chosen", "baseline", "oracle", "entropy", "best_single_train", "best_single")


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; the bounds are nan where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Cell:
    """Runs of one router on one scenario that differ in the seed only.

    Parameters
    ----------
    outcome : per-prompt values, mean over the seeds: means of these are means over the seeds.
    seeds : which.
    version : of RouterEval, that ran them.
    """

    outcome: Outcome
    seeds: tuple[int, ...]
    version: str

    @property
    def prompts(self) -> int:
        """How many test prompts count."""
        return int(self.outcome.counted.sum())

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Mean of each of :data:`COLUMNS`, (k,); nan where there is none."""
        return np.array([self.outcome.mean(name) for name in COLUMNS])

    @cached_property
    def draws(self) -> NDArray[np.float64]:
        """The same in every resample of the prompts, (k, draws); resamples are the same for all, so paired."""
        resampled = resampled_means(self.outcome, COLUMNS)
        return np.stack([resampled[name] for name in COLUMNS])


def cell_of(runs: Sequence[StoredRun]) -> Cell:
    """The cell of these runs, all of which succeeded."""
    outcomes = [run.outcome for run in runs if run.outcome is not None]
    first = outcomes[0]
    columns = {
        name: np.mean([one.columns[name] for one in outcomes], axis=0)
        for name in first.columns
        if name != "predicted" and all(name in one.columns for one in outcomes)
    }
    outcome = Outcome(
        first.prompt_ids,
        first.model_ids,
        first.counted,
        columns,
        np.mean([one.share for one in outcomes], axis=0),
        first.choices if len(outcomes) == 1 else None,
    )
    newest = max(runs, key=lambda run: run.ended)
    seeds = tuple(sorted({run.spec.seed for run in runs}))
    return Cell(outcome, seeds, version_of(newest))


def mean_of(cells: Sequence[Cell]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over cells of the means and of the resampled means of :data:`COLUMNS`, (k,) and (k, draws)."""
    return np.mean([one.means for one in cells], axis=0), np.mean([one.draws for one in cells], axis=0)


def estimate(cells: Sequence[Cell], column: str = "chosen") -> Estimate:
    """Mean of a column over cells, with its interval."""
    at = COLUMNS.index(column)
    means, draws = mean_of(cells)
    return Estimate(float(means[at]), *interval(draws[at]))


def gap_closed(means: NDArray[np.float64], draws: NDArray[np.float64]) -> Estimate:
    """(mu - best single) / (oracle - best single) of the means; the best single model is the protocol's baseline.

    Resamples without a gap have no value; the interval is over the others, and there is none if they are few.
    """
    value, resampled = _gap(means), _gap(draws)
    some = resampled[~np.isnan(resampled)]
    bounds = interval(some) if 2 * len(some) > len(resampled) else (float("nan"), float("nan"))
    return Estimate(float(value), *bounds)


def _gap(means: NDArray[np.float64]) -> NDArray[np.float64]:
    chosen, base, oracle = (means[COLUMNS.index(name)] for name in ("chosen", "baseline", "oracle"))
    room = np.asarray(oracle - base, dtype=np.float64)
    gap: NDArray[np.float64] = np.divide(chosen - base, room, out=np.full(room.shape, np.nan), where=room > 0)
    return gap
