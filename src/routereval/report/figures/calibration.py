"""Calibration: whether the chosen models score what the router predicted of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import Outcome
from routereval.report.figures.frames import frame_of, grouped, task_titles
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, more_tasks, stated, versions_of
from routereval.report.figures.style import (
    COLOURS,
    NORMAL,
    NOTHING_RAN,
    SMALL,
    counted,
    listed,
    name_shown,
    panels,
    put_note,
    short,
)
from routereval.report.figures.view import BASE, ResultsView, Task, key_of
from routereval.seeding import generator

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
BINS, DRAWS = 10, 1000
MOST_ROUTERS, MOST_TASKS = 4, 4
NO_PREDICTIONS = (
    "no stored run says what its router predicted, as runs of earlier versions do not; "
    "routereval run on the same scenarios, into a new file, keeps it"
)
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "router": str, "bin_low": float, "bin_high": float},
    **{"count": int, "predicted": float, "scored": float, "scored_low": float, "scored_high": float, "ece": float},
}
ABOUT = (
    "Test prompts by the score that was predicted for the chosen model (10 bins), against what it scored on average; "
    "all strategies and seeds together. Bars: 95 % intervals over test prompts; below: how many predictions each bin "
    "has. ECE: mean distance from the diagonal, weighted by these."
)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions in bins of equal width.

    Parameters
    ----------
    count, predicted, scored : (bins,) predictions, their mean, the mean score; nan where a bin is empty.
    low, high : (bins,) 95 % interval of the mean score, over prompts.
    ece : sum over bins of count / n times abs(scored - predicted) (Naeini et al. 2015).
    """

    count: NDArray[np.int64]
    predicted: Floats
    scored: Floats
    low: Floats
    high: Floats
    ece: float


def reliability(predicted: Floats, scored: Floats, rng: np.random.Generator) -> Reliability:
    """Bins of predictions (runs, n) within [0, 1] and what was scored, (runs, n), nan where a prompt does not count.

    Prompts are resampled, not predictions: runs on the same prompts are not independent.
    """
    runs, n = predicted.shape
    known = ~np.isnan(predicted) & ~np.isnan(scored)
    place = np.clip((np.nan_to_num(predicted) * BINS).astype(int), 0, BINS - 1)
    # Of each prompt, what it adds to each bin: (n, bins).
    number, total, hoped = (np.zeros((n, BINS)) for _ in range(3))
    for run in range(runs):
        at = np.flatnonzero(known[run])
        np.add.at(number, (at, place[run, at]), 1.0)
        np.add.at(total, (at, place[run, at]), scored[run, at])
        np.add.at(hoped, (at, place[run, at]), predicted[run, at])
    count = number.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean, forecast = total.sum(axis=0) / count, hoped.sum(axis=0) / count
        weights = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
        drawn = (weights @ total) / (weights @ number)
    low, high = (_quantile(drawn, level) for level in (0.025, 0.975))
    gap = np.nan_to_num(np.abs(mean - forecast))
    ece = float((count * gap).sum() / count.sum()) if count.sum() else math.nan
    return Reliability(count.astype(np.int64), forecast, mean, low, high, ece)


def _quantile(drawn: Floats, level: float) -> Floats:
    """Of each column, over the resamples that have the bin; nan where fewer than half have."""
    have = ~np.isnan(drawn)
    found = [
        np.quantile(column[some], level) if some.mean() > 0.5 else math.nan
        for column, some in zip(drawn.T, have.T, strict=True)
    ]
    return np.array(found, dtype=np.float64)


def draw(view: ResultsView) -> Drawn | Missing:
    """A row of panels for each benchmark, a panel for each router: reliability above, counts below."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    choice = view.choice()
    labels = [label for label in choice.routers if label != BASE or view.routers] or list(choice.routers)
    tasks = view.tasks[:MOST_TASKS]
    found: dict[tuple[Task, str], Reliability] = {}
    prompts: dict[Task, int] = {}
    unscaled, silent = set(), set()
    for label in labels:
        if len({name for _, name in found}) == MOST_ROUTERS:
            break
        for task in tasks:
            outcomes = _outcomes(view, task, label)
            predicted = [np.where(one.counted, one.columns["predicted"], np.nan) for one in outcomes]
            scored = [np.where(one.counted, one.columns["chosen"], np.nan) for one in outcomes]
            if not outcomes:
                silent.add(label)
            elif not _is_score(np.stack(predicted)):
                unscaled.add(label)
            else:
                prompts[task] = max(int(one.counted.sum()) for one in outcomes)
                rng = generator("calibration", *task, str(view.m), label)
                found[task, label] = reliability(np.clip(np.stack(predicted), 0.0, 1.0), np.stack(scored), rng)
    if not found and not unscaled:
        return Missing(NO_PREDICTIONS)
    if not found:
        return Missing(f"what {listed(sorted(unscaled))} predicts is no score between 0 and 1 but a rating or a rank")
    figure = _figure(found, [task for task in tasks if task in prompts], labels)
    seeds = {run.spec.seed for run in view.runs if key_of(run.spec).label in {label for _, label in found}}
    notes = [ABOUT]
    if unscaled:
        notes.append(f"Without a panel, as what it predicts is a rating, not a score: {listed(sorted(unscaled))}.")
    if silent:
        notes.append(f"Without predictions in the file: {listed(sorted(silent))}.")
    drawn = {label for _, label in found}
    rest = [label for label in (*choice.routers, *choice.left_out) if label not in (*drawn, *unscaled, *silent, BASE)]
    data = [(*task, count) for task, count in prompts.items()]
    said = stated(view, seeds, data, versions_of(view.runs))
    note = "\n".join([*notes, *left_out(rest), *more_tasks(view, tasks), said.text])
    put_note(figure, note)
    rows = [row for (task, label), one in found.items() for row in _rows(view, task, label, one)]
    return Drawn(figure, frame_of(rows, SCHEMA), note, said)


def _outcomes(view: ResultsView, task: Task, label: str) -> list[Outcome]:
    runs = [run for key, runs in view.by_cell.items() if key[:2] == task and key.label == label for run in runs]
    outcomes = [run.outcome for run in view.with_outcomes(runs) if run.outcome is not None]
    return [one for one in outcomes if "predicted" in one.columns]


def _is_score(predicted: Floats) -> bool:
    """Whether these can be meant as scores: nearly all between 0 and 1, give or take what a regression overshoots."""
    known = predicted[~np.isnan(predicted)]
    return len(known) > 0 and float(((known >= -0.25) & (known <= 1.25)).mean()) >= 0.95


def _rows(view: ResultsView, task: Task, label: str, one: Reliability) -> list[dict[str, Any]]:
    return [
        {
            **{"benchmark": task.benchmark, "data_hash": task.data_hash, "m": view.m, "router": label},
            **{"bin_low": b / BINS, "bin_high": (b + 1) / BINS, "count": int(one.count[b])},
            **{"predicted": float(one.predicted[b]), "scored": float(one.scored[b])},
            **{"scored_low": float(one.low[b]), "scored_high": float(one.high[b]), "ece": one.ece},
        }
        for b in range(BINS)
    ]


def _figure(found: Mapping[tuple[Task, str], Reliability], tasks: Sequence[Task], labels: Sequence[str]) -> Any:
    labels = [label for label in labels if any((task, label) in found for task in tasks)]
    figure, all_axes = panels(len(tasks) * len(labels), len(labels), (2.35, 2.75), margin=(0.4, 0.5))
    places = [(task, title, label) for task, title in zip(tasks, task_titles(tasks), strict=True) for label in labels]
    for axes, (task, title, label) in zip(all_axes, places, strict=True):
        one = found.get((task, label))
        if one is None:
            axes.set_visible(False)
            continue
        _panel(axes, one)
        axes.set_title(f"{title}\n{name_shown(label)}", fontsize=NORMAL - 0.5)
    figure.supxlabel("predicted score of the chosen model", fontsize=NORMAL)
    figure.supylabel("its mean score", fontsize=NORMAL)
    return figure


def _panel(axes: Axes, one: Reliability) -> None:
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for x, low, high in zip(one.predicted, one.low, one.high, strict=True):
        if not math.isnan(low):
            axes.plot([x, x], [low, high], color=COLOURS[0], linewidth=1.2, alpha=0.7)
    some = one.count > 0
    axes.plot(one.predicted[some], one.scored[some], color=COLOURS[0], marker="o", markersize=4.5, linewidth=1)
    # The counts hang from 0 downwards, on a scale of their own.
    tall = 0.22 * one.count / max(1, one.count.max())
    axes.bar((np.arange(BINS) + 0.5) / BINS, -tall, width=0.9 / BINS, color="0.75", edgecolor="0.4", linewidth=0.5)
    axes.axhline(0, color="0.4", linewidth=0.7)
    axes.text(0.03, 0.97, f"ECE {one.ece:.3f}\n{one.count.sum()} predictions", transform=axes.transAxes, va="top",
              fontsize=SMALL)  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.26, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])


def alt(frame: pl.DataFrame) -> str:
    """The calibration error of every router on every benchmark."""
    parts = []
    for (benchmark, _), rows in grouped(frame, "benchmark", "data_hash").items():
        errors = {row["router"]: row["ece"] for row in rows}
        parts.append(f"on {short(benchmark)} " + ", ".join(f"{short(k)} {v:.2f}" for k, v in errors.items()))
    routers = counted(frame["router"].n_unique(), "router")
    return f"Reliability diagrams of {routers}, calibration error {'; '.join(parts)}."


SPEC = FigureSpec(
    "calibration",
    "Calibration of predicted scores",
    "Whether models score what the router predicted of them when it chose them.",
    draw,
    alt,
    by_size=True,
)
