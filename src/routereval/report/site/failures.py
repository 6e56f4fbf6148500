"""Runs that failed, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from routereval.policies import defaults_of
from routereval.report.site.commands import command_of
from routereval.report.site.formatting import whole
from routereval.report.site.inventory import Inventory, Run
from routereval.report.site.stated import stated
from routereval.results.run import router_label

MOST = 2000
"""How many a page lists; all are in ``runs.csv``."""
_LINE = 300
_REASONS = 100


@dataclass(frozen=True)
class Failures:
    """Rows of the page, the reasons where that is shorter, the sentence above them and the line below."""

    rows: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    lead: str
    stated: str


def failure_rows(inventory: Inventory) -> Failures:
    """All failures of the file."""
    lead = f"{whole(len(inventory.failed), 'run')} of {inventory.runs:,} failed."
    if len(inventory.failed) > MOST:
        lead += f" The first {MOST:,} are listed; all are in data/runs.csv."
    why = reasons(inventory.failed)
    listed = inventory.failed[:MOST]
    told = why if len(why) < len(inventory.failed) else []
    return Failures(described(listed), told, lead, stated(run.origin for run in listed))


def reasons(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """The same router failing for the same reason said once, with how many runs and where; most runs first."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((_label(run), first_line(run)), []).append(run)
    rows = []
    for (label, first), members in sorted(found.items(), key=lambda one: -len(one[1])):
        where = sorted({run.spec.scenario for run in members})
        rows.append(
            {
                "label": label,
                "first": first,
                "runs": whole(len(members), "run"),
                "where": where[0] if len(where) == 1 else whole(len(where), "scenario"),
            }
        )
    return rows[:_REASONS]


def first_line(run: Run) -> str:
    """How the message of a failed run begins."""
    return _message(run).splitlines()[0][:_LINE]


def described(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """What a page says of failed runs: the first line of the message, and all of it where there is more."""
    rows = []
    for run in runs:
        error, first = _message(run), first_line(run)
        rows.append(
            {
                "label": _label(run),
                "scenario": run.spec.scenario,
                "protocol": run.spec.protocol,
                "seed": run.spec.seed,
                "first": first,
                "rest": error if error != first else "",
                "command": command_of(run.spec),
            }
        )
    return rows


def _message(run: Run) -> str:
    return (run.error or "").strip() or "no message"


def _label(run: Run) -> str:
    return router_label(run.spec.router, run.spec.params, defaults_of(run.spec.router))
