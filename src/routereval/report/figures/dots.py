"""Dot plots: a row for each router, best on top, the number as a mark with its interval; a panel for each benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routereval.report.figures.cells import Estimate
from routereval.report.figures.style import COLOURS, GREY, MARKERS, NORMAL, SMALL, name_shown, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.25
Values = Mapping[tuple[str, str], Estimate]
"""By row and series."""


@dataclass(frozen=True)
class DotPlot:
    """What dot plots of several panels have in common.

    Parameters
    ----------
    rows : routers, from the top down; ``below`` : references, under a line.
    series : what differs in colour and marker.
    xlabel : of all panels.
    limits : what lies outside is an arrow on the edge, with its number; None: everything is inside.
    lines : upright lines, with what they are.
    across : panels beside each other.
    """

    rows: Sequence[str]
    below: Sequence[str]
    series: Sequence[str]
    xlabel: str
    limits: tuple[float, float] | None = None
    lines: Mapping[str, float] | None = None
    across: int = 4

    def figure(self, titles: Sequence[str], values: Sequence[Values]) -> Figure:
        """A panel for each title (text for matplotlib) and its values."""
        names = [*self.rows, *self.below]
        each = ROW_INCHES * (1 + 0.22 * max(0, len(self.series) - 2))
        height = each * max(2, len(names)) + 0.55
        figure, all_axes = panels(
            len(titles), self.across, (2.55, height), margin=(1.9, 0.75 if len(self.series) > 1 else 0.4), sharey=True
        )
        for axes, title, here in zip(all_axes, titles, values, strict=True):
            self._panel(axes, here)
            axes.set_title(title, fontsize=NORMAL)
        first = all_axes[0]
        first.set_ylim(len(names) - 0.5, -0.5)
        first.set_yticks(range(len(names)), [name_shown(name) for name in names], fontsize=SMALL + 0.5)
        if len(self.series) > 1:
            handles, labels = first.get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside upper center", ncol=min(len(labels), 5), fontsize=NORMAL, frameon=False
            )
        figure.supxlabel(self.xlabel, fontsize=NORMAL)
        return figure

    def _panel(self, axes: Axes, values: Values) -> None:
        names = [*self.rows, *self.below]
        for row in range(0, len(names), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="0.96", linewidth=0, zorder=0)
        if self.below and self.rows:
            axes.axhline(len(self.rows) - 0.5, color=GREY, linewidth=0.7)
        for x in (self.lines or {}).values():
            axes.axvline(x, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        for s, series in enumerate(self.series):
            offset = 0.0 if len(self.series) == 1 else 0.62 * (s / (len(self.series) - 1) - 0.5)
            style: dict[str, Any] = {"color": COLOURS[s % len(COLOURS)], "marker": MARKERS[s % len(MARKERS)]}
            found = [(row + offset, values.get((name, series))) for row, name in enumerate(names)]
            marks = [(y, one) for y, one in found if one is not None and not math.isnan(one.value)]
            self._marks(axes, marks, style, name_shown(series))
        if self.limits is not None:
            axes.set_xlim(*self.limits)
        axes.locator_params(axis="x", nbins=5)

    def _marks(self, axes: Axes, marks: Sequence[tuple[float, Estimate]], style: Mapping[str, Any], label: str) -> None:
        """One series: an interval and a mark for each row."""
        low, high = self.limits or (-math.inf, math.inf)
        bounded = [(y, one) for y, one in marks if not math.isnan(one.low) and one.high >= low and one.low <= high]
        starts, ends = [max(one.low, low) for _, one in bounded], [min(one.high, high) for _, one in bounded]
        axes.hlines([y for y, _ in bounded], starts, ends, color=style["color"], linewidth=1.3, alpha=0.75)
        inside = [(y, one.value) for y, one in marks if low <= one.value <= high]
        # Drawn even without a mark, so that the legend has every series.
        xs, ys = [x for _, x in inside], [y for y, _ in inside]
        axes.plot(xs, ys, linestyle="none", markersize=4.5, label=label, **style)
        for y, one in marks:
            if not low <= one.value <= high:
                self._beyond(axes, y, one.value, style["color"])

    def _beyond(self, axes: Axes, y: float, value: float, colour: str) -> None:
        """An arrow on the edge, with the number."""
        assert self.limits is not None
        low, high = self.limits
        edge, marker, pad, side = (low, "<", 1, "left") if value < low else (high, ">", -1, "right")
        axes.plot([edge + pad * 0.02 * (high - low)], [y], color=colour, marker=marker, markersize=5)
        axes.annotate(
            f"{value:.1f}", (edge, y), xytext=(pad * 9, 0), textcoords="offset points", ha=side, va="center",
            fontsize=SMALL - 1, color="0.25",
        )  # fmt: skip
