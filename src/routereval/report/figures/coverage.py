"""Who solves what: for every two models of a pool, how much of what one fails the other solves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.scores import ScoreMatrix
from routereval.report.figures.frames import frame_of, grouped
from routereval.report.figures.scenarios import a_run_of, in_order, more_scenarios, scenarios_of, title
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import stated, versions_of
from routereval.report.figures.style import (
    NO_RECORD,
    NORMAL,
    NOTHING_RAN,
    SMALL,
    counted,
    distinct,
    name_shown,
    panels,
    put_note,
    short,
)
from routereval.report.figures.view import ResultsView

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
MOST_MODELS, MOST_PANELS, PANELS_A_ROW = 10, 6, 2
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "strategy": str, "model": str, "accuracy": float},
    **{"unique": float, "failing": str, "solved": float},
}
ABOUT = (
    "Cell: of what the model of the column fails, the share that the model of the row solves; empty where it fails "
    "nothing. acc: mean score on test; "
    "only: share of the test prompts that no other model of the pool solves."
)
GRADED = (
    "Graded scores: mean of max(0, row - column) over the mean of 1 - column, and mean of max(0, model - best other); "
    "of scores that are 0 or 1 these are the shares."
)


def complementarity(dense: Floats) -> Floats:
    """How much of what model j lacks model i has, (i, j), between 0 and 1; nan where j lacks nothing.

    mean(max(0, s_i - s_j)) / mean(1 - s_j) over the prompts that both were observed on. Of binary scores it is the
    share of the prompts j fails that i solves; no threshold is needed for graded ones.
    """
    m = dense.shape[1]
    found = np.full((m, m), np.nan)
    for j in range(m):
        other = dense[:, j : j + 1]
        both = ~np.isnan(dense) & ~np.isnan(other)
        gained = np.where(both, np.maximum(0.0, dense - other), 0.0).sum(axis=0)
        lacking = np.where(both, 1.0 - other, 0.0).sum(axis=0)
        np.divide(gained, lacking, out=found[:, j], where=lacking > 0)
    return found


def unique_coverage(dense: Floats) -> Floats:
    """What is lost without each model, (m,): mean of max(0, its score - the best other one).

    Of binary scores it is the share of the prompts that it alone solves.
    """
    filled = np.where(np.isnan(dense), 0.0, dense)
    if filled.shape[1] < 2:
        return np.asarray(filled.mean(axis=0))
    second, first = np.sort(filled, axis=1)[:, -2:].T
    # The best other one is the best, except for the best itself.
    best_other = np.where(filled == first[:, None], second[:, None], first[:, None])
    return np.asarray(np.maximum(0.0, filled - best_other).mean(axis=0))


def draw(view: ResultsView) -> Drawn | Missing:
    """A heat map for each scenario, models from most to least accurate both ways."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    everything = scenarios_of(view)
    rows: dict[Any, list[dict[str, Any]]] = {}
    graded, data = False, {}
    for scenario in everything:
        run = a_run_of(view, scenario)
        record = view.record(run.spec)
        if record is not None:
            rows[scenario] = _rows(scenario, record.scores)
            graded |= not record.scores.binary
            data[scenario[:2]] = len(record.prompt_ids)
        if len(rows) == MOST_PANELS:
            break
    if not rows:
        return Missing(NO_RECORD)
    shown = in_order(list(rows))
    most = max(math.isqrt(len(one)) for one in rows.values())
    side = 0.3 * most + 0.4
    figure, all_axes = panels(len(shown), PANELS_A_ROW, (side + 2.6, side + 0.9), margin=(0.3, 0.2))
    for axes, scenario in zip(all_axes, shown, strict=True):
        _panel(axes, rows[scenario])
        axes.set_title(title(scenario), fontsize=NORMAL, loc="left", pad=17)
    notes = [ABOUT, *([GRADED] if graded else [])]
    if any(scenario[2] > MOST_MODELS for scenario in shown):
        notes.append(f"Of larger pools the {MOST_MODELS} most accurate models.")
    said = stated(view, (), [(*task, count) for task, count in sorted(data.items())], versions_of(view.runs))
    note = "\n".join([" ".join(notes), *more_scenarios(everything, shown), said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of([row for one in shown for row in rows[one]], SCHEMA), note, said)


def _rows(scenario: tuple[str, str, int, str], scores: ScoreMatrix) -> list[dict[str, Any]]:
    benchmark, data, m, strategy = scenario
    dense = scores.dense().astype(np.float64)
    means = scores.model_means
    order = np.argsort(-np.nan_to_num(means, nan=-1.0), kind="stable")[:MOST_MODELS]
    only = unique_coverage(dense)
    cells = complementarity(dense[:, order])
    names = scores.model_ids
    return [
        {
            **{"benchmark": benchmark, "data_hash": data, "m": m, "strategy": strategy, "model": names[i]},
            **{"accuracy": float(means[i]), "unique": float(only[i]), "failing": names[j]},
            "solved": float(cells[a, b]),
        }
        for a, i in enumerate(order)
        for b, j in enumerate(order)
    ]


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    count = math.isqrt(len(rows))
    values = np.array([row["solved"] for row in rows], dtype=np.float64).reshape(count, count)
    # A model solves nothing of what it fails itself: no colour, rather than that of 0.
    np.fill_diagonal(values, np.nan)
    models = rows[::count]
    axes.grid(False)
    axes.set_facecolor("0.93")
    mesh = axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    mesh.set_clip_on(False)
    for (i, j), value in np.ndenumerate(values):
        if not math.isnan(value):
            shade = "white" if value < 0.5 else "black"
            axes.text(j + 0.5, i + 0.5, _two(value), ha="center", va="center", fontsize=SMALL - 1, color=shade)
    for i, row in enumerate(models):
        _beside(axes, count, i + 0.5, _two(row["accuracy"]), _two(row["unique"]))
    _beside(axes, count, -0.25, "acc", "only")
    axes.set_ylim(count, 0)
    axes.set_aspect("equal")
    names = distinct([row["model"] for row in models])
    labels = [f"{name_shown(name, 24)}  {i + 1}" for i, name in enumerate(names)]
    axes.set_yticks(np.arange(count) + 0.5, labels, fontsize=SMALL)
    axes.set_xticks(np.arange(count) + 0.5, [str(i + 1) for i in range(count)], fontsize=SMALL)
    axes.set_xlabel("of what this one fails", fontsize=SMALL)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _beside(axes: Axes, x: float, y: float, *texts: str) -> None:
    """Columns of text to the right of the map, as far apart whatever the size of its cells."""
    for i, text in enumerate(texts):
        axes.annotate(
            text,
            (x, y),
            xytext=(8 + 27 * i, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            annotation_clip=False,
        )


def _two(value: float) -> str:
    """``.42``, ``1``: two digits, and no more ink than they need."""
    return "1" if value >= 0.995 else f"{value:.2f}"[1:]


def alt(frame: pl.DataFrame) -> str:
    """Of each scenario the most accurate model, and who adds most to it."""
    parts = []
    for (benchmark, _, strategy), rows in grouped(frame, "benchmark", "data_hash", "strategy").items():
        best = rows[0]["model"]
        adding = [row for row in rows if row["failing"] == best and row["model"] != best and row["solved"] is not None]
        said = f"{short(benchmark)} {short(strategy)}: {short(best)} is right on {rows[0]['accuracy']:.0%}"
        if adding:
            most = max(adding, key=lambda row: row["solved"])
            said += f", and of its failures {short(most['model'])} solves {most['solved']:.0%}"
        parts.append(said)
    return f"Heat maps of which model solves what another fails, {counted(len(parts), 'scenario')}; {'; '.join(parts)}."


SPEC = FigureSpec(
    "coverage",
    "Who solves what",
    "For every two models of a pool, how much of what one fails the other solves: whether there is anything to route.",
    draw,
    alt,
    by_size=True,
)
