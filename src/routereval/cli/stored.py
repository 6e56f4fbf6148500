"""results and verify: what looks at stored results again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routereval.cli.shared import (
    DEFAULT_RESULTS,
    DataOption,
    JsonOption,
    app,
    datasets_of,
    print_runs,
)

if TYPE_CHECKING:
    from routereval.results import StoredRun


@app.command(
    epilog="""\b
Examples:
  routereval results routereval.sqlite
  routereval results routereval.sqlite --json | jq '.[] | select(.error)'
  routereval results routereval.sqlite --tuning
  routereval results routereval.sqlite --controls
"""
)
def results(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    tuning: Annotated[bool, typer.Option("--tuning", help="How parameters were chosen, instead.")] = False,
    controls: Annotated[bool, typer.Option("--controls", help="Routers beside controls, instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print stored results again; nothing is run."""
    from routereval.errors import ParameterError
    from routereval.results import ResultStore

    if tuning and controls:
        raise ParameterError("--tuning and --controls are two tables; ask for one of them")
    with ResultStore(file, create=False) as store:
        runs = store.runs()
    if tuning:
        _print_tuning(runs, as_json)
        return
    if controls:
        _print_controls(runs, as_json)
        return
    print_runs(runs, as_json)
    if any(one.error for one in runs):
        raise typer.Exit(1)


def _print_controls(runs: Sequence[StoredRun], as_json: bool) -> None:
    from routereval.report.controls_table import control_rows, controls_table
    from routereval.report.provenance import statements
    from routereval.report.terminal import console

    if as_json:
        typer.echo(json.dumps(control_rows(runs), indent=1))
    else:
        terminal = console()
        terminal.print(controls_table(runs, terminal.width))
        for line in statements(runs):
            terminal.print(line, markup=False, style="dim")


def _print_tuning(runs: Sequence[StoredRun], as_json: bool) -> None:
    from routereval.report.tunings import tuning_rows, tuning_trials

    if as_json:
        typer.echo(json.dumps(tuning_trials(runs), indent=1))
        return
    from routereval.report.provenance import statements
    from routereval.report.tables import listing_table
    from routereval.report.terminal import console

    rows = tuning_rows(runs)
    terminal = console()
    terminal.print(listing_table(rows) if rows else "no run was tuned; see routereval run --tune")
    for line in statements([run for run in runs if run.tuning is not None]):
        terminal.print(line, markup=False, style="dim")


@app.command(
    epilog="""\b
Examples:
  routereval verify routereval.sqlite
  routereval verify routereval.sqlite --data official/
"""
)
def verify(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute every stored metric from the stored choices and the data, and say what differs."""
    from routereval.report.printable import printable
    from routereval.report.terminal import progress
    from routereval.results import ResultStore
    from routereval.verification import finder
    from routereval.verification import verify as verify_run

    with ResultStore(file, create=False) as store:
        runs = store.runs()
    find = finder(datasets_of(data))
    verdicts = []
    with progress("verifying", len(runs)) as advance:
        for one in runs:
            verdicts.append(verify_run(one, find))
            advance()
    differing = [verdict for verdict in verdicts if verdict.differences]
    if as_json:
        rows = [
            {"scenario": v.spec.scenario, "router": v.spec.router, "key": v.spec.key, "differences": v.differences}
            for v in differing
        ]
        typer.echo(json.dumps(rows, indent=1))
    else:
        for verdict in differing:
            for difference in verdict.differences:
                typer.echo(printable(f"{verdict.spec.router} on {verdict.spec.scenario}: {difference}"))
        checked = sum(verdict.checked for verdict in verdicts)
        failed = f"; {len(runs) - checked} failed runs have nothing to verify" if checked < len(runs) else ""
        typer.echo(f"{checked - len(differing)} of {checked} runs agree, {len(differing)} differ{failed}")
    if differing:
        raise typer.Exit(1)
