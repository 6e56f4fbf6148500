"""figures: everything there is to see in a results file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routereval.cli.shared import DEFAULT_RESULTS, JsonOption, app

if TYPE_CHECKING:
    from routereval.report.figures.writing import LeftOut, Picture


@app.command(
    epilog="""\b
Examples:
  routereval figures routereval.sqlite --out figures/
  routereval figures routereval.sqlite --out figures/ --only scaling --only gap_closed --format pdf
  routereval figures routereval.sqlite --out figures/ --scenario 'mmlu/*/10' --router knn --router ridge --data-too
"""
)
def figures(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    out: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path("figures"),
    only: Annotated[
        list[str] | None, typer.Option(help="Figures by name; repeatable; 'list' prints the names. [default: all]")
    ] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="png, svg or pdf; repeatable. [default: png, svg]")
    ] = None,
    scenario: Annotated[
        str, typer.Option(metavar="GLOB", help="Only these scenarios ('mmlu/*/10') or benchmarks ('mmlu*').")
    ] = "",
    router: Annotated[
        list[str] | None, typer.Option("--router", "-r", help="Who is shown; repeatable. [default: the best 12]")
    ] = None,
    data_too: Annotated[
        bool, typer.Option("--data-too", help="Write the numbers of each figure beside it, CSV.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw stored results: scaling, strategies, gap, shares, bias, who solves what, ranks, learning, calibration."""
    from routereval.report.figures import FIGURES
    from routereval.report.figures.writing import draw_all
    from routereval.report.terminal import progress
    from routereval.results import ResultStore

    if only == ["list"]:
        for spec in FIGURES.values():
            typer.echo(f"{spec.name:<20} {spec.about}")
        return
    formats = tuple(dict.fromkeys(format_ or ("png", "svg")))
    names = tuple(only or ())
    with (
        ResultStore(file, create=False) as store,
        progress("drawing", len(set(names) & set(FIGURES)) or len(FIGURES)) as advance,
    ):
        made = draw_all(
            store,
            out,
            formats,
            names=names,
            scenario=scenario,
            routers=tuple(router or ()),
            data_too=data_too,
            advance=advance,
        )
    if as_json:
        typer.echo(json.dumps([_row(one) for one in made], indent=1))
    else:
        _print(made, out)


def _row(one: Picture | LeftOut) -> dict[str, object]:
    from routereval.report.figures.writing import Picture

    row: dict[str, object] = {"figure": one.name, "title": one.title, "where": one.where}
    if isinstance(one, Picture):
        return row | {"files": {name: str(path) for name, path in one.paths.items()}, "alt": one.alt, "note": one.note}
    return row | {"left_out": one.reason}


def _print(made: Sequence[Picture | LeftOut], out: Path) -> None:
    from routereval.report.figures.writing import Picture
    from routereval.report.terminal import console

    terminal = console()
    pictures = [one for one in made if isinstance(one, Picture)]
    for picture in pictures:
        endings = ", ".join(path.suffix for path in picture.paths.values())
        terminal.print(f"{picture.title} ({picture.where})", markup=False)
        terminal.print(f"  {out / picture.stem} {endings}", markup=False, style="dim", soft_wrap=True)
    for one in made:
        if not isinstance(one, Picture):
            where = f" ({one.where})" if one.where else ""
            terminal.print(f"left out: {one.title}{where}: {one.reason}", markup=False, style="yellow")
    terminal.print(f"{len(pictures)} drawn, {len(made) - len(pictures)} left out", markup=False)
