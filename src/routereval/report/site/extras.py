"""The paper's tables and all figures, written beside the pages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routereval.errors import DataError, ResultsError
from routereval.progress import Progress, unseen
from routereval.results import ResultStore

TABLES = (
    ("markdown", "md", "Markdown"),
    ("latex", "tex", "LaTeX (booktabs)"),
    ("csv", "csv", "CSV, a line for each number"),
    ("json", "json", "JSON"),
)
"""Formats, the endings of their files, and what they are called."""

LAYOUTS = (
    ("benchmark", "by_benchmark", "Benchmarks across, the published numbers beside ours"),
    ("strategy", "by_strategy", "Strategies across"),
    ("subset", "by_subset", "Subsets across"),
)
"""What is across, the name of the files, and what they are."""

BROAD = 1200
"""A picture of more pixels across has several panels, which nobody can read on half of a page."""


@dataclass(frozen=True)
class Extras:
    """What was written.

    Parameters
    ----------
    tables, figures : as the page about data lists them; ``href`` within the report.
    notes : what could not be made, and why.
    """

    tables: tuple[dict[str, Any], ...]
    figures: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


NOTHING = Extras((), (), ())


def write_extras(store: ResultStore, folder: Path, progress: Progress = unseen) -> Extras:
    """Write ``tables`` and ``figures`` into the folder of a report."""
    notes: list[str] = []
    tables = list(_tables(store.path, folder, notes, progress))
    figures = list(_figures(store, folder, notes, progress))
    return Extras(tuple(tables), tuple(figures), tuple(notes))


def _tables(results: Path, folder: Path, notes: list[str], progress: Progress) -> Iterator[dict[str, Any]]:
    from routereval.report.tabling import tables

    (folder / "tables").mkdir()
    with progress("tables", len(LAYOUTS)) as advance:
        for by, name, about in LAYOUTS:
            try:
                made = tables(results, by=by, published=by == "benchmark")
                for format_, ending, title in TABLES:
                    path = folder / "tables" / f"{name}.{ending}"
                    path.write_text(made.written(format_), encoding="utf-8", newline="\n")
                    href = f"tables/{path.name}"
                    yield {"href": href, "about": f"{about}; {title}."}
            except (ResultsError, DataError) as error:
                notes.append(f"no tables {name.replace('_', ' ')}: {error}")
            advance()


def _figures(store: ResultStore, folder: Path, notes: list[str], progress: Progress) -> Iterator[dict[str, Any]]:
    from routereval.report.figures import FIGURES
    from routereval.report.figures.writing import Picture, draw_all

    with progress("figures", len(FIGURES)) as advance:
        made = draw_all(store, folder / "figures", data_too=True, advance=advance)
    for one in made:
        if not isinstance(one, Picture):
            where = f" ({one.where})" if one.where else ""
            notes.append(f"no figure {one.name}{where}: {one.reason}")
            continue
        width, height = _pixels(one.paths["png"])
        hrefs = {kind: f"figures/{path.name}" for kind, path in one.paths.items()}
        yield {
            "title": f"{one.title} ({one.where})",
            "alt": one.alt,
            "note": one.note,
            "image": hrefs["png"],
            # The browser keeps the place free until it reads the picture, so that no line jumps.
            **{"width": width, "height": height, "broad": width > BROAD},
            "href": hrefs["svg"],
            "files": [(kind.upper(), href) for kind, href in hrefs.items()],
        }


def _pixels(png: Path) -> tuple[int, int]:
    """Width and height of a PNG, which every file of the format begins with (PNG specification, 11.2.1)."""
    with png.open("rb") as file:
        width, height = struct.unpack(">16xII", file.read(24))
    return width, height
