"""Routers against each other over many scenarios: mean ranks, scores, what was gained over the best single model.

Runs are averaged within cells first (a benchmark's data and a pool size; over strategies and seeds), then over the
cells of a benchmark, then over benchmarks, so that no benchmark counts more for having more pools. Only cells that
every router has are compared; a router that lacks some is listed with what it has and takes no part. Runs by several
protocols, or with several encoders on the same data, are never averaged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import Outcome
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.report.provenance import Provenance, origin_of, provenance_of
from routereval.report.unmixed import notes_on_data, of_choice, refuse_mixed, with_one_encoder
from routereval.results import StoredRun
from routereval.results.run import router_label
from routereval.stats import Interval, interval, resampled_means
from routereval.stats.ranks import friedman, mean_ranks, nemenyi

BASELINE = "best_single"
Cell = tuple[str, str, str, str, int]
"""Benchmark, protocol, encoder, data, pool size."""
_COLUMNS = ("chosen", "best_single_train", "oracle")


@dataclass(frozen=True)
class Score:
    """A mean with its 95 % bootstrap interval over test prompts."""

    value: float
    interval: Interval

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.interval[0] > 0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.interval[1] < 0


@dataclass(frozen=True)
class Standing:
    """One router over all cells that are compared.

    Parameters
    ----------
    label : the router with its parameters.
    rank : mean over the cells of its rank by mu, 1 is best; equal ones share.
    mu, V_B_train, gap_closed : macro means; the gap closed is (mu - b) / (oracle - b) of the macro means, b the model
        best on train.
    gain : by benchmark mu minus that of the model best on train.
    fit_seconds, predict_seconds : mean over runs.
    cells : how many of all cells it has; failed : how many of its runs failed.
    resampled_gain : mean gain in every resample, (draws,); resamples are the same for all routers.
    """

    label: str
    rank: float
    mu: Score
    V_B_train: Score
    gap_closed: Score
    mean_gain: Score
    gain: Mapping[str, Score]
    fit_seconds: float
    predict_seconds: float
    cells: int
    failed: int
    resampled_gain: NDArray[np.float64] = field(repr=False, compare=False)

    def lead(self, other: Standing) -> Score:
        """Mean gain less that of another router on the same cells, with the interval of the difference."""
        difference = self.resampled_gain - other.resampled_gain
        return Score(self.mean_gain.value - other.mean_gain.value, interval(difference))


@dataclass(frozen=True)
class Standings:
    """All routers, best mean rank first.

    Parameters
    ----------
    complete : those that have every cell.
    partial : the others, which take no part in ranks.
    cells : how many cells are compared; benchmarks : of which.
    friedman_p : of the hypothesis that all routers rank alike; nan where there are fewer than three routers or cells.
    critical_difference : mean ranks further apart than this differ (Nemenyi, 5 %).
    provenance : of the runs in it; notes : what else a reader should know.
    """

    complete: tuple[Standing, ...]
    partial: tuple[Standing, ...]
    cells: int
    benchmarks: tuple[str, ...]
    friedman_p: float
    critical_difference: float
    errors: tuple[str, ...] = field(default=())
    provenance: tuple[Provenance, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


def standings_of(runs: Iterable[StoredRun], *, protocol: str | None = None, encoder: str | None = None) -> Standings:
    """Every router (references left out) on the cells that all of them have.

    Runs that learnt from a part of the training prompts only are left out too: they are points of learning curves.

    Parameters
    ----------
    protocol, encoder : only runs by these rules, with these embeddings; None: all, where they are of one kind.

    Raises
    ------
    UnknownNameError : there is no such protocol, or no run with that encoder.
    ParameterError : nothing is left, or runs by several protocols, or with several encoders on the same data.

    Notes
    -----
    Friedman's test and Nemenyi's critical difference q(0.05, k) sqrt(k (k + 1) / (6 N)) for k routers and N cells
    (Demsar 2006). Cells of one benchmark share their test prompts, so they are not independent and both are too sure
    of themselves; intervals of the means resample prompts and do not have that fault.
    """
    taken = [run for run in runs if run.spec.router not in REFERENCES and run.spec.train_size is None]
    taken = of_choice(taken, protocol, encoder)
    refuse_mixed([run.spec for run in taken])
    taken = with_one_encoder(taken)
    by_router: dict[str, dict[Cell, list[StoredRun]]] = {}
    for run in taken:
        spec = run.spec
        label = router_label(spec.router, spec.params, defaults_of(spec.router))
        cell = (spec.benchmark, spec.protocol, spec.encoder, spec.data_hash, spec.m)
        by_router.setdefault(label, {}).setdefault(cell, []).append(run)
    whole = {label: {c: r for c, r in cells.items() if not _failed(r)} for label, cells in by_router.items()}
    # The cells that half of the routers have; one that lacks any is set apart, rather than all others cut down.
    counted = Counter(cell for cells in whole.values() for cell in cells)
    most = max(counted.values(), default=0)
    wanted = sorted(cell for cell, n in counted.items() if 2 * n >= most)
    complete = [label for label, cells in whole.items() if all(cell in cells for cell in wanted)]
    matrix = _matrix({label: whole[label] for label in complete}, wanted)
    ranks = dict(zip(complete, mean_ranks(matrix).tolist(), strict=True)) if wanted else {}
    found = {
        label: _standing(label, by_router[label], whole[label], wanted, ranks.get(label, math.nan))
        for label in by_router
        if any(cell in whole[label] for cell in wanted)
    }
    return Standings(
        complete=tuple(sorted((found[label] for label in complete), key=lambda one: (one.rank, -one.mu.value))),
        partial=tuple(one for label, one in found.items() if label not in complete),
        cells=len(wanted),
        benchmarks=tuple(dict.fromkeys(cell[0] for cell in wanted)),
        friedman_p=friedman(matrix),
        critical_difference=nemenyi(len(complete), len(wanted)),
        errors=tuple(
            dict.fromkeys(
                f"{label} on {run.spec.scenario}: {run.error}"
                for label, cells in by_router.items()
                for members in cells.values()
                for run in members
                if run.error is not None
            )
        ),
        provenance=provenance_of(map(origin_of, taken)),
        notes=(*notes_on_data(run.spec for run in taken), *_left_out(counted, wanted)),
    )


def _left_out(counted: Iterable[Cell], wanted: Sequence[Cell]) -> list[str]:
    """Which benchmarks are not compared, and why."""
    there = {cell[0] for cell in wanted}
    without = sorted({cell[0] for cell in counted} - there)
    return [f"not compared: {', '.join(without)}; less than half as many routers have them"] if without else []


def _failed(runs: Sequence[StoredRun]) -> bool:
    return any(run.error is not None or run.outcome is None for run in runs)


def _cell_mu(runs: Sequence[StoredRun]) -> float:
    return float(np.mean([run.metrics["mu"] for run in runs]))


def _matrix(whole: Mapping[str, Mapping[Cell, list[StoredRun]]], wanted: Sequence[Cell]) -> NDArray[np.float64]:
    """mu of each router (columns) in each cell (rows)."""
    scores = [[_cell_mu(cells[cell]) for cells in whole.values()] for cell in wanted]
    return np.array(scores, dtype=np.float64).reshape(len(wanted), len(whole))


def _standing(
    label: str,
    everything: Mapping[Cell, list[StoredRun]],
    whole: Mapping[Cell, list[StoredRun]],
    wanted: Sequence[Cell],
    rank: float,
) -> Standing:
    have = [cell for cell in wanted if cell in whole]
    benchmarks = list(dict.fromkeys(cell[0] for cell in have))
    points, draws = [], []
    for benchmark in benchmarks:
        cells = [_cell_means(whole[cell]) for cell in have if cell[0] == benchmark]
        points.append(np.mean([point for point, _ in cells], axis=0))
        draws.append(np.mean([drawn for _, drawn in cells], axis=0))
    point, drawn = np.mean(points, axis=0), np.mean(draws, axis=0)
    runs = [run for cell in have for run in whole[cell]]

    def score(of: NDArray[np.float64], resampled: NDArray[np.float64]) -> Score:
        return Score(float(of), interval(resampled))

    return Standing(
        label=label,
        rank=rank,
        mu=score(point[0], drawn[0]),
        V_B_train=score(point[3], drawn[3]),
        gap_closed=score(_gap(point), _gap(drawn)),
        mean_gain=score(point[0] - point[1], drawn[0] - drawn[1]),
        gain={
            name: score(one[0] - one[1], resampled[0] - resampled[1])
            for name, one, resampled in zip(benchmarks, points, draws, strict=True)
        },
        fit_seconds=float(np.mean([run.seconds - run.predict_seconds for run in runs])),
        predict_seconds=float(np.mean([run.predict_seconds for run in runs])),
        cells=len(have),
        failed=sum(run.error is not None for members in everything.values() for run in members),
        resampled_gain=drawn[0] - drawn[1],
    )


def _gap(means: NDArray[np.float64]) -> NDArray[np.float64]:
    room = np.asarray(means[2] - means[1], dtype=np.float64)
    gap: NDArray[np.float64] = np.divide(means[0] - means[1], room, out=np.full(room.shape, np.nan), where=room > 0)
    return gap


def _cell_means(runs: Sequence[StoredRun]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chosen, best on train, oracle and the ratio of the first two, (4,), and the same in every resample, (4, draws).

    A strategy's seeds are averaged first, then the strategies.
    """
    by_strategy: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for run in runs:
        assert run.outcome is not None
        by_strategy.setdefault(run.spec.scenario.split("/")[1], []).append(_run_means(run.outcome))
    pairs = [
        tuple(np.mean([pair[i] for pair in members], axis=0) for i in range(2)) for members in by_strategy.values()
    ]
    return np.mean([pair[0] for pair in pairs], axis=0), np.mean([pair[1] for pair in pairs], axis=0)


def _run_means(outcome: Outcome) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    point = np.array([outcome.mean(column) for column in _COLUMNS])
    resampled = resampled_means(outcome, _COLUMNS)
    drawn = np.stack([resampled[column] for column in _COLUMNS])
    return _with_ratio(point), _with_ratio(drawn)


def _with_ratio(means: NDArray[np.float64]) -> NDArray[np.float64]:
    below = means[1]
    ratio = np.divide(means[0], below, out=np.full(np.shape(below), np.nan), where=below > 0)
    return np.concatenate([means, ratio[None]])
