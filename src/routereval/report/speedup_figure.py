"""How long a suite takes against the number of workers, with what would be ideal and what no number gets below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routereval.report.scaling_figure import check_format

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOUR = 3600.0


def save_speedup_figure(path: Path, rows: Sequence[Mapping[str, Any]], note: str = "") -> None:
    """Draw it into a PNG, SVG or PDF file; the same rows make the same file.

    Raises
    ------
    ParameterError : another ending, or no such folder.
    """
    from matplotlib import rc_context

    check_format(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    with rc_context({"svg.hashsalt": "routereval", "svg.fonttype": "none"}):
        speedup_figure(rows, note).savefig(path, dpi=160, metadata=undated)


def speedup_figure(rows: Sequence[Mapping[str, Any]], note: str = "") -> Figure:
    """The figure.

    Parameters
    ----------
    rows : with ``workers``, ``wall`` and ``critical`` (seconds).
    note : a line below.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    ordered = sorted(rows, key=lambda row: row["workers"])
    workers = [row["workers"] for row in ordered]
    hours = [row["wall"] / HOUR for row in ordered]
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    ideal = [hours[0] * workers[0] / count for count in workers]
    axes.plot(workers, ideal, color="0.45", linestyle="--", linewidth=1.2, label="ideal: half for twice as many")
    floor = ordered[-1]["critical"] / HOUR
    axes.axhline(floor, color="#D55E00", linestyle=":", linewidth=1.6, label="the longest piece: no less than this")
    axes.plot(workers, hours, color="#0072B2", marker="o", linewidth=1.8, label="simulated")
    for count, value in zip(workers, hours, strict=True):
        axes.annotate(duration(value * HOUR), (count, value), textcoords="offset points", xytext=(6, 6), fontsize=9)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(workers, [str(count) for count in workers])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("workers")
    axes.set_ylabel("wall time, hours")
    axes.grid(alpha=0.25, linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.margins(x=0.12)
    if note:
        figure.supxlabel(note, fontsize=8, color="0.35")
    return figure


def duration(seconds: float) -> str:
    """For people: ``2 d 3 h``, ``1 h 05 min``, ``12 min``, ``45 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / HOUR), 24)
    return f"{days} d {hours} h"
