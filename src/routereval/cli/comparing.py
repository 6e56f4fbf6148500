"""compare: do routers differ, or is it the luck of the prompts?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import DEFAULT_RESULTS, JsonOption, OneEncoderOption, OneProtocolOption, app


@app.command(
    epilog="""\b
Examples:
  routereval compare routereval.sqlite
  routereval compare routereval.sqlite --router knn --router ridge --scenario 'gsm8k/*'
  routereval compare routereval.sqlite --baseline best_single --correction bh
  routereval compare routereval.sqlite --protocol strict --encoder wordllama
  routereval compare routereval.sqlite --cluster subset --json | jq '.pairs[] | select(.p_adjusted < 0.05)'
  routereval compare routereval.sqlite --plot ranks.svg
"""
)
def compare(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    router: Annotated[
        list[str] | None,
        typer.Option("--router", "-r", help="Routers as tables name them, or globs; repeatable. [default: all]"),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", "-s", help="Scenarios, globs ('gsm8k/*'), benchmarks; repeatable. [default: all]"),
    ] = None,
    cluster: Annotated[
        str, typer.Option(help="What is resampled as a whole: prompts, duplicates (near-duplicates), subset.")
    ] = "duplicates",
    correction: Annotated[str, typer.Option(help="For many pairs: holm, or bh (Benjamini and Hochberg).")] = "holm",
    baseline: Annotated[str | None, typer.Option(help="Compare every router with this one only.")] = None,
    protocol: OneProtocolOption = None,
    encoder: OneEncoderOption = None,
    draws: Annotated[int, typer.Option(min=1, help="Resamples of the bootstrap.")] = 1000,
    flips: Annotated[
        int | None,
        typer.Option(min=1, help="Random sign flips of tests that are not exact. [default: 9999, more for many pairs]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of resamples and flips.")] = 0,
    oracles: Annotated[bool, typer.Option(help="Estimate what choosing in hindsight scores, noise taken off.")] = True,
    plot: Annotated[
        Path | None, typer.Option(help="Critical-difference diagram of the mean ranks: .png, .svg or .pdf.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare routers prompt by prompt: differences, tests, and what the benchmarks can tell apart; nothing is run."""
    from routereval.report.comparison import compare as compare_runs
    from routereval.report.critical_difference import save_diagram

    found = compare_runs(
        file,
        router,
        scenario,
        cluster=cluster,
        correction=correction,
        baseline=baseline,
        protocol=None if protocol is None else protocol.value,
        encoder=encoder,
        draws=draws,
        flips=flips,
        oracles=oracles,
        seed=seed,
    )
    if plot is not None:
        over = f"{found.cells} cells (benchmark and pool size); bars join routers that do not differ"
        note = "\n".join([over, *(one.sentence() for one in found.provenance)])
        save_diagram(found.ranks, found.critical_difference, plot, note=note)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
        return
    from routereval.report.comparison_table import comparison_tables
    from routereval.report.terminal import console

    terminal = console()
    terminal.print(comparison_tables(found, terminal.width))
    if plot is not None:
        terminal.print(f"drawn: {plot}", markup=False)
