"""Learning curves: what a router scores as it is given more training prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from routereval.report.figures.cells import Cell, cell_of, estimate
from routereval.report.figures.frames import described, frame_of, grouped, task_titles
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, more_tasks, stated, versions_of
from routereval.report.figures.style import (
    MOST_PANELS,
    NORMAL,
    SMALL,
    counted,
    legend,
    line,
    panels,
    put_note,
    short,
)
from routereval.report.figures.view import BASE, ResultsView, Task, key_of
from routereval.results import StoredRun

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

MOST_LINES = 6
NONE_RUN = (
    "no run learnt from a part of the training prompts: "
    "routereval run NAME --router knn --train-size 50 --train-size 100 --train-size 200 makes some"
)
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "router": str, "train_size": int},
    **{"mu": float, "mu_low": float, "mu_high": float, "strategies": int, "seed_count": int},
}


@dataclass(frozen=True, eq=False)
class _Point:
    """A router at one size (None: all training prompts), a cell for each strategy."""

    size: int | None
    cells: Mapping[str, Cell]


Curves = Mapping[str, Sequence[_Point]]
"""By router, sizes ascending, all prompts last."""


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each benchmark, a line for each router, and where the best single model and the oracle are."""
    if not view.partial:
        return Missing(NONE_RUN)
    tasks = list(dict.fromkeys(Task(run.spec.benchmark, run.spec.data_hash) for run in view.partial))
    labels, others = _labels(view)
    shown = tasks[:MOST_PANELS]
    figure, all_axes = panels(len(shown), 3, (3.1, 2.7), margin=(2.0, 0.4))
    rows: list[dict[str, Any]] = []
    seeds: set[int] = set()
    data = []
    for axes, task, title in zip(all_axes, shown, task_titles(shown), strict=True):
        curves = _curves(view, task, labels)
        rows += _rows(view, task, curves)
        _panel(axes, curves, labels)
        axes.set_title(title, fontsize=NORMAL)
        cells = [cell for points in curves.values() for point in points for cell in point.cells.values()]
        seeds |= {seed for cell in cells for seed in cell.seeds}
        data.append((*task, max((cell.prompts for cell in cells), default=None)))
    legend(figure, {label: {"linewidth": 1.4, **line(i)} for i, label in enumerate(labels)})
    figure.supxlabel("training prompts", fontsize=NORMAL)
    figure.supylabel("mean score mu", fontsize=NORMAL)
    notes = ["Means over the strategies that every size has, and over seeds; bands: 95 % intervals over test prompts."]
    said = stated(view, seeds, data, versions_of(view.partial))
    note = "\n".join([*notes, *left_out(others), *more_tasks(view, shown, tasks), said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of(rows, SCHEMA), note, said)


def _labels(view: ResultsView) -> tuple[list[str], list[str]]:
    """Routers that have a curve, best first, and those there is no room for; ``best_single`` is a line by itself."""
    mu: dict[str, list[float]] = {}
    for run in view.partial:
        mu.setdefault(key_of(run.spec).label, []).append(run.metrics["mu"])
    ordered = sorted(mu, key=lambda label: (-float(np.nanmean(mu[label])), label))
    if view.routers:
        kept = [label for label in ordered if label in view.routers or label.split(":")[0] in view.routers]
        return kept or ordered[:MOST_LINES], []
    ordered = [label for label in ordered if label != BASE] or ordered
    return ordered[:MOST_LINES], ordered[MOST_LINES:]


def _curves(view: ResultsView, task: Task, labels: Sequence[str]) -> Curves:
    runs = [
        run
        for run in (*view.partial, *view.runs)
        if (run.spec.benchmark, run.spec.data_hash) == task and key_of(run.spec).label in labels
    ]
    found: dict[str, dict[int | None, dict[str, list[StoredRun]]]] = {}
    for run in (one for one in view.with_outcomes(runs) if one.outcome is not None):
        of_label = found.setdefault(key_of(run.spec).label, {})
        of_label.setdefault(run.spec.train_size, {}).setdefault(key_of(run.spec).strategy, []).append(run)
    curves: dict[str, list[_Point]] = {}
    for label in labels:
        sizes = found.get(label, {})
        if set(sizes) - {None}:
            points = [
                _Point(size, {strategy: cell_of(members) for strategy, members in sizes[size].items()})
                for size in sorted(sizes, key=lambda size: math.inf if size is None else size)
            ]
            # A size with other strategies would be another problem, not more training.
            common = set.intersection(*(set(point.cells) for point in points))
            curves[label] = [replace(point, cells={s: point.cells[s] for s in sorted(common)}) for point in points]
    return {label: points for label, points in curves.items() if points[0].cells}


def _rows(view: ResultsView, task: Task, curves: Curves) -> list[dict[str, Any]]:
    return [
        {
            **{"benchmark": task.benchmark, "data_hash": task.data_hash, "m": view.m, "router": label},
            **{"train_size": point.size, **described("mu", estimate(list(point.cells.values())))},
            **{"strategies": len(point.cells), "seed_count": max(len(cell.seeds) for cell in point.cells.values())},
        }
        for label, points in curves.items()
        for point in points
    ]


def _panel(axes: Axes, curves: Curves, labels: Sequence[str]) -> None:
    sizes = sorted({point.size for points in curves.values() for point in points if point.size is not None})
    # How many all are is not stored with a run: they stand apart, one step further.
    whole = sizes[-1] * (sizes[-1] / sizes[0]) ** 0.25 * 1.3 if len(sizes) > 1 else sizes[-1] * 2
    for i, label in enumerate(labels):
        points = curves.get(label, ())
        x = [whole if point.size is None else point.size for point in points]
        found = [estimate(list(point.cells.values())) for point in points]
        style = line(i)
        axes.plot(x, [one.value for one in found], linewidth=1.4, markersize=4, **style)
        axes.fill_between(
            x, [one.low for one in found], [one.high for one in found], color=style["color"], alpha=0.12, linewidth=0
        )
    _lines(axes, curves)
    complete = any(point.size is None for points in curves.values() for point in points)
    ticks, names = [*sizes, *([whole] if complete else [])], [*map(str, sizes), *(["all"] if complete else [])]
    axes.set_xscale("log")
    axes.set_xticks(ticks, names)
    axes.minorticks_off()


def _lines(axes: Axes, curves: Curves) -> None:
    """Where the model best on all training prompts, and the oracle, are: of the router with most sizes."""
    if not curves:
        return
    points = max(curves.values(), key=len)
    cells = list(points[-1].cells.values())
    for column, dashes, name in (("oracle", (0, (5, 3)), "oracle"), ("best_single_train", (0, (1, 1.5)), BASE)):
        value = estimate(cells, column).value
        axes.axhline(value, color="0.35", linewidth=1.1, linestyle=dashes, zorder=1)
        axes.annotate(
            name, (0.01, value), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
            fontsize=SMALL - 0.5, color="0.2", bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
        )  # fmt: skip


def alt(frame: pl.DataFrame) -> str:
    """Of each benchmark from where to where the best router goes."""
    parts = []
    for (benchmark, _), rows in grouped(frame, "benchmark", "data_hash").items():
        last = {row["router"]: row for row in rows}
        best = max(last.values(), key=lambda row: row["mu"])
        first = next(row for row in rows if row["router"] == best["router"])
        to = "all" if best["train_size"] is None else best["train_size"]
        said = f"on {short(benchmark)} {short(best['router'])} goes from {first['mu']:.2f} with {first['train_size']}"
        parts.append(f"{said} training prompts to {best['mu']:.2f} with {to}")
    curves = counted(frame["router"].n_unique(), "router")
    return f"Learning curves of {curves}: {'; '.join(parts)}."


SPEC = FigureSpec(
    "learning_curve",
    "Learning curves",
    "What routers score as they are given more training prompts: whether more data would help.",
    draw,
    alt,
    by_size=True,
)
