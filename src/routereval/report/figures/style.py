"""How figures look: colours for any eye, marks that differ without colour, names that are only names, files."""

from __future__ import annotations

import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routereval import facts
from routereval.errors import DataError
from routereval.report.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without its yellow, which is hard to see on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8", "H")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
HATCHES = ("///", "...", "\\\\\\", "xxx")
MOST_PANELS = 12
NOTHING_RAN = "no run on all training prompts succeeded; make some with: routereval run"
NO_RECORD = (
    "the file does not hold what the models of these pools scored, as files of earlier versions do not; "
    "routereval run on the same scenarios, into a new file, keeps it"
)
GREY, PALE, DARK = "0.45", "0.85", "0.2"
SMALL, NORMAL = 7.5, 9.0
FORMATS = ("png", "svg", "pdf")


def short(name: str, width: int = 30) -> str:
    """Somebody's name on one line: nothing in it acts, and what is too long loses its middle."""
    text = printable(name)
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def escaped(text: str) -> str:
    """Text for matplotlib, to which a pair of "$" holds mathematics."""
    return text.replace("$", r"\$")


def name_shown(name: str, width: int = 30) -> str:
    """Somebody's name for matplotlib, without markup."""
    return escaped(short(name, width))


def distinct(names: Sequence[str]) -> list[str]:
    """Names without the whole words that all of them begin or end with: ``open-llm-leaderboard__``, ``-details``."""
    if len(names) < 2:
        return list(names)
    head, tail = _shared_words(names), _shared_words([name[::-1] for name in names])
    cut = [name[head : len(name) - tail] for name in names]
    return cut if min(map(len, cut)) > 2 and len(set(cut)) == len(set(names)) else list(names)


def _shared_words(names: Sequence[str]) -> int:
    """How many characters of whole words names begin with alike; a few are not worth their absence."""
    first, last = min(names), max(names)
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    length = max((found.end() for found in re.finditer(r"[-_/]+", first[:alike])), default=0)
    return length if length >= 6 else 0


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names in a sentence, the first of many."""
    shown = ", ".join(short(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def benchmark_shown(benchmark: str, width: int = 34) -> str:
    """A published benchmark's title, or the name of one's own."""
    known = facts.benchmarks().get(benchmark)
    return known.title if known is not None else name_shown(benchmark, width)


def mark(i: int) -> dict[str, Any]:
    """Colour and marker of the i-th series; they come round at different times."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def line(i: int) -> dict[str, Any]:
    """The same with dashes."""
    return {**mark(i), "linestyle": DASHES[i % len(DASHES)]}


def panels(
    count: int,
    across: int,
    size: tuple[float, float],
    *,
    margin: tuple[float, float] = (0.6, 0.6),
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels.

    Parameters
    ----------
    size, margin : width and height, inches: of a panel, and of what is around all of them.
    """
    from matplotlib.figure import Figure

    across = max(1, min(across, count))
    down = math.ceil(count / across)
    figure = Figure(figsize=(size[0] * across + margin[0], size[1] * down + margin[1]))
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.06)
    grid = list(figure.subplots(down, across, squeeze=False, sharey=sharey).flat)
    for spare in grid[count:]:
        spare.set_visible(False)
    for axes in grid[:count]:
        plain(axes)
    return figure, grid[:count]


def legend(figure: Figure, styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Names of lines beside the panels, each with a piece of its line."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], markersize=4, **style) for style in styles.values()]
    names = [name_shown(label) for label in styles]
    figure.legend(handles, names, loc="outside right upper", fontsize=SMALL + 0.5, frameon=False, handlelength=3.2)


def plain(axes: Axes) -> None:
    """Thin axes, light grid."""
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def put_note(figure: Figure, note: str) -> None:
    """Write the note below the figure; :func:`save` makes room for it."""
    width = max(50, int(figure.get_figwidth() * 72 / (SMALL * 0.56)))
    lines = [part for one in note.splitlines() for part in (textwrap.wrap(one, width) or [""])]
    text = escaped("\n".join(lines))
    figure.text(0.01, -0.08 / figure.get_figheight(), text, ha="left", va="top", fontsize=SMALL, color="0.3")


@contextmanager
def drawing() -> Iterator[None]:
    """Settings that a figure is made and saved with, whatever those of the caller are."""
    from matplotlib import rc_context, rcParamsDefault

    settings: dict[Any, Any] = {name: value for name, value in rcParamsDefault.items() if "backend" not in name}
    settings |= {"svg.hashsalt": "routereval", "svg.fonttype": "none", "hatch.linewidth": 0.6}
    with rc_context(settings), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes in a PNG; that is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _box(figure: Figure) -> Bbox:
    """All there is in a figure, the note below it too, with a margin; inches."""
    if figure.get_layout_engine() is not None:
        # Once is enough: every file of a figure has its parts in the same places.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure.get_tightbbox().padded(0.1)


def save(figure: Figure, path: Path, *, title: str = "", alt: str = "") -> None:
    """Write a figure into a PNG, SVG or PDF file, as its ending says; the same figure makes the same file.

    Raises
    ------
    DataError : the file cannot be written.
    """
    ending = path.suffix.lower()
    about = "Subject" if ending == ".pdf" else "Description"
    metadata: dict[str, Any] = {name: text for name, text in (("Title", title), (about, alt)) if text}
    if ending != ".png":
        # A date would make every file another.
        metadata["Date" if ending == ".svg" else "CreationDate"] = None
    try:
        with drawing():
            box = _box(figure)
            figure.savefig(path, dpi=150, bbox_inches=box, metadata=metadata)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def counted(count: int, noun: str) -> str:
    """``1 benchmark``, ``2 benchmarks``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
