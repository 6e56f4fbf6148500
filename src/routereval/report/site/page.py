"""What pages have in common: their places and titles, and how numbers get onto them and into their scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import facts
from routereval.report.site.boards import COLUMNS
from routereval.report.site.formatting import DIGITS, Shown, shown, whole
from routereval.report.site.inventory import REFERENCE, Inventory, RouterEntry
from routereval.report.site.naming import slug

SCALE = 10**DIGITS
"""Numbers within a page are whole numbers of so many parts: short, and more digits than are shown."""
_LAST = SCALE // 1000
"""So many parts are one of the last digit that is shown."""


@dataclass(frozen=True)
class Page:
    """One page, ready to be written: its path within the site, its template, and the values in it."""

    path: str
    template: str
    values: Mapping[str, Any]


def title_of(benchmark: str) -> str:
    """How a benchmark is called on a page."""
    known = facts.benchmarks().get(benchmark)
    return benchmark if known is None else known.title


def benchmark_path(benchmark: str) -> str:
    """Where its page is."""
    return f"benchmarks/{slug(benchmark)}.html"


def router_path(router: RouterEntry) -> str:
    """Where its page is."""
    return f"routers/{slug(router.label, router.code)}.html"


def numbers(values: NDArray[np.float64]) -> list[Shown]:
    """The columns of a row (7, 3) as cells."""
    return [shown(*values[i].tolist(), signed=name == "gain") for i, name in enumerate(COLUMNS[: len(values)])]


def scaled(values: NDArray[np.float64]) -> list[int | None]:
    """Numbers for the scripts of a page, as one flat list; a script shows the digits that the page shows of each."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    known = np.isfinite(flat)
    rounded = np.rint(np.where(known, flat, 0.0) * SCALE).astype(np.int64)
    # Half way between two numbers that may be shown, one part more or less says which of them it is.
    for i in np.flatnonzero(rounded % _LAST == _LAST // 2).tolist():
        text = f"{flat[i]:.3f}"
        rounded[i] += 1 if float(text) > rounded[i] / SCALE else -1
    return [value if ok else None for value, ok in zip(rounded.tolist(), known.tolist(), strict=True)]


def summary(inventory: Inventory) -> str:
    """How much there is, in a sentence."""
    routers = sum(router.kind != REFERENCE for router in inventory.routers)
    failed = len(inventory.failed)
    return (
        f"{whole(routers, 'router')} on {whole(len({s.scenario for s in inventory.scenes}), 'scenario')} of "
        f"{whole(len(inventory.benchmarks), 'benchmark')}; {whole(inventory.runs, 'run')}, "
        f"{'none' if not failed else f'{failed:,}'} failed."
    )
