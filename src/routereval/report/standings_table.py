"""Standings as tables: overall, and the gain over the best single model on each benchmark; rows, Markdown, text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from routereval.report.formats.escaping import markdown_line, markdown_text
from routereval.report.standings import BASELINE, Score, Standing, Standings
from routereval.routers.catalogue import PUBLISHED

_NUMBERS = re.compile(r"[-+\d., ]*(\[[-+\d., ]*\][-+ ]*)?")
ERRORS = 20
"""How many mistakes of failed runs are told; the JSON has all."""


def overall_rows(standings: Standings) -> list[dict[str, str]]:
    """One row per router, best mean rank first; those that lack cells stand last, without a rank."""
    return [
        {
            "router": one.label,
            "rank": "-" if math.isnan(one.rank) else f"{one.rank:.1f}",
            "mu": _shown(one.mu),
            "V_B train": _shown(one.V_B_train),
            "gap closed": _shown(one.gap_closed),
            "gain": _signed(one.mean_gain),
            "fit s": _seconds(one.fit_seconds),
            "predict s": _seconds(one.predict_seconds),
            "cells": f"{one.cells} of {standings.cells}",
        }
        for one in (*standings.complete, *standings.partial)
    ]


def gain_rows(standings: Standings) -> list[dict[str, str]]:
    """One row per router, one column per benchmark: mu minus that of the model best on train."""
    return [
        {"router": one.label}
        | {name: _signed(one.gain[name]) if name in one.gain else "" for name in standings.benchmarks}
        for one in (*standings.complete, *standings.partial)
        if one.label != BASELINE
    ]


def legend(standings: Standings) -> list[str]:
    """What the marks in the tables mean, as far as they occur."""
    everyone = (*standings.complete, *standings.partial)
    gains = [score for one in everyone for score in (one.mean_gain, *one.gain.values())]
    said = ["gain: mu less that of the model best on train"]
    if any(not math.isnan(score.interval[0]) for score in gains):
        said.append("[ ]: 95 % bootstrap interval")
    if any(score.above_zero for score in gains):
        said.append("+ behind it: all of it is above 0, so the router beats the best single model")
    if any(score.below_zero for score in gains):
        said.append("- behind it: all of it is below 0, so the router falls below that model")
    if any(math.isnan(one.rank) for one in everyone):
        said.append("rank -: the router lacks some of the cells, so it takes no part in the ranks")
    return ["; ".join(said)] if everyone else []


def json_object(standings: Standings) -> dict[str, Any]:
    """All of it, for scripts."""
    return {
        "cells": standings.cells,
        "benchmarks": list(standings.benchmarks),
        "friedman_p": _null(standings.friedman_p),
        "critical_difference": _null(standings.critical_difference),
        "routers": [_json_row(one) for one in (*standings.complete, *standings.partial)],
        "errors": list(standings.errors),
        "notes": list(standings.notes),
        "provenance": [one.to_json() for one in standings.provenance],
    }


def statement(standings: Standings) -> list[str]:
    """Protocol, encoder, seeds, data and version of the runs, a line for all that have these in common."""
    return [one.sentence() for one in standings.provenance]


def markdown_document(standings: Standings) -> str:
    """Both tables and all that is said of them; names in it are text."""
    tables = [markdown(rows) for rows in (overall_rows(standings), gain_rows(standings)) if rows]
    below = [*sentences(standings), *(f"note: {one}" for one in standings.notes), *statement(standings)]
    below += [f"failed: {one}" for one in standings.errors[:ERRORS]]
    bullets = "\n".join(f"- {markdown_line(line)}" for line in below)
    return "\n\n".join([*tables, *map(markdown_line, legend(standings)), bullets])


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of equal keys as a Markdown table; names in it are text."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = [" | ".join(map(markdown_text, names)), " | ".join("---" if i == 0 else "--:" for i in range(len(names)))]
    lines += [" | ".join(_cell(row[name]) for name in names) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def sentences(standings: Standings) -> list[str]:
    """What the standings say, plainly: where a router beats the best single model and where none does."""
    routers = [one for one in standings.complete if one.label != BASELINE]
    said = []
    for name in standings.benchmarks:
        better = [one.label for one in routers if name in one.gain and one.gain[name].above_zero]
        worse = sum(name in one.gain and one.gain[name].below_zero for one in routers)
        if better:
            shown = ", ".join(better[:6]) + (f" and {len(better) - 6} more" if len(better) > 6 else "")
            said.append(
                f"{name}: {len(better)} of {len(routers)} routers beat the best single model ({shown}); "
                f"{worse} fall below it"
            )
        else:
            said.append(f"{name}: no router beats the best single model; {worse} of {len(routers)} fall below it")
    said.append(
        f"{_over_all(len(standings.benchmarks))}: "
        f"{sum(one.mean_gain.above_zero for one in routers)} of {len(routers)} routers beat it, "
        f"{sum(one.mean_gain.below_zero for one in routers)} fall below it (95 % intervals)"
    )
    said += _over_published(standings)
    if not math.isnan(standings.friedman_p):
        said.append(
            f"Friedman p = {standings.friedman_p:.2g} over {standings.cells} cells; mean ranks differ from "
            f"{standings.critical_difference:.2f} on (Nemenyi, 5 %)"
        )
    return said


def _over_all(benchmarks: int) -> str:
    return f"over all {benchmarks} benchmarks" if benchmarks > 1 else "over all of it"


def _over_published(standings: Standings) -> list[str]:
    """How far those that beat the best single model over all are above the published baselines that have every cell."""
    # Other parameters than the paper's would be in their labels.
    published = [one for one in standings.complete if one.label in PUBLISHED and one.label != BASELINE]
    best = [one for one in standings.complete if one.mean_gain.above_zero and one not in published]
    said = []
    for one in sorted(best, key=lambda one: -one.mean_gain.value) if published else []:
        leads = [f"{other.label} {_signed(one.lead(other))}" for other in published]
        said.append(f"{one.label} less the published baselines, in the mean: {', '.join(leads)}")
    return said


def _json_row(one: Standing) -> dict[str, Any]:
    def score(of: Score) -> dict[str, float | None]:
        return {"value": _null(of.value), "low": _null(of.interval[0]), "high": _null(of.interval[1])}

    return {
        "router": one.label,
        "rank": _null(one.rank),
        "mu": score(one.mu),
        "V_B_train": score(one.V_B_train),
        "gap_closed": score(one.gap_closed),
        "mean_gain": score(one.mean_gain),
        "gain": {name: score(of) for name, of in one.gain.items()},
        "fit_seconds": one.fit_seconds,
        "predict_seconds": one.predict_seconds,
        "cells": one.cells,
        "failed": one.failed,
    }


def _shown(score: Score) -> str:
    if math.isnan(score.value):
        return "-"
    return f"{score.value:.3f}{_bracket(score, '')}"


def _signed(score: Score) -> str:
    mark = " +" if score.above_zero else " -" if score.below_zero else ""
    return "-" if math.isnan(score.value) else f"{score.value:+.3f}{_bracket(score, '+')}{mark}"


def _bracket(score: Score, sign: str) -> str:
    """The interval, where there is one: a gap that is 0 in a resample has none."""
    low, high = score.interval
    return "" if math.isnan(low) or math.isnan(high) else f" [{low:{sign}.3f}, {high:{sign}.3f}]"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.0f}"


def _cell(text: str) -> str:
    """Numbers with their intervals as they are, so that the source can be read too; anything else made safe."""
    return text if _NUMBERS.fullmatch(text) else markdown_text(text)


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
