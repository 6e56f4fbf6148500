"""The whole site: read a results file once, write its pages, scripts and data into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routereval.errors import ResultsError
from routereval.progress import Progress, unseen
from routereval.report.site.boards import BoardMaker
from routereval.report.site.comparisons import Tested, tested
from routereval.report.site.credits import Credit, credits_of
from routereval.report.site.csv_files import RunsFile, write_boards, write_scenes
from routereval.report.site.embedding import breakable, lines, shown
from routereval.report.site.extras import NOTHING, Extras, write_extras
from routereval.report.site.folder import replacing
from routereval.report.site.inventory import Inventory, OnRun, Run, take_inventory
from routereval.report.site.page import Page
from routereval.report.site.pages import POLICY, about_page, pages_of
from routereval.report.site.scenes import read_scenes
from routereval.results import ResultStore
from routereval.results.submitted import submissions_in

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = files("routereval.report.site")
_DATA = (
    ("leaderboard.csv", "Every leaderboard: each choice of benchmark, pool size, strategy, protocol and encoder."),
    ("scenarios.csv", "Every router on every scenario, means over seeds, with intervals."),
    ("runs.csv", "Every run: its key, metrics, intervals, seconds, error, and the command that makes it again."),
)

MANY = 10_000
"""Runs of more take minutes to test, tabulate and draw, each by itself; the pages are made of all at once."""
TOO_MANY = (
    "no paired tests, tables and figures of {:,} runs, which would take many minutes: ask for them by --extras, or for "
    "some of them by routereval compare, tables and figures"
)


@dataclass(frozen=True)
class Built:
    """A report that was written.

    Parameters
    ----------
    folder : where; ``index.html`` is the first page.
    pages, runs, failed : how many.
    notes : what was left out and why.
    """

    folder: Path
    pages: int
    runs: int
    failed: int
    notes: tuple[str, ...] = ()


def build_site(results: Path, out: Path, *, extras: bool | None = False, progress: Progress = unseen) -> Built:
    """Write the report of a results file into a folder, replacing a report that is there.

    Parameters
    ----------
    extras : whether there are paired tests, and the paper's tables and all figures, in ``tables`` and ``figures``;
        None: unless there are too many runs, which a note says then.

    Raises
    ------
    ResultsError : no results file, or it cannot be read.
    ParameterError : the folder holds something that is no report of ours.
    """
    with ResultStore(results, create=False) as store, replacing(out) as folder:
        (folder / "data").mkdir()
        with RunsFile(folder / "data" / "runs.csv") as file:
            inventory, maker = collected(store, file.add, progress)
        write_boards(folder / "data" / "leaderboard.csv", inventory, maker)
        write_scenes(folder / "data" / "scenarios.csv", inventory, maker)
        _copy_assets(folder / "assets")
        writer = _Writer(folder, inventory, results.name)
        notes: tuple[str, ...] = ()
        if extras is None and not (extras := inventory.runs <= MANY):
            notes = (TOO_MANY.format(inventory.runs),)
        tests: Mapping[str, Tested] = {}
        if extras:
            with progress("tests", len(inventory.benchmarks)) as advance:
                tests = tested(results, inventory, maker, advance)
        for page in pages_of(inventory, maker, tests, _credits(results, inventory)):
            writer.write(page)
        made = write_extras(store, folder, progress) if extras and maker.boards else NOTHING
        notes += made.notes
        writer.write(about_page(inventory, _files(folder, made), made.figures, notes))
    return Built(out, writer.pages, inventory.runs, len(inventory.failed), notes)


def collected(
    store: ResultStore, on_run: OnRun | None = None, progress: Progress = unseen
) -> tuple[Inventory, BoardMaker]:
    """Which runs there are, and every table of them.

    Per-prompt values are read scenario by scenario, so that a file of any number of runs fits into memory.
    """
    inventory = take_inventory(store.iter_runs(outcomes=False), on_run)
    maker = BoardMaker(inventory)
    with progress("reading", len(inventory.scenes)) as advance:
        read = read_scenes(store.path, inventory.scenes)
        for index, (by_router, found) in enumerate(zip(inventory.scenes.values(), read, strict=True)):
            if found is not None:
                maker.add(index, found.means, found.drawn)
                _note_damage(inventory, by_router, found.damaged)
            advance()
    maker.finish()
    return inventory, maker


def _credits(results: Path, inventory: Inventory) -> Mapping[int, Credit]:
    """Whose the submitted routers are; numbers without names are better than no report."""
    try:
        return credits_of(submissions_in(results), inventory)
    except ResultsError as error:
        inventory.left_out.append(f"who made submitted routers: {error}")
        return {}


def _note_damage(
    inventory: Inventory, by_router: Mapping[int, Sequence[Run]], damaged: Sequence[tuple[str, str]]
) -> None:
    """Runs whose per-prompt values are damaged failed after all, once, beside however many encoders they stand."""
    known = {run.key for run in inventory.failed}
    reasons = {key: reason for key, reason in damaged if key not in known}
    for run in (run for runs in by_router.values() for run in runs if run.key in reasons):
        inventory.failed.append(run._replace(error=f"the stored row is damaged ({reasons[run.key]}); key {run.key}"))


class _Writer:
    """Fills templates and writes pages."""

    def __init__(self, folder: Path, inventory: Inventory, source: str):
        self._folder = folder
        self._environment = _environment()
        self._everywhere: Mapping[str, Any] = {
            "policy": POLICY,
            "version": version("routereval"),
            "source": source,
            "ended": inventory.ended[:16].replace("T", " "),
            "failures": f"{len(inventory.failed):,}",
        }
        self.pages = 0

    def write(self, page: Page) -> None:
        """One page."""
        path = self._folder / page.path
        path.parent.mkdir(exist_ok=True)
        root = "../" * page.path.count("/")
        template = self._environment.get_template(f"{page.template}.html.j2")
        text = template.render(**self._everywhere, root=root, **page.values)
        # A surrogate on its own, which a damaged name may hold, is no text.
        path.write_text(text.encode("utf-8", "replace").decode("utf-8"), encoding="utf-8", newline="\n")
        self.pages += 1


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("routereval.report.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {"breakable": breakable, "lines": lines}
    return environment


def _copy_assets(folder: Path) -> None:
    folder.mkdir()
    for asset in (_HERE / "assets").iterdir():
        if asset.name.endswith((".css", ".js")):
            (folder / asset.name).write_bytes(asset.read_bytes())
    plotly = files("plotly") / "package_data" / "plotly.min.js"
    with plotly.open("rb") as source, (folder / plotly.name).open("wb") as target:
        shutil.copyfileobj(source, target)


def _files(folder: Path, extras: Extras) -> list[dict[str, Any]]:
    data = [(f"data/{name}", about) for name, about in _DATA]
    tables = [(table["href"], table["about"]) for table in extras.tables]
    return [
        {"href": href, "name": href, "size": _size(folder / href), "about": about, "download": href.endswith(".csv")}
        for href, about in (*data, *tables)
    ]


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
