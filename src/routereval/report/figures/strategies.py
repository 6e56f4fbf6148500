"""mu by strategy: how good routers are on strong, weak, mixed and random pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routereval.report.figures.cells import estimate
from routereval.report.figures.dots import DotPlot
from routereval.report.figures.frames import described, frame_of, grouped, near, task_titles
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, more_tasks, statement
from routereval.report.figures.style import MOST_PANELS, NOTHING_RAN, counted, put_note, short
from routereval.report.figures.view import ResultsView

if TYPE_CHECKING:
    import polars as pl

ORDER = ("all_strong", "all_weak", "strong_to_weak", "random", "all")
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "strategy": str, "router": str},
    **{"mu": float, "mu_low": float, "mu_high": float, "seed_count": int, "prompts": int},
}


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each benchmark; a row for each router, a mark for each strategy."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    choice = view.choice()
    cells = view.cells(choice.everyone)
    tasks = view.tasks[:MOST_PANELS]
    strategies = sorted({key.strategy for key in cells}, key=lambda name: near(ORDER, name))
    rows: list[dict[str, Any]] = []
    values = []
    for task in tasks:
        here = {key: cell for key, cell in cells.items() if key[:2] == task}
        found = {(key.label, key.strategy): estimate([cell]) for key, cell in here.items()}
        values.append(found)
        rows += [
            {
                **{"benchmark": key.benchmark, "data_hash": key.data_hash, "m": key.m, "strategy": key.strategy},
                "router": key.label,
                **described("mu", found[key.label, key.strategy]),
                **{"seed_count": len(cell.seeds), "prompts": cell.prompts},
            }
            for key, cell in here.items()
        ]
    plot = DotPlot(choice.routers, choice.references, strategies, "mean score mu, 95 % interval")
    figure = plot.figure(task_titles(tasks), values)
    shown = {key: cell for key, cell in cells.items() if key[:2] in tasks}
    notes = ["Rows: routers, best on top, then references, which read the answers. Each mark is the mean over seeds."]
    notes += left_out(choice.left_out) + more_tasks(view, tasks)
    said = statement(view, shown)
    note = "\n".join([*notes, said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of(rows, SCHEMA), note, said)


def alt(frame: pl.DataFrame) -> str:
    """From where to where scores go with each strategy."""
    parts = []
    for (strategy,), rows in grouped(frame, "strategy").items():
        mu = [row["mu"] for row in rows if row["mu"] is not None] or [0.0]
        parts.append(f"on {short(strategy)} pools mean scores go from {min(mu):.2f} to {max(mu):.2f}")
    count, benchmarks = frame["router"].n_unique(), counted(frame["benchmark"].n_unique(), "benchmark")
    return f"Dot plot of {count} routers and references on {benchmarks}: {'; '.join(parts)}."


SPEC = FigureSpec(
    "strategies",
    "Mean score by strategy",
    "What routers score on pools of strong, of weak and of mixed models.",
    draw,
    alt,
    by_size=True,
)
