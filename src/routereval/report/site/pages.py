"""All pages of a site, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routereval import protocols
from routereval.report.site.benchmark_page import benchmark_page
from routereval.report.site.benchmark_rows import benchmark_table
from routereval.report.site.boards import BoardMaker
from routereval.report.site.comparisons import Tested
from routereval.report.site.credits import Credit
from routereval.report.site.failures import failure_rows
from routereval.report.site.formatting import whole
from routereval.report.site.inventory import Inventory
from routereval.report.site.leaderboard_page import leaderboard_page
from routereval.report.site.page import Page, summary
from routereval.report.site.router_page import router_pages

POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
)
"""Scripts and styles out of files of the site alone: ``file:`` stands for the site where it is opened from disk, and
means nothing where it is served. plotly writes styles into the page."""


def pages_of(
    inventory: Inventory, maker: BoardMaker, tests: Mapping[str, Tested], credits: Mapping[int, Credit]
) -> Iterator[Page]:
    """Every page but the one about method and data, which lists what was written.

    Parameters
    ----------
    tests : by benchmark.
    credits : of the routers that were submitted, by index.
    """
    yield leaderboard_page(inventory, maker, credits)
    benchmarks = benchmark_table(inventory, maker)
    yield Page("benchmarks.html", "benchmarks", {"here": "benchmarks"} | benchmarks)
    failures = failure_rows(inventory)
    yield Page("failures.html", "failures", {"here": "failures"} | vars(failures))
    for benchmark in inventory.benchmarks:
        yield benchmark_page(inventory, maker, benchmark, tests.get(benchmark, Tested()))
    yield from router_pages(inventory, maker, credits)


def about_page(
    inventory: Inventory,
    files: Sequence[Mapping[str, Any]],
    figures: Sequence[Mapping[str, Any]],
    missing: Sequence[str],
) -> Page:
    """How numbers came about, and every file."""
    notes = [
        (note, whole(len(where), "scenario") if len(where) > 1 else next(iter(where)))
        for note, where in sorted(inventory.notes.items())[:100]
    ]
    return Page(
        "about.html",
        "about",
        {
            "here": "about",
            "summary": summary(inventory),
            "protocols": [
                (name, protocols.PROTOCOLS[name].about) for name in inventory.protocols if name in protocols.PROTOCOLS
            ],
            "files": files,
            "figures": figures,
            "missing": missing,
            "notes": notes,
            "left_out": inventory.left_out[:100],
            "versions": ", ".join(sorted(inventory.versions)) or "unknown",
        },
    )
