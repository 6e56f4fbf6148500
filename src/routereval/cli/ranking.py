"""rank: routers against each other over everything that is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import DEFAULT_RESULTS, JsonOption, OneEncoderOption, OneProtocolOption, app


@app.command(
    epilog="""\b
Examples:
  routereval rank routereval.sqlite
  routereval rank routereval.sqlite --plot ranks.svg
  routereval rank routereval.sqlite --markdown > standings.md
  routereval rank routereval.sqlite --protocol strict --encoder wordllama
"""
)
def rank(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    protocol: OneProtocolOption = None,
    encoder: OneEncoderOption = None,
    plot: Annotated[Path | None, typer.Option(help="Critical-difference diagram: .png, .svg or .pdf.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare all stored routers: mean ranks, gain over the best single model, seconds; nothing is run."""
    from routereval.report.critical_difference import save_diagram
    from routereval.report.printable import printable
    from routereval.report.standings import standings_of
    from routereval.report.standings_table import (
        ERRORS,
        gain_rows,
        json_object,
        legend,
        markdown_document,
        overall_rows,
        sentences,
        statement,
    )
    from routereval.report.tables import listing_table
    from routereval.report.terminal import console
    from routereval.results import ResultStore

    with ResultStore(file, create=False) as store:
        standings = standings_of(store.runs(), protocol=None if protocol is None else protocol.value, encoder=encoder)
    if plot is not None:
        over = (
            f"{standings.cells} cells of {len(standings.benchmarks)} benchmarks; bars join routers that do not differ"
        )
        note = "\n".join([over, *statement(standings)])
        save_diagram(
            {one.label: one.rank for one in standings.complete}, standings.critical_difference, plot, note=note
        )
    if as_json:
        typer.echo(json.dumps(json_object(standings), indent=1))
        return
    if markdown:
        typer.echo(markdown_document(standings))
        return
    terminal = console()
    for rows in (overall_rows(standings), gain_rows(standings)):
        terminal.print(listing_table(rows, words=False))
    # A name may hold a line break; every row and every sentence stays one.
    for line in legend(standings):
        terminal.print(printable(line), markup=False, style="dim")
    for line in sentences(standings):
        terminal.print(printable(line), markup=False)
    for line in (*(f"note: {one}" for one in standings.notes), *statement(standings)):
        terminal.print(printable(line), markup=False, style="dim")
    for line in standings.errors[:ERRORS]:
        terminal.print(printable(f"failed: {line}"), markup=False, style="red")
    if plot is not None:
        terminal.print(f"drawn: {plot}", markup=False)
