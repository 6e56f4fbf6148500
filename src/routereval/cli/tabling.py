"""tables: the paper's tables of stored results, in every format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import DEFAULT_RESULTS, ProtocolName, app, tell


class By(StrEnum):
    """Choices of ``--by``."""

    benchmark = "benchmark"
    strategy = "strategy"
    subset = "subset"


class Format(StrEnum):
    """Choices of ``--format``."""

    terminal = "terminal"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


@app.command(
    epilog="""\b
Examples:
  routereval tables routereval.sqlite
  routereval tables routereval.sqlite --published --metric mu --m 3 --m 5
  routereval tables routereval.sqlite --by strategy --format markdown --out by_strategy.md
  routereval tables routereval.sqlite --format latex --no-intervals --out tables.tex
"""
)
def tables(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    by: Annotated[By, typer.Option(help="What is across; by benchmark, numbers are means over strategies.")] = (
        By.benchmark
    ),
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Which numbers (see routereval list metrics). [default: mu V_R V_B E_p; by subset mu]"),
    ] = None,
    m: Annotated[list[int] | None, typer.Option("--m", help="Only pools of that size. [default: all]")] = None,
    protocol: Annotated[
        ProtocolName | None, typer.Option(help="Only runs by these rules. [default: all, in tables of their own]")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="The published numbers beside ours, with the difference.")
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.terminal,
    intervals: Annotated[
        bool, typer.Option("--intervals/--no-intervals", help="Every number with its interval; CSV and JSON always.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="A file to write to, instead of standard output.")] = None,
) -> None:
    """Lay stored results out as the paper does: benchmarks across, routers down; nothing is run."""
    from routereval.report.formats.terminal import renderable
    from routereval.report.tabling import tables as tables_of
    from routereval.report.terminal import console

    made = tables_of(
        file,
        by=by.value,
        metrics=metric or (),
        sizes=m or (),
        protocol=None if protocol is None else protocol.value,
        published=published,
    )
    terminal = console()
    if format_ is Format.terminal and out is None:
        terminal.print(renderable(made, terminal.width, intervals=intervals))
    else:
        text = made.written(format_.value, width=terminal.width, intervals=intervals)
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.write_text(text, encoding="utf-8", newline="\n")
            tell(f"written: {out} ({len(made)} table{'s' if len(made) > 1 else ''})")
    for note in made.notes:
        tell(f"note: {note}")
