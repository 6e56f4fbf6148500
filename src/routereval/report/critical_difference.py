"""The critical-difference diagram: routers on a line of mean ranks, joined where they do not differ (Demsar 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from routereval.errors import DataError, ParameterError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")


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
    note : a line below, such as what was compared.
    routers : how many were ranked, where those here are only some of them.
    """
    from matplotlib.figure import Figure

    from routereval.report.figures.style import name_shown

    ordered = sorted(ranks, key=lambda name: ranks[name])
    count = len(ordered)
    left, right = (count + 1) // 2, count // 2
    groups = groups_alike(ranks, critical_difference)
    low, high = 1.0, float(max(2, routers or count))
    rows = max(left, right, 1)
    levels = _levels(groups)
    bars = 0.35 * (max(levels, default=-1) + 1)
    height = 1.1 + bars + 0.42 * rows
    figure = Figure(figsize=(9.5, 0.55 * height + 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    margin = 0.42 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(height, -1.5)
    axes.plot([low, high], [0, 0], color="black", linewidth=1.2)
    step = 1 if high <= 12 else 2 if high <= 24 else 5 if high <= 60 else 10
    for tick in range(1, int(high) + 1):
        axes.plot([tick, tick], [-0.12, 0], color="black", linewidth=1)
        if (tick == 1 or tick % step == 0) if step > 2 else (tick - 1) % step == 0:
            axes.text(tick, -0.22, str(tick), ha="center", va="bottom", fontsize=9)
    axes.text(low - margin, -0.22, "mean rank (1 is best)", ha="left", va="bottom", fontsize=9, color="0.3")
    for i, name in enumerate(ordered):
        rank = ranks[name]
        on_left = i < left
        row = i if on_left else count - 1 - i
        y = 0.75 + bars + 0.42 * row
        edge = low - 0.02 * margin if on_left else high + 0.02 * margin
        axes.plot([rank, rank, edge], [0, y, y], color="0.45", linewidth=0.8)
        label = f"{name_shown(name, 44)}  {rank:.1f}" if on_left else f"{rank:.1f}  {name_shown(name, 44)}"
        beside = edge - 0.02 * margin if on_left else edge + 0.02 * margin
        axes.text(beside, y, label, ha="right" if on_left else "left", va="center", fontsize=9)
    for (first, last), level in zip(groups, levels, strict=True):
        y = 0.3 + 0.35 * level
        a, b = ranks[ordered[first]], ranks[ordered[last]]
        axes.plot([a - 0.06, b + 0.06], [y, y], color="black", linewidth=3.2, solid_capstyle="butt")
    if critical_difference == critical_difference:
        axes.plot(
            [low, low + critical_difference], [-1.05, -1.05], color="black", linewidth=1.2, marker="|", markersize=7
        )
        text = f"critical difference {critical_difference:.2f}"
        end = (low + critical_difference, -1.05)
        axes.annotate(text, end, xytext=(7, 0), textcoords="offset points", va="center", fontsize=9)
    if note:
        figure.supxlabel(note, fontsize=8, color="0.35")
    return figure


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
