"""Runs that failed, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from routereval.policies import defaults_of
from routereval.report.site.commands import command_of
from routereval.report.site.formatting import whole
from routereval.report.site.inventory import Inventory, Run
from routereval.results.run import router_label

MOST = 2000
"""How many a page lists; all are in ``runs.csv``."""
_LINE = 300


@dataclass(frozen=True)
class Failures:
    """Rows of the page, and the sentence above them."""

    rows: list[dict[str, Any]]
    lead: str


def failure_rows(inventory: Inventory) -> Failures:
    """All failures of the file."""
    lead = f"{whole(len(inventory.failed), 'run')} of {inventory.runs:,} failed."
    if len(inventory.failed) > MOST:
        lead += f" The first {MOST:,} are listed; all are in data/runs.csv."
    return Failures(described(inventory.failed[:MOST]), lead)


def described(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """What a page says of failed runs: the first line of the message, and all of it where there is more."""
    rows = []
    for run in runs:
        error = (run.error or "").strip() or "no message"
        first = error.splitlines()[0][:_LINE]
        rows.append(
            {
                "label": router_label(run.spec.router, run.spec.params, defaults_of(run.spec.router)),
                "scenario": run.spec.scenario,
                "protocol": run.spec.protocol,
                "seed": run.spec.seed,
                "first": first,
                "rest": error if error != first else "",
                "command": command_of(run.spec),
            }
        )
    return rows
