"""The table of the paper on a terminal: benchmark x router, mu / V_R / V_B / E_p, each with its interval."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from routereval import facts, protocols
from routereval.data.scenario import STRATEGIES
from routereval.metrics import METRICS
from routereval.report.groups import SHOWN, Group, groups_of
from routereval.report.printable import printable
from routereval.report.provenance import statements
from routereval.results import StoredRun
from routereval.results.run import PREDICTIONS_FILE

FEW = 30
"""Below this many test prompts a table says that there are few."""


@dataclass(frozen=True)
class Layout:
    """How wide a table is laid out; every number shown has its interval, whatever the width.

    Parameters
    ----------
    metrics : which are shown.
    below : whether an interval stands below its number instead of beside it.
    published : whether the published numbers stand beside ours.
    """

    metrics: tuple[str, ...] = SHOWN
    below: bool = False
    published: bool = True

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self.metrics == SHOWN and self.published


LAYOUTS = (
    Layout(),
    Layout(below=True),
    Layout(below=True, published=False),
    Layout(("mu", "V_B", "E_p"), below=True, published=False),
    Layout(("mu", "V_B"), below=True, published=False),
    Layout(("mu",), below=True, published=False),
)
"""From the widest table to the narrowest."""


def results_table(runs: Sequence[StoredRun], width: int | None = None) -> RenderableType:
    """All runs as tables, one per benchmark, protocol, encoder and data, with what a reader should know below them.

    Parameters
    ----------
    width : columns there are; where the tables need more, intervals stand below their numbers, then columns are left
        out, and that is said. None: no limit.
    """
    if not runs:
        return Text("no runs are stored yet")
    groups = groups_of(runs)
    tables = [list(block) for _, block in groupby(groups, key=lambda g: g.table)]
    layout = _layout(tables, width)
    versions = Counter((g[0].benchmark, g[0].protocol, g[0].encoder) for g in tables)
    blocks: list[RenderableType] = []
    for table in tables:
        first = table[0]
        several = versions[first.benchmark, first.protocol, first.encoder] > 1
        blocks += [_table(table, layout, name_data=several), ""]
    return Stack(*blocks, *_footnotes(groups, runs, layout))


def _layout(tables: Sequence[list[Group]], width: int | None) -> Layout:
    """The first layout in which every table fits, else the narrowest."""
    if width is None:
        return LAYOUTS[0]
    measuring = Console(width=10_000, file=io.StringIO(), force_jupyter=False)
    for layout in LAYOUTS:
        if all(measuring.measure(_table(table, layout)).maximum <= width for table in tables):
            return layout
    return LAYOUTS[-1]


def listing_table(rows: Sequence[Mapping[str, Any]], *, words: bool = True) -> Table:
    """Rows of equal keys as a table.

    Parameters
    ----------
    words : whether the keys are words joined by underscores; else they are names and stand as they are.
    """
    table = Table(pad_edge=False, box=box.SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        table.add_column(Text(name.replace("_", " ") if words else printable(name)))
    for row in rows:
        table.add_row(*(_in_a_row(value, lines=name == PROMPT) for name, value in row.items()))
    return table


PROMPT = "text"
"""What a prompt says: the one thing in a listing that may be of several lines."""


def _in_a_row(value: Any, *, lines: bool) -> Text:
    if isinstance(value, Mapping):
        text = ", ".join(key if one is None else f"{key}={one}" for key, one in value.items())
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    # Text, never a string: what stands in [ ] would be taken for markup.
    return Text(printable(text, keep="\n" if lines else ""))


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
        return Text("\n".join(printable(str(one)) for one in value) or "-")
    return Text(printable(str(value), keep="\n"))


def _table(groups: list[Group], layout: Layout, *, name_data: bool = False) -> Table:
    table = Table(title=_title(groups, name_data), title_justify="left", title_style="bold", pad_edge=False)
    table.box = box.SIMPLE_HEAD
    published = layout.published and any(g.published for g in groups)
    table.add_column("m", justify="right", no_wrap=True)
    table.add_column("router", no_wrap=True)
    shown = [name for name in layout.metrics if name != "V_R" or any(g.values.get(name, math.nan) > 0 for g in groups)]
    for name in shown:
        table.add_column(f"{METRICS[name].symbol}{_gap(layout)}[95 %]", justify="right", no_wrap=True)
    if published:
        table.add_column("published\nmu / V_R / V_B / E_p", justify="right", no_wrap=True)
    for m, of_size in groupby(groups, key=lambda g: g.m):
        for i, g in enumerate(of_size):
            cells = _cells(g, shown, layout, published)
            table.add_row(str(m) if i == 0 else "", *cells, style="dim" if g.is_reference else None)
        table.add_section()
    return table


def _title(groups: list[Group], name_data: bool) -> str:
    first = groups[0]
    # A table of one's own may have a published benchmark's name; its pool is none of the published ones.
    published_pools = any(set(g.strategies) & set(STRATEGIES) for g in groups)
    known = facts.benchmarks().get(first.benchmark) if published_pools else None
    parts = [known.title if known else first.benchmark, first.protocol]
    if not all(g.router.startswith(PREDICTIONS_FILE) or g.is_reference for g in groups):
        parts.append("no embeddings" if first.encoder == "none" else f"{first.encoder} embeddings")
    parts.append(f"{max(g.prompts for g in groups)} test prompts")
    if name_data:
        parts.append(f"data {first.data_hash[:8]}, run {max(g.ended for g in groups)[:10]}")
    return "  ·  ".join(parts)


def _cells(g: Group, shown: Sequence[str], layout: Layout, published: bool) -> list[RenderableType]:
    mark = Text(" *", style="bold green") if g.best else Text("")
    only = Text("" if g.whole else f" ({', '.join(g.strategies)} only)", style="yellow")
    old = Text(" (earlier code)" if g.superseded else "", style="yellow")
    name = Text(printable(g.label), style="bold" if g.best else "") + mark + only + old
    if g.errors:
        failed = Text(f"{len(g.errors)} of {g.runs} failed", style="bold red")
        return [name, failed, *[""] * (len(shown) - 1), *([""] if published else [])]
    cells: list[RenderableType] = [name, *(Text(_number(g, metric, layout)) for metric in shown)]
    if published:
        row = g.published
        cells.append("" if row is None else f"{row.mu:.2f} / {row.V_R:.2f} / {row.V_B:.2f} / {row.E_p:.2f}")
    return cells


def _number(g: Group, metric: str, layout: Layout) -> str:
    value = g.values[metric]
    if math.isnan(value):
        return "-"
    low, high = g.intervals[metric]
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f}{_gap(layout)}[{low:.2f}, {high:.2f}]"


def _gap(layout: Layout) -> str:
    return "\n" if layout.below else " "


def _footnotes(groups: Sequence[Group], runs: Sequence[StoredRun], layout: Layout) -> list[Text]:
    marks = ["* best router of its pool size"] if any(g.best for g in groups) else []
    if any(g.is_reference for g in groups):
        marks.append("dim rows are references, which read the answers")
    notes = ["; ".join(marks)] if marks else []
    notes += [f"{name}: {protocols.protocol(name).about}" for name in sorted({g.protocol for g in groups})]
    notes += _about_means(groups)
    notes.append("brackets are 95 % bootstrap intervals")
    if not layout.whole:
        left_out = [METRICS[name].symbol for name in SHOWN if name not in layout.metrics]
        if not layout.published and any(g.published for g in groups):
            left_out.append("published numbers")
        if left_out:
            notes.append(f"a terminal as narrow as this leaves out {', '.join(left_out)}; widen it, or see --json")
    few = sorted({f"{g.benchmark} has {g.prompts}" for g in groups if 0 < g.prompts < FEW})
    if few:
        notes.append(f"few test prompts, so differences mean little: {', '.join(few)}")
    if layout.published and any(g.published for g in groups):
        notes.append(_about_published(groups, runs))
    notes += statements(runs)
    common = set.intersection(*(set(run.notes) for run in runs)) if runs else set()
    notes += sorted(common)
    for note in sorted({note for run in runs for note in run.notes} - common):
        where = sorted({run.spec.scenario for run in runs if note in run.notes})
        listed = ", ".join(where[:4]) + (f" and {len(where) - 4} more" if len(where) > 4 else "")
        notes.append(f"{note} ({listed})")
    lines = [Text(note, style="dim") for note in notes if note]
    errors = [error for g in groups for error in (f"{g.label} on {e}" for e in g.errors)]
    return lines + [Text(f"failed: {error}", style="red") for error in errors]


def _about_means(groups: Sequence[Group]) -> list[str]:
    """What the numbers average over, once for all groups that average over the same."""
    over: dict[str, list[Group]] = {}
    for g in groups:
        seeds = "" if len(g.seeds) == 1 else f" x {len(g.seeds)} seeds"
        if len(g.strategies) == 1 and not seeds:
            what = f"of one run ({g.strategies[0]})"
        else:
            count = f"{len(g.strategies)} strategies" if len(g.strategies) > 1 else "one strategy"
            what = f"the mean over {count} ({', '.join(g.strategies)}){seeds}"
        # The label of a group that is not whole says so itself; of references one seed is all there is.
        if g.whole and not (g.is_reference and len(groups) > 1 and any(not h.is_reference for h in groups)):
            over.setdefault(what, []).append(g)
    if len(over) <= 1:
        return [f"each number is {what}" for what in over]
    lines = ["a number is"]
    for what, members in over.items():
        cells = sorted({f"{g.benchmark} m={g.m} {g.label}" for g in members})
        more = f" and {len(cells) - 6} more" if len(cells) > 6 else ""
        lines.append(f"  {what}: {', '.join(cells[:6])}{more}")
    return lines


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
