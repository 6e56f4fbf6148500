"""The table of the paper on a terminal: benchmark x router, mu / V_R / V_B / E_p, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from routereval import facts, protocols
from routereval.data.scenario import STRATEGIES
from routereval.metrics import METRICS
from routereval.report.groups import SHOWN, Group, groups_of
from routereval.results import StoredRun


def results_table(runs: Sequence[StoredRun]) -> RenderableType:
    """All runs as tables, one per benchmark, protocol and encoder, with what a reader should know below them."""
    groups = groups_of(runs)
    blocks: list[RenderableType] = []
    for _, block in groupby(groups, key=lambda g: (g.benchmark, g.protocol, g.encoder)):
        blocks += [_table(list(block)), ""]
    return Stack(*blocks, *_footnotes(groups, runs))


def listing_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows of equal keys as a table."""
    table = Table(pad_edge=False, box=box.SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    return table


def details_table(row: Mapping[str, Any]) -> Table:
    """One thing, a line per property."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in row.items():
        if value is not None:
            table.add_row(name.replace("_", " "), _value(value))
    return table


def _value(value: Any) -> RenderableType:
    if isinstance(value, Mapping):
        width = max(map(len, value), default=0)
        return Text("\n".join(f"{key:<{width}}  {_value(one)}" for key, one in value.items()))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    if isinstance(value, list | tuple):
        return Text("\n".join(map(str, value)) or "-")
    return Text(str(value))


def _table(groups: list[Group]) -> Table:
    first = groups[0]
    # A table of one's own may have a published benchmark's name; its pool is none of the published ones.
    published_pools = any(set(g.strategies) & set(STRATEGIES) for g in groups)
    known = facts.benchmarks().get(first.benchmark) if published_pools else None
    title = f"{known.title if known else first.benchmark}  ·  {first.protocol}  ·  {first.encoder} embeddings"
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
    published = any(g.published for g in groups)
    table.add_column("m", justify="right")
    table.add_column("router", no_wrap=True)
    shown = [name for name in SHOWN if name != "V_R" or any(g.values.get(name, math.nan) > 0 for g in groups)]
    for name in shown:
        table.add_column(f"{METRICS[name].symbol} [95 %]", justify="right", no_wrap=True)
    if published:
        table.add_column("published\nmu / V_R / V_B / E_p", justify="right", no_wrap=True)
    for m, of_size in groupby(groups, key=lambda g: g.m):
        for i, g in enumerate(of_size):
            cells = _cells(g, shown, published)
            table.add_row(str(m) if i == 0 else "", *cells, style="dim" if g.is_reference else None)
        table.add_section()
    return table


def _cells(g: Group, shown: Sequence[str], published: bool) -> list[RenderableType]:
    mark = Text(" *", style="bold green") if g.best else Text("")
    name = Text(g.label, style="bold" if g.best else "") + mark
    if g.errors:
        failed = Text(f"{len(g.errors)} of {g.runs} failed", style="bold red")
        return [name, failed, *[""] * (len(shown) - 1), *([""] if published else [])]
    cells: list[RenderableType] = [name, *(Text(_number(g, metric)) for metric in shown)]
    if published:
        row = g.published
        cells.append("" if row is None else f"{row.mu:.2f} / {row.V_R:.2f} / {row.V_B:.2f} / {row.E_p:.2f}")
    return cells


def _number(g: Group, metric: str) -> str:
    value = g.values[metric]
    if math.isnan(value):
        return "-"
    low, high = g.intervals[metric]
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} [{low:.2f}, {high:.2f}]"


def _footnotes(groups: Sequence[Group], runs: Sequence[StoredRun]) -> list[Text]:
    notes = ["* best router of its pool size" if any(g.best for g in groups) else ""]
    if any(g.is_reference for g in groups):
        notes[0] += f"{'; ' if notes[0] else ''}dim rows are references, which read the answers"
    notes = [note for note in notes if note]
    notes += [f"{name}: {protocols.protocol(name).about}" for name in sorted({g.protocol for g in groups})]
    strategies = sorted({(g.strategies, g.runs) for g in groups})
    if len(strategies) == 1:
        names, count = strategies[0]
        what = f"the mean over {count} runs" if count > 1 else "of one run"
        notes.append(f"each number is {what} ({', '.join(names)}); brackets are 95 % bootstrap intervals")
    else:
        notes.append("brackets are 95 % bootstrap intervals; numbers are means over:")
        for names, count in strategies:
            cells = sorted({f"{g.benchmark} m={g.m}" for g in groups if (g.strategies, g.runs) == (names, count)})
            notes.append(f"  {count} runs ({', '.join(names)}): {', '.join(cells)}")
    if any(g.published for g in groups):
        notes.append(_about_published(groups, runs))
    common = set.intersection(*(set(run.notes) for run in runs)) if runs else set()
    notes += sorted(common)
    for note in sorted({note for run in runs for note in run.notes} - common):
        where = sorted({run.spec.scenario for run in runs if note in run.notes})
        listed = ", ".join(where[:4]) + (f" and {len(where) - 4} more" if len(where) > 4 else "")
        notes.append(f"{note} ({listed})")
    lines = [Text(note, style="dim") for note in notes]
    errors = [error for g in groups for error in (f"{g.label} on {e}" for e in g.errors)]
    return lines + [Text(f"failed: {error}", style="red") for error in errors]


def _about_published(groups: Sequence[Group], runs: Sequence[StoredRun]) -> str:
    text = "published: Huang et al. 2025, as they ran it (paper protocol)"
    fewer = []
    for name in dict.fromkeys(g.benchmark for g in groups if g.published):
        tests = max((len(r.outcome.prompt_ids) for r in runs if r.spec.benchmark == name and r.outcome), default=0)
        whole = facts.benchmarks()[name].prompts
        # A tenth is tested on; a benchmark whose test part is clearly smaller is not the published one.
        if tests < 0.095 * whole:
            fewer.append(f"{name} ({tests} test prompts; published: about {whole // 10})")
    return text + (f"; not the same data: {', '.join(fewer)}" if fewer else "")
