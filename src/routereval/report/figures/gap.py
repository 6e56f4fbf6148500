"""Gap closed by benchmark: how much of the way from the best single model to the oracle a router goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from routereval.report.figures.cells import Cell, gap_closed, mean_of
from routereval.report.figures.dots import DotPlot
from routereval.report.figures.frames import described, frame_of, grouped, task_titles
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, more_tasks, statement
from routereval.report.figures.style import MOST_PANELS, NOTHING_RAN, listed, put_note, short
from routereval.report.figures.view import CellKey, ResultsView, Task

if TYPE_CHECKING:
    import polars as pl

LIMITS = (-1.0, 1.0)
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "router": str, "gap_closed": float},
    **{"gap_closed_low": float, "gap_closed_high": float, "mu": float, "baseline": float, "oracle": float},
    **{"scenarios": int},
}


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each benchmark, a row for each router: ratio of means over strategies, then over pool sizes."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    choice = view.choice()
    references = [label for label in choice.references if label != "oracle"]
    cells = view.cells([*choice.routers, *references])
    tasks = view.tasks[:MOST_PANELS]
    rows: list[dict[str, Any]] = []
    values, partly = [], set()
    for task in tasks:
        found = _of_task(cells, task)
        partly |= {key.label for key in cells if key[:2] == task} - {row["router"] for row in found}
        rows += found
        values.append({(row["router"], ""): row["estimate"] for row in found})
    if not rows:
        return Missing("no router was run on all scenarios of a benchmark; run what failed again with: routereval run")
    plot = DotPlot(
        choice.routers,
        references,
        [""],
        "gap closed: 0 is the best single model, 1 the oracle; 95 % interval",
        limits=_limits(rows),
        lines={"best single": 0.0},
    )
    figure = plot.figure(task_titles(tasks), values)
    notes = ["(mu - best single) / (oracle - best single) of means over strategies, then over pool sizes."]
    notes += ["The best single model is the best on test." if view.protocol == "paper" else _STRICT]
    if any(not LIMITS[0] <= row["gap_closed"] <= LIMITS[1] for row in rows):
        notes.append("An arrow: beyond the edge, with its number.")
    if partly:
        notes.append(f"Left out where a scenario is missing: {listed(sorted(partly))}.")
    said = statement(view, cells)
    note = "\n".join([" ".join(notes), *left_out(choice.left_out), *more_tasks(view, tasks), said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of([{k: v for k, v in row.items() if k in SCHEMA} for row in rows], SCHEMA), note, said)


def _limits(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """From the lowest bound to the highest, with some room, but nowhere beyond -1 and 1."""
    some = [row[name] for row in rows for name in ("gap_closed", "gap_closed_low", "gap_closed_high")]
    some = [value for value in some if not math.isnan(value)] or [0.0]
    return max(LIMITS[0], min(some) - 0.05), min(LIMITS[1], max(some) + 0.05)


_STRICT = "The best single model is the best on the training prompts."


def _of_task(cells: Mapping[CellKey, Cell], task: Task) -> list[dict[str, Any]]:
    """Routers that have every scenario of the benchmark that any of them has."""
    here = {key: cell for key, cell in cells.items() if key[:2] == task}
    scenarios = {(key.m, key.strategy) for key in here}
    rows = []
    for label in dict.fromkeys(key.label for key in here):
        mine = {(key.m, key.strategy): cell for key, cell in here.items() if key.label == label}
        if mine.keys() != scenarios:
            continue
        sizes = sorted({m for m, _ in scenarios})
        pairs = [mean_of([cell for (m, _), cell in mine.items() if m == size]) for size in sizes]
        means = np.mean([one for one, _ in pairs], axis=0)
        draws = np.mean([one for _, one in pairs], axis=0)
        one = gap_closed(means, draws)
        rows.append(
            {
                **{"benchmark": task.benchmark, "data_hash": task.data_hash, "router": label, "estimate": one},
                **described("gap_closed", one),
                **{"mu": float(means[0]), "baseline": float(means[1]), "oracle": float(means[2])},
                "scenarios": len(scenarios),
            }
        )
    return rows


def alt(frame: pl.DataFrame) -> str:
    """On each benchmark the best router and its gap closed."""
    parts = []
    for (benchmark, _), rows in grouped(frame, "benchmark", "data_hash").items():
        real = [row for row in rows if row["gap_closed"] is not None]
        if real:
            best = max(real, key=lambda row: row["gap_closed"])
            parts.append(f"on {benchmark} the most is {best['gap_closed']:.2f}, by {short(best['router'])}")
    return f"Dot plot of the gap closed by {frame['router'].n_unique()} policies: {'; '.join(parts)}."


SPEC = FigureSpec(
    "gap_closed",
    "Gap closed by benchmark",
    "How much of the way from the best single model to the oracle each router goes; below 0 it does harm.",
    draw,
    alt,
)
