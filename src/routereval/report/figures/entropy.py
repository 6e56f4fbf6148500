"""E_p against mu: how evenly a router spreads over the pool, and how good what it chooses is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from routereval.report.figures.cells import Estimate, estimate
from routereval.report.figures.frames import described, frame_of, grouped, task_titles
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, more_tasks, statement
from routereval.report.figures.style import (
    MARKERS,
    MOST_PANELS,
    NORMAL,
    NOTHING_RAN,
    SMALL,
    counted,
    listed,
    mark,
    name_shown,
    panels,
    put_note,
    short,
)
from routereval.report.figures.view import Choice, ResultsView

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "router": str, "reference": bool},
    **{"E_p": float, "E_p_low": float, "E_p_high": float, "mu": float, "mu_low": float, "mu_high": float},
}
Points = Mapping[str, tuple[Estimate, Estimate]]


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each benchmark, a mark for each router with both intervals, grey ones for references."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    choice = view.choice()
    cells = view.cells(choice.everyone)
    tasks = view.tasks[:MOST_PANELS]
    figure, all_axes = panels(len(tasks), 3, (3.0, 2.6), margin=(2.2, 0.4))
    rows: list[dict[str, Any]] = []
    bare: set[str] = set()
    for axes, task, title in zip(all_axes, tasks, task_titles(tasks), strict=True):
        points: dict[str, tuple[Estimate, Estimate]] = {}
        for label in choice.everyone:
            mine = [cell for key, cell in cells.items() if key[:2] == task and key.label == label]
            if not mine:
                continue
            bias, mu = estimate(mine, "entropy"), estimate(mine)
            if math.isnan(bias.value):
                bare.add(label)
                continue
            points[label] = bias, mu
            rows.append(
                {
                    **{"benchmark": task.benchmark, "data_hash": task.data_hash, "m": view.m, "router": label},
                    **{"reference": label in choice.references, **described("E_p", bias), **described("mu", mu)},
                }
            )
        axes.set_title(title, fontsize=NORMAL)
        _panel(axes, points, choice)
    if not rows:
        return Missing("no router gave a distribution over its candidates (Prediction.probs), so there is no E_p")
    _legend(figure, choice, [row["router"] for row in rows])
    figure.supxlabel("classification bias E_p, bits", fontsize=NORMAL)
    figure.supylabel("mean score mu", fontsize=NORMAL)
    notes = ["Means over strategies, 95 % intervals. E_p = 0: one model takes all; log2 m: all models alike."]
    if bare:
        notes.append(f"Without E_p, as they give no distribution: {listed(sorted(bare))}.")
    said = statement(view, cells)
    note = "\n".join([" ".join(notes), *left_out(choice.left_out), *more_tasks(view, tasks), said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of(rows, SCHEMA), note, said)


def _styles(choice: Choice) -> dict[str, dict[str, Any]]:
    # A white edge parts marks that overlap.
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    styles: dict[str, dict[str, Any]] = {label: {**mark(i), **edge} for i, label in enumerate(choice.routers)}
    for i, label in enumerate(choice.references):
        marker = ("$\\star$", "+", "x", "1", "2", "3", "4")[i] if i < 7 else MARKERS[i % len(MARKERS)]
        styles[label] = {"color": "0.4", "marker": marker}
    return styles


def _panel(axes: Axes, points: Points, choice: Choice) -> None:
    styles = _styles(choice)
    for label, (bias, mu) in points.items():
        style = styles[label]
        for one, xs, ys in ((mu, None, (mu.low, mu.high)), (bias, (bias.low, bias.high), None)):
            if not math.isnan(one.low):
                axes.plot(xs or [bias.value] * 2, ys or [mu.value] * 2, color=style["color"], linewidth=0.8, alpha=0.45)
        axes.plot([bias.value], [mu.value], linestyle="none", markersize=6, **style)


def _legend(figure: Any, choice: Choice, seen: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    shown = [(label, style) for label, style in _styles(choice).items() if label in seen]
    handles = [Line2D([], [], linestyle="none", markersize=6, **style) for _, style in shown]
    names = [name_shown(label) for label, _ in shown]
    figure.legend(handles, names, loc="outside right upper", fontsize=SMALL + 0.5, frameon=False)


def alt(frame: pl.DataFrame) -> str:
    """Where the best router of each benchmark lies."""
    parts = []
    for (benchmark, _), rows in grouped(frame, "benchmark", "data_hash").items():
        real = [row for row in rows if not row["reference"]]
        if real:
            best = max(real, key=lambda row: row["mu"])
            parts.append(f"on {short(benchmark)} {short(best['router'])}, {best['mu']:.2f} at {best['E_p']:.2f} bits")
    count = counted(frame["router"].n_unique(), "policy").replace("policys", "policies")
    return f"Scatter of mean score against entropy of choice for {count}; the best routers are {'; '.join(parts)}."


SPEC = FigureSpec(
    "entropy",
    "Classification bias and score",
    "How evenly each router spreads its choices (E_p) against how good they are (mu).",
    draw,
    alt,
    by_size=True,
)
