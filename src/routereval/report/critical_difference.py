"""The critical-difference diagram: routers on a line of mean ranks, joined where they do not differ (Demsar 2006)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from routereval.errors import DataError, ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
_ROW, _BAR = 0.42, 0.35
"""How far apart names, and bars, lie below each other."""
_MARGIN = 0.42
"""Room for names on either side, as a share of the line of ranks."""
_NOTE = 130
"""How many characters a line of the note has."""


def groups_alike(ranks: Mapping[str, float], critical_difference: float) -> list[tuple[int, int]]:
    """First and last position, in order of rank, of each largest group within which no two differ; of two at least."""
    ordered = sorted(ranks.values())
    groups: list[tuple[int, int]] = []
    for first in range(len(ordered)):
        last = max(i for i in range(first, len(ordered)) if ordered[i] - ordered[first] <= critical_difference)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def diagram(
    ranks: Mapping[str, float], critical_difference: float, *, note: str = "", routers: int | None = None
) -> Figure:
    """The figure; best ranks on the left, a bar over routers that do not differ.

    Parameters
    ----------
    ranks : mean rank by router.
    critical_difference : what mean ranks must differ by.
    note : lines below, such as what was compared; names in it are text.
    routers : how many were ranked, where those here are only some of them.
    """
    from matplotlib.figure import Figure

    names = sorted(ranks, key=lambda name: ranks[name])
    groups = groups_alike(ranks, critical_difference)
    levels = _levels(groups)
    low, high = 1.0, float(max(2, routers or len(names)))
    bars = _BAR * (max(levels, default=-1) + 1)
    height = 1.1 + bars + _ROW * max((len(names) + 1) // 2, 1)
    figure = Figure(figsize=(9.5, 0.55 * height + 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    margin = _MARGIN * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(height, -1.5)
    _scale(axes, low, high)
    _routers(axes, {name: ranks[name] for name in names}, low, high, 0.75 + bars)
    for (first, last), level in zip(groups, levels, strict=True):
        y = 0.3 + _BAR * level
        a, b = ranks[names[first]], ranks[names[last]]
        axes.plot([a - 0.06, b + 0.06], [y, y], color="black", linewidth=3.2, solid_capstyle="butt")
    if not math.isnan(critical_difference):
        _measure(axes, low, high, critical_difference)
    if note:
        figure.supxlabel(_wrapped(note), fontsize=8, color="0.35")
    return figure


def _wrapped(note: str) -> str:
    """The note in lines that the figure has room for."""
    from routereval.report.figures.style import escaped
    from routereval.report.printable import printable

    lines = [part for one in note.splitlines() for part in textwrap.wrap(printable(one), _NOTE)]
    return escaped("\n".join(lines))


def _scale(axes: Axes, low: float, high: float) -> None:
    """The line of ranks, with ticks."""
    axes.plot([low, high], [0, 0], color="black", linewidth=1.2)
    step = 1 if high <= 12 else 2 if high <= 24 else 5 if high <= 60 else 10
    for tick in range(1, int(high) + 1):
        axes.plot([tick, tick], [-0.12, 0], color="black", linewidth=1)
        if (tick == 1 or tick % step == 0) if step > 2 else (tick - 1) % step == 0:
            axes.text(tick, -0.22, str(tick), ha="center", va="bottom", fontsize=9)
    start = low - _MARGIN * (high - low)
    axes.text(start, -0.22, "mean rank (1 is best)", ha="left", va="bottom", fontsize=9, color="0.3")


def _routers(axes: Axes, ranks: Mapping[str, float], low: float, high: float, top: float) -> None:
    """A line from each rank to the router's name: the better half, best first, on the left, the others on the right."""
    from routereval.report.figures.style import name_shown

    gap = 0.02 * _MARGIN * (high - low)
    for i, (name, rank) in enumerate(ranks.items()):
        on_left = i < (len(ranks) + 1) // 2
        y = top + _ROW * (i if on_left else len(ranks) - 1 - i)
        edge = low - gap if on_left else high + gap
        axes.plot([rank, rank, edge], [0, y, y], color="0.45", linewidth=0.8)
        shown = name_shown(name, 44)
        label = f"{shown}  {rank:.1f}" if on_left else f"{rank:.1f}  {shown}"
        beside = edge - gap if on_left else edge + gap
        axes.text(beside, y, label, ha="right" if on_left else "left", va="center", fontsize=9)


def _measure(axes: Axes, low: float, high: float, critical_difference: float) -> None:
    """The critical difference, as long as it is on the line of ranks; where it is longer than that, an arrow."""
    beyond = critical_difference > high - low
    end = high if beyond else low + critical_difference
    axes.plot([low, end], [-1.05, -1.05], color="black", linewidth=1.2, marker="|", markersize=7)
    if beyond:
        axes.plot([end], [-1.05], color="black", marker=">", markersize=7)
    text = f"critical difference {critical_difference:.2f}"
    axes.annotate(text, (end, -1.05), xytext=(7, 0), textcoords="offset points", va="center", fontsize=9)


def save_diagram(ranks: Mapping[str, float], critical_difference: float, path: Path, *, note: str = "") -> None:
    """Draw it into a PNG, SVG or PDF file.

    Raises
    ------
    ParameterError : another ending, or fewer than two routers.
    DataError : the file cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ParameterError(f"{path} ends in {path.suffix or 'nothing'}; expected {', '.join(ENDINGS)}")
    if len(ranks) < 2:
        raise ParameterError(f"{len(ranks)} routers have every cell; a diagram compares two at least")
    try:
        diagram(ranks, critical_difference, note=note).savefig(path, dpi=150, metadata=_no_date(path))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def _levels(groups: list[tuple[int, int]]) -> list[int]:
    """On which line each bar lies, so that bars that overlap lie on different ones."""
    ends: list[int] = []
    levels = []
    for first, last in groups:
        level = next((i for i, end in enumerate(ends) if end < first), len(ends))
        ends[level : level + 1] = [last]
        levels.append(level)
    return levels


def _no_date(path: Path) -> dict[str, None] | None:
    """The same picture gives the same file, whenever it was drawn."""
    return (
        {"Date": None}
        if path.suffix.lower() == ".svg"
        else {"CreationDate": None}
        if path.suffix.lower() == ".pdf"
        else None
    )
