"""mu against the number of candidates, from runs on selected pools."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from routereval.report.figures.cells import Cell, estimate
from routereval.report.figures.frames import described, frame_of, grouped, task_titles
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, more_tasks, statement
from routereval.report.figures.style import (
    DASHES,
    MOST_PANELS,
    NORMAL,
    NOTHING_RAN,
    counted,
    legend,
    line,
    panels,
    put_note,
    short,
)
from routereval.report.figures.view import CellKey, Choice, ResultsView, Task

if TYPE_CHECKING:
    import polars as pl

MOST_LINES = 6
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "router": str, "mu": float, "mu_low": float, "mu_high": float},
    **{"strategies": str},
}


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each benchmark that was run at several sizes, a line for each router and reference."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    several = [task for task in view.tasks if len({key.m for key in view.by_cell if key[:2] == task}) > 1]
    if not several:
        return Missing("no benchmark was run at more than one pool size: routereval run 'NAME/*/*' runs all there are")
    choice = view.choice(MOST_LINES)
    cells = view.cells(choice.everyone)
    tasks = several[:MOST_PANELS]
    styles = _styles(choice)
    figure, all_axes = panels(len(tasks), 3, (3.0, 2.7), margin=(2.2, 0.4))
    rows: list[dict[str, Any]] = []
    for axes, task, title in zip(all_axes, tasks, task_titles(tasks), strict=True):
        found = _of_task(task, cells, choice)
        rows += found
        for i, label in enumerate(choice.everyone):
            mine = [row for row in found if row["router"] == label]
            if mine:
                # Side by side, so that intervals at one size do not hide each other.
                shift = 1.02 ** (i - len(choice.everyone) / 2)
                x = [row["m"] * shift for row in mine]
                axes.plot(x, [row["mu"] for row in mine], linewidth=1.3, markersize=4, **styles[label])
                for at, row in zip(x, mine, strict=True):
                    if not math.isnan(row["mu_low"]):
                        bounds = [row["mu_low"], row["mu_high"]]
                        axes.plot([at, at], bounds, color=styles[label]["color"], linewidth=0.8, alpha=0.6)
        sizes = sorted({row["m"] for row in found})
        axes.set_xscale("log")
        axes.set_xticks(sizes, [str(m) for m in sizes])
        axes.minorticks_off()
        axes.set_title(title, fontsize=NORMAL)
    legend(figure, {label: {"linewidth": 1.3, **styles[label]} for label in choice.everyone})
    figure.supxlabel("candidates m", fontsize=NORMAL)
    figure.supylabel("mean score mu", fontsize=NORMAL)
    notes = ["Means over the strategies that every size has, 95 % intervals; pools are those of the benchmark."]
    shown = {key: cell for key, cell in cells.items() if key[:2] in tasks}
    said = statement(view, shown)
    note = "\n".join([*notes, *left_out(choice.left_out), *more_tasks(view, tasks, several), said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of(rows, SCHEMA), note, said)


def _of_task(task: Task, cells: Mapping[CellKey, Cell], choice: Choice) -> list[dict[str, Any]]:
    here = {key: cell for key, cell in cells.items() if key[:2] == task}
    by_size: dict[int, set[str]] = {}
    for key in here:
        by_size.setdefault(key.m, set()).add(key.strategy)
    # A size with other strategies would be another kind of pool, not a larger one.
    common = set.intersection(*by_size.values()) if by_size else set()
    rows = []
    for label in choice.everyone:
        for m in sorted(by_size):
            mine = {key.strategy: cell for key, cell in here.items() if key.label == label and key.m == m}
            if common and common <= mine.keys():
                one = estimate([cell for strategy, cell in mine.items() if strategy in common])
                rows.append(
                    {
                        **{"benchmark": task.benchmark, "data_hash": task.data_hash, "m": m, "router": label},
                        **{**described("mu", one), "strategies": " ".join(sorted(common))},
                    }
                )
    return rows


def _styles(choice: Choice) -> dict[str, dict[str, Any]]:
    styles = {label: line(i) for i, label in enumerate(choice.routers)}
    for i, label in enumerate(choice.references):
        styles[label] = {"color": "0.5", "linestyle": DASHES[i % len(DASHES)], "marker": "+x12"[i % 4]}
    return styles


def alt(frame: pl.DataFrame) -> str:
    """Of each benchmark, the best router of the smallest and of the largest pools."""
    parts = []
    for (benchmark, _), rows in grouped(frame, "benchmark", "data_hash").items():
        sizes = sorted({row["m"] for row in rows})
        span = [max(row["mu"] for row in rows if row["m"] == m) for m in (sizes[0], sizes[-1])]
        parts.append(f"on {short(benchmark)} the highest goes from {span[0]:.2f} at m = {sizes[0]}")
        parts[-1] += f" to {span[1]:.2f} at m = {sizes[-1]}"
    lines = counted(frame["router"].n_unique(), "line")
    return f"Mean score against the number of candidates, {lines}: {'; '.join(parts)}."


SPEC = FigureSpec(
    "pool_size",
    "Score by pool size",
    "What routers and references score on a benchmark's own pools as these grow.",
    draw,
    alt,
)
