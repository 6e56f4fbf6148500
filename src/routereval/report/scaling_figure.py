"""The scaling figure: scores against the number of candidates on a log axis, a panel for each benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routereval import facts
from routereval.errors import ParameterError
from routereval.report.curves import CHANCE, ORACLE, PUBLISHED, share_label
from routereval.report.figures.style import MARKERS, name_shown

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""For routers: of Okabe and Ito's palette, which people with any kind of colour vision can tell apart."""
DASHES = ("-", "--", "-.", ":")
PANELS_A_ROW = 3
Rows = Sequence[Mapping[str, Any]]


def check_format(path: Path) -> None:
    """Whether a figure can be written to a file of this name.

    Raises
    ------
    ParameterError : it ends in something else than .png, .svg or .pdf, or its folder is not there.
    """
    if path.suffix.lower() not in FORMATS:
        raise ParameterError(f"cannot draw into {path}: its name should end in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ParameterError(f"cannot draw into {path}: there is no folder {path.parent}")


def save_scaling_figure(path: Path, rows: Rows, references: Mapping[str, float | None] | None = None) -> None:
    """Draw curves into a file; the same rows make the same file.

    Raises
    ------
    ParameterError : as :func:`check_format`.
    """
    from matplotlib import rc_context

    check_format(path)
    # Without a date and with ids from a fixed salt, an SVG does not change from one drawing to the next.
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    with rc_context({"svg.hashsalt": "routereval", "svg.fonttype": "none"}):
        scaling_figure(rows, references).savefig(path, dpi=160, metadata=undated)


def scaling_figure(rows: Rows, references: Mapping[str, float | None] | None = None) -> Figure:
    """Curves with the 95 % interval of each mean as a band, published ones dotted, Perf(ref) dashed.

    Parameters
    ----------
    rows : of :func:`routereval.report.curves.curve_rows` and :func:`~routereval.report.curves.published_rows`.
    references : Perf(ref) by benchmark.
    """
    from matplotlib.figure import Figure

    benchmarks = list(dict.fromkeys(row["benchmark"] for row in rows))
    policies = _in_order(list(dict.fromkeys(row["policy"] for row in rows)))
    styles = _styles([name for name in policies if not name.endswith(PUBLISHED)])
    across = min(PANELS_A_ROW, len(benchmarks))
    down = math.ceil(len(benchmarks) / across)
    figure = Figure(figsize=(3.9 * across + 1.9, 3.1 * down + 0.4), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    entries: dict[str, Artist] = {}
    for axes, benchmark in zip(panels, benchmarks, strict=False):
        _panel(axes, [row for row in rows if row["benchmark"] == benchmark], policies, styles)
        reference = (references or {}).get(benchmark)
        if reference is not None:
            axes.axhline(reference, color="0.25", linestyle=(0, (5, 4)), linewidth=1, label="Perf(ref)", zorder=1)
        known = facts.benchmarks().get(benchmark)
        axes.set_title(name_shown(benchmark, 44) if known is None else known.title, fontsize=10)
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    for axes in panels[len(benchmarks) :]:
        axes.set_visible(False)
    # Beside the panels: no curve lies beneath it, and its order from above is theirs.
    figure.legend(list(entries.values()), list(entries), loc="outside right upper", fontsize=8, frameon=False)
    figure.supxlabel("candidates m", fontsize=10)
    figure.supylabel("mean score", fontsize=10)
    return figure


def _panel(axes: Axes, rows: Rows, policies: Sequence[str], styles: Mapping[str, dict[str, Any]]) -> None:
    for policy in policies:
        curve = sorted((row for row in rows if row["policy"] == policy), key=lambda row: row["m"])
        if not curve:
            continue
        m, mu = [row["m"] for row in curve], [row["mu"] for row in curve]
        if policy.endswith(PUBLISHED):
            style = styles.get(policy.removesuffix(PUBLISHED), {"color": "0.5"})
            axes.plot(m, mu, linestyle=":", marker=".", markersize=4, linewidth=1, color=style["color"], label="_")
            continue
        share = _share(policy)
        # A few sizes are points that lines join; hundreds are a line, on which a router's mark stands now and then.
        few = len(curve) < 30
        styled = {**styles[policy], "markevery": None if few else 0.1}
        if share is not None:
            styled["marker"] = "o" if few else ""
        axes.plot(m, mu, **styled, markersize=3 if share is not None else 4, label=_title(policy))
        if share is not None:
            # Shades are hard to count on paper: p stands at the end of its curve.
            end = (m[-1], mu[-1])
            axes.annotate(
                f"{share:g}", end, xytext=(4, 0), textcoords="offset points", va="center", fontsize=6.5, color="0.3"
            )
        banded = [row for row in curve if row["mu_low"] is not None]
        axes.fill_between(
            [row["m"] for row in banded],
            [row["mu_low"] for row in banded],
            [row["mu_high"] for row in banded],
            color=styles[policy]["color"],
            alpha=0.2,
            linewidth=0,
        )
    if any(row["policy"].endswith(PUBLISHED) for row in rows):
        axes.plot([], [], linestyle=":", marker=".", markersize=4, linewidth=1, color="0.4", label="published")
    _log_axis(axes, [row["m"] for row in rows])
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _log_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """A log axis with plain numbers: powers of ten, and 2 and 5 times these where there are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    few = max(sizes) / min(sizes) < 200
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda m, _: f"{m:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _in_order(policies: Sequence[str]) -> list[str]:
    """r_o(p) from the oracle down to chance, each once, then routers, then what is published."""
    ours = [name for name in policies if not name.endswith(PUBLISHED)]
    doubled = {share_label(p) for name, p in ((ORACLE, 1), (CHANCE, 0)) if name in ours}
    mixtures = [name for name in ours if _share(name) is not None and name not in doubled]
    routers = [name for name in ours if _share(name) is None]
    published = [name for name in policies if name.endswith(PUBLISHED)]
    return [*sorted(mixtures, key=lambda name: -(_share(name) or 0.0)), *routers, *published]


def _styles(policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """r_o(p) by the shade of a colour map that is even to any eye, routers by colour, dashes and marks."""
    from matplotlib import colormaps

    styles: dict[str, dict[str, Any]] = {}
    routers = 0
    for policy in policies:
        share = _share(policy)
        if share is not None:
            # Dark is chance, and the lightest shade still shows on white.
            styles[policy] = {"color": colormaps["cividis"](0.9 * share), "linewidth": 1.2}
        else:
            dashes = DASHES[(routers // len(COLOURS) + routers) % len(DASHES)]
            colour, marker = COLOURS[routers % len(COLOURS)], MARKERS[routers % len(MARKERS)]
            # Lines that cross are told apart by their marks where there is no colour.
            styles[policy] = {"color": colour, "linewidth": 1.8, "linestyle": dashes, "marker": marker}
            routers += 1
    for name, share in ((share_label(1), 1.0), (share_label(0), 0.0)):
        styles.setdefault(name, {"color": colormaps["cividis"](0.9 * share), "linewidth": 1.2})
    return styles


def _share(policy: str) -> float | None:
    """p of r_o(p); the oracle is 1, chance is 0, a router none."""
    if policy in (ORACLE, CHANCE):
        return 1.0 if policy == ORACLE else 0.0
    head, _, value = policy.partition("r_o:p=")
    return float(value) if not head and value and not value.endswith(PUBLISHED) else None


def _title(policy: str) -> str:
    share = _share(policy)
    if policy in (ORACLE, CHANCE):
        return f"{policy} = $r_o$({share:g})"
    if share is not None:
        return f"$r_o$({share:g})"
    # A label that begins with "_" is none to matplotlib.
    shown = name_shown(policy, 36)
    return f" {shown}" if shown.startswith("_") else shown
