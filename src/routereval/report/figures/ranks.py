"""The critical-difference diagram of all routers of a view."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from routereval.references import REFERENCES
from routereval.report.critical_difference import diagram
from routereval.report.figures.frames import frame_of
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import Statement, stated, versions_of
from routereval.report.figures.style import counted, listed, put_note, short
from routereval.report.figures.view import ResultsView
from routereval.stats.ranks import mean_ranks, nemenyi

if TYPE_CHECKING:
    import polars as pl

MOST = 30
"""How many routers the diagram has room for."""
SCHEMA = {"router": str, "mean_rank": float, "scenarios": int, "critical_difference": float, "compared": int}


def draw(view: ResultsView) -> Drawn | Missing:
    """Routers on a line of mean ranks over benchmarks and pool sizes, joined where they do not differ (Nemenyi)."""
    mu: dict[str, dict[tuple[Any, ...], list[float]]] = {}
    seeds: set[int] = set()
    for key, runs in view.by_cell.items():
        if runs[0].spec.router not in REFERENCES:
            value = float(np.mean([run.metrics["mu"] for run in runs]))
            mu.setdefault(key.label, {}).setdefault((key.benchmark, key.data_hash, key.m), []).append(value)
            seeds |= {run.spec.seed for run in runs}
    # The cells that half of the routers have; one that lacks any takes no part, rather than all others cut down.
    count = Counter(cell for cells in mu.values() for cell in cells)
    most = max(count.values(), default=0)
    wanted = sorted(cell for cell, n in count.items() if 2 * n >= most)
    strategies = {cell: max(len(cells[cell]) for cells in mu.values() if cell in cells) for cell in wanted}
    complete = [
        label for label, cells in mu.items() if all(len(cells.get(cell, ())) == strategies[cell] for cell in wanted)
    ]
    if len(complete) < 2:
        return Missing(
            f"{counted(len(complete), 'router')} of {len(mu)} have every scenario; a diagram compares two at least: "
            "routereval run --router NAME adds one"
        )
    scores = np.array([[np.mean(mu[label][cell]) for label in complete] for cell in wanted])
    ranks = dict(sorted(zip(complete, mean_ranks(scores).tolist(), strict=True), key=lambda one: one[1]))
    critical = nemenyi(len(complete), len(wanted))
    shown = _shown(view, list(ranks))
    figure = diagram({label: ranks[label] for label in shown}, critical, routers=len(ranks))
    rows = [
        {
            **{"router": label, "mean_rank": ranks[label], "scenarios": len(wanted)},
            **{"critical_difference": critical, "compared": len(ranks)},
        }
        for label in shown
    ]
    said = _statement(view, wanted, seeds)
    note = "\n".join([*_notes(ranks, shown, mu, len(wanted)), said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of(rows, SCHEMA), note, said)


def _shown(view: ResultsView, ranked: list[str]) -> list[str]:
    if view.routers:
        asked = [label for label in ranked if label in view.routers or label.split(":")[0] in view.routers]
        return asked if len(asked) > 1 else ranked[:MOST]
    return ranked[:MOST]


def _notes(ranks: dict[str, float], shown: list[str], everyone: dict[str, Any], cells: int) -> list[str]:
    notes = [
        f"Ranks by mu among {len(ranks)} routers on {counted(cells, 'cell')} (a benchmark and a pool size; means over "
        "strategies and seeds). Thick bars join routers whose mean ranks do not differ (Nemenyi, 5 %)."
    ]
    if len(ranks) > len(shown):
        notes.append(f"Ranked but not shown: {listed([label for label in ranks if label not in shown])}.")
    if partial := [label for label in everyone if label not in ranks]:
        notes.append(f"Not ranked, as they lack scenarios: {listed(sorted(partial))}.")
    return notes


def _statement(view: ResultsView, cells: list[tuple[Any, ...]], seeds: set[int]) -> Statement:
    data = dict.fromkeys((benchmark, hash_) for benchmark, hash_, _ in cells)
    return stated(view, seeds, [(benchmark, hash_, None) for benchmark, hash_ in data], versions_of(view.runs))


def alt(frame: pl.DataFrame) -> str:
    """The best, the last, and what they must differ by."""
    rows = frame.to_dicts()
    first, last = rows[0], rows[-1]
    critical = first["critical_difference"]
    differ = "" if critical is None or math.isnan(critical) else f"; ranks further apart than {critical:.2f} differ"
    return (
        f"Mean ranks of {len(rows)} routers from {short(first['router'])} ({first['mean_rank']:.1f}) to "
        f"{short(last['router'])} ({last['mean_rank']:.1f}){differ}."
    )


SPEC = FigureSpec(
    "critical_difference",
    "Mean ranks and critical difference",
    "Routers by mean rank; those joined by a bar cannot be told apart.",
    draw,
    alt,
)
