"""Routers beside controls, on a terminal and as plain rows."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from routereval.report.controls import BASE, BLIND, USED, Check, Estimate, checks_of
from routereval.results import StoredRun

_EXPENDABLE = ("mu", "subset explains", f"over {BASE}")
"""Columns that are left out of a narrow table, the first first."""


def control_rows(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Every check as the object ``--controls --json`` prints; what does not exist is null."""
    rows = []
    for check in checks_of(runs):
        row: dict[str, Any] = {
            "benchmark": check.benchmark,
            "m": check.m,
            "router": check.label,
            "protocol": check.protocol,
            "encoder": check.encoder,
            "strategies": list(check.strategies),
            **_flat("mu", check.mu),
        }
        for name in (BASE, *BLIND):
            row |= _flat(f"over_{name}", check.over.get(name))
        row |= {"control": check.is_control, "used_prompt": check.used_prompt, "compared_with": dict(check.controls)}
        row |= _flat("explained_by_subset", check.explained)
        rows.append(row)
    return rows


def _flat(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    values = (math.nan,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    names = (name, f"{name}_low", f"{name}_high")
    return {one: None if math.isnan(value) else value for one, value in zip(names, values, strict=True)}


def controls_table(runs: Sequence[StoredRun], width: int | None = None) -> RenderableType:
    """Routers beside controls, a table per benchmark, protocol, encoder and data.

    Parameters
    ----------
    width : columns there are; where the tables need more, some are left out, and that is said. None: no limit.
    """
    checks = checks_of(runs)
    if not checks:
        return Text("no control was run; add --router shuffled_labels --router random_embeddings --router subset_only")
    groups = [list(group) for _, group in groupby(checks, key=lambda check: check.table)]
    measuring = Console(width=10_000, file=io.StringIO(), force_jupyter=False)
    for n in range(len(_EXPENDABLE) + 1):
        left_out = _EXPENDABLE[:n]
        tables = [_table(group, left_out) for group in groups]
        if width is None or all(measuring.measure(table).maximum <= width for table in tables):
            break
    blocks: list[RenderableType] = [block for table in tables for block in (table, "")]
    return Stack(*blocks, *_footnotes(checks, left_out))


def _table(checks: Sequence[Check], left_out: Sequence[str]) -> Table:
    first = checks[0]
    encoder = "no embeddings" if first.encoder == "none" else f"{first.encoder} embeddings"
    title = f"Controls: {first.benchmark}  ·  {first.protocol}  ·  {encoder}"
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_column("m", justify="right", no_wrap=True)
    table.add_column("router", max_width=36, overflow="fold")
    columns: dict[str, Callable[[Check], Estimate | None]] = {"mu": lambda check: check.mu}
    for name in (BASE, *(name for name in BLIND if any(name in check.over for check in checks))):
        columns[f"over {name}"] = partial(_over, name)
    if any(check.explained for check in checks):
        columns["subset explains"] = lambda check: check.explained
    shown = {name: of for name, of in columns.items() if name not in left_out}
    for name in shown:
        head = name.replace(" ", "\n", 1).replace("_", " ")
        table.add_column(f"{head}\n[95 %]", justify="right", no_wrap=True)
    table.add_column("verdict")
    for m, of_size in groupby(checks, key=lambda check: check.m):
        for i, check in enumerate(of_size):
            numbers = [_number(of(check), signed=name.startswith("over")) for name, of in shown.items()]
            style = "green" if check.used_prompt else "yellow" if check.used_prompt is False else ""
            cells = [Text(check.label), *map(Text, numbers), Text(check.verdict, style=style)]
            table.add_row(str(m) if i == 0 else "", *cells, style="dim" if check.is_control else None)
        table.add_section()
    return table


def _over(name: str, check: Check) -> Estimate | None:
    return check.over.get(name)


def _number(estimate: Estimate | None, *, signed: bool = False) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "-"
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.3f}\n[{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def _footnotes(checks: Sequence[Check], left_out: Sequence[str]) -> list[Text]:
    notes = [f"{USED}: better than both routers that cannot know it, 95 % intervals of the paired differences above 0"]
    if any(check.controls for check in checks):
        notes.append("a router is compared with the control made of it where that was run, else with the best control")
    if any(check.explained for check in checks):
        notes.append(
            "subset explains: the share of the gain over best_single that subset_only has, if there is any gain"
        )
    if any(check.used_prompt is None and not check.is_control for check in checks):
        notes.append("needs ...: that control was not run beside it")
    if left_out:
        notes.append(f"a terminal as narrow as this leaves out {', '.join(left_out)}; widen it, or see --json")
    return [Text(note, style="dim") for note in notes]
