"""Scaling curves as they are stored: r_o(p) and routers on random pools of every size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routereval.policies import defaults_of
from routereval.report.curves import CHANCE, ORACLE, curve_rows
from routereval.report.figures.frames import frame_of, grouped
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, stated, versions_of
from routereval.report.figures.style import MOST_PANELS, put_note, short
from routereval.report.figures.view import ResultsView
from routereval.report.perf_ref import perf_ref
from routereval.results.curves import CurvePoint
from routereval.results.run import router_label

if TYPE_CHECKING:
    import polars as pl

SHARES = (0.2, 0.4, 0.6, 0.8)
"""Of r_o(p), between chance and the oracle, which are there anyway."""
MOST_CURVES = 6
NONE_STORED = "no scaling curve is stored; routereval scale BENCHMARK --router NAME --results FILE draws some into it"
MOST_SIZES = 60
ABOUT = (
    "Mean score on random pools of each size; bands are 95 % intervals of that mean. r_o(p) takes a best model with "
    "probability p, else any."
)
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "scope": str, "policy": str, "m": int, "mu": float},
    **{"mu_low": float, "mu_high": float, "pool_low": float, "pool_high": float, "expected": float},
    **{"draws": int, "seed": int},
}


class Subject(NamedTuple):
    """What a panel is of."""

    benchmark: str
    data_hash: str
    scope: str


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each benchmark: a shade for each p, a line for each router, and Perf(ref)."""
    from routereval.report.scaling_figure import scaling_figure

    if not view.curves:
        return Missing(NONE_STORED)
    by_subject: dict[Subject, list[CurvePoint]] = {}
    for point in view.curves:
        spec = point.spec
        by_subject.setdefault(Subject(spec.benchmark, spec.data_hash, spec.scope), []).append(point)
    subjects = list(by_subject)[:MOST_PANELS]
    drawn: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    references: dict[str, float | None] = {}
    no_room: list[str] = []
    for subject, name in zip(subjects, _panel_names(subjects), strict=True):
        points, others = chosen(by_subject[subject], view.routers)
        no_room += [label for label in others if label not in no_room]
        pair = {point.spec.policy: point.spec.draws for point in points if point.spec.policy in (ORACLE, CHANCE)}
        found = curve_rows(points, SHARES if len(pair) == 2 and len(set(pair.values())) == 1 else ())
        rows += found
        sizes = _some(sorted({row["m"] for row in found}))
        drawn += [{**row, "benchmark": name} for row in found if row["m"] in sizes]
        references[name] = _reference(view, subject)
    figure = scaling_figure(drawn, references)
    scopes = " or ".join(dict.fromkeys(f"{subject.scope} prompts" for subject in subjects))
    notes = [f"{ABOUT} Scored on {scopes}."]
    notes += left_out(no_room)
    seeds = {row["seed"] for row in rows}
    draws = sorted({row["draws"] for row in rows})
    notes.append(f"{' or '.join(map(str, draws))} pools of each size.")
    data = [(one.benchmark, one.data_hash, None) for one in dict.fromkeys(s._replace(scope="") for s in subjects)]
    # A curve does not say which version drew it.
    said = stated(view, seeds, data, versions_of(view.runs))
    note = "\n".join([*notes, said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of([{name: row[name] for name in SCHEMA} for row in rows], SCHEMA), note, said)


def chosen(points: Sequence[CurvePoint], routers: Sequence[str]) -> tuple[list[CurvePoint], list[str]]:
    """One curve for each policy, all of one seed where there are several, and the routers there is no room for.

    Of curves of one policy the one with most points wins, then the one with most pools.
    """
    curves: dict[str, list[CurvePoint]] = {}
    for point in points:
        curves.setdefault(point.spec.key, []).append(point)
    # The oracle's seed: the pools of a seed are the same for every policy.
    seeds = Counter({c[0].spec.seed: len(c) for c in curves.values() if c[0].spec.policy == ORACLE})
    seed = seeds.most_common(1)[0][0] if seeds else points[0].spec.seed

    def place(curve: list[CurvePoint]) -> tuple[Any, ...]:
        spec = curve[0].spec
        return spec.seed == seed, len(curve), spec.draws, spec.key

    best: dict[str, list[CurvePoint]] = {}
    for curve in curves.values():
        spec = curve[0].spec
        label = router_label(spec.policy, spec.params, defaults_of(spec.policy))
        if label not in best or place(curve) > place(best[label]):
            best[label] = curve
    names = [label for label in best if label not in (ORACLE, CHANCE)]
    names.sort(key=lambda label: (-float(best[label][-1].means.mean()), label))
    wanted = [label for label in names if label in routers or label.split(":")[0] in routers]
    kept = wanted if routers else names[:MOST_CURVES]
    shown = [label for label in (ORACLE, *kept, CHANCE) if label in best]
    return [point for label in shown for point in best[label]], [label for label in names if label not in kept]


def _some(sizes: Sequence[int]) -> set[int]:
    """All sizes, or of many those nearest to even steps on a log axis."""
    if len(sizes) <= MOST_SIZES:
        return set(sizes)
    steps = np.geomspace(sizes[0], sizes[-1], MOST_SIZES)
    return {sizes[int(np.abs(np.log(sizes) - np.log(step)).argmin())] for step in steps}


def _panel_names(subjects: Sequence[Subject]) -> list[str]:
    """The benchmark, with what else it takes to tell panels apart."""
    count = Counter(subject.benchmark for subject in subjects)
    hashes: dict[str, set[str]] = {}
    for subject in subjects:
        hashes.setdefault(subject.benchmark, set()).add(subject.data_hash)
    names = []
    for subject in subjects:
        more = [f"{subject.scope} prompts"] if count[subject.benchmark] > 1 else []
        more += [f"data {subject.data_hash[:8]}"] if len(hashes[subject.benchmark]) > 1 else []
        names.append(subject.benchmark + (f" ({', '.join(more)})" if more else ""))
    return names


def _reference(view: ResultsView, subject: Subject) -> float | None:
    own = [r for r in (*view.runs, *view.partial) if (r.spec.benchmark, r.spec.data_hash) == subject[:2]]
    return perf_ref(subject.benchmark, [(r.metrics.get("mu", math.nan), r.metrics.get("V_R", math.nan)) for r in own])


def alt(frame: pl.DataFrame) -> str:
    """Of each benchmark where the oracle and the best router end."""
    parts = []
    for (benchmark, _, _), rows in grouped(frame, "benchmark", "data_hash", "scope").items():
        largest = max(row["m"] for row in rows)
        last = {row["policy"]: row["mu"] for row in rows if row["m"] == largest}
        real = {name: mu for name, mu in last.items() if name not in (ORACLE, CHANCE) and not name.startswith("r_o:")}
        said = f"on {short(benchmark)} at m = {largest}"
        if ORACLE in last:
            said += f" the oracle has {last[ORACLE]:.2f}"
        if real:
            best = max(real, key=lambda name: real[name])
            said += f", {short(best)} {real[best]:.2f}"
        if CHANCE in last:
            said += f", chance {last[CHANCE]:.2f}"
        parts.append(said)
    return f"Mean score against the number of candidates on a log axis: {'; '.join(parts)}."


SPEC = FigureSpec(
    "scaling",
    "Scaling with the number of candidates",
    "How the oracle, mixtures r_o(p) and routers grow with the size of random pools.",
    draw,
    alt,
)
