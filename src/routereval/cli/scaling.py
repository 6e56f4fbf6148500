"""scale: how performance grows with the number of candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import (
    DEFAULT_RESULTS,
    DataOption,
    EmbeddingsOption,
    EncoderOption,
    JsonOption,
    MapOption,
    ProtocolName,
    ProtocolOption,
    app,
    benchmarks_named,
    datasets_of,
    tell,
)


@app.command(
    epilog="""\b
Examples:
  routereval scale gsm8k --data leaderboards/
  routereval scale 'm*' --data leaderboards/ --grid published --json > curves.json
  routereval scale gsm8k --data leaderboards/ --on test --router knn --router best_single
  routereval scale my_scores.csv --size 2 --size 5 --size 10 --draws 1000
"""
)
def scale(
    benchmarks: Annotated[list[str], typer.Argument(help="Benchmarks, globs ('m*'), table files.")],
    router: Annotated[
        list[str] | None,
        typer.Option("--router", "-r", help="Columnwise routers beside the oracle and chance; repeatable."),
    ] = None,
    on: Annotated[
        str, typer.Option(help="all prompts, as published, or the test prompts. [default: test with routers]")
    ] = "",
    share: Annotated[
        list[float] | None,
        typer.Option("--share", "-p", min=0, max=1, help="r_o(p) for these p; repeatable. [default: 0.5]"),
    ] = None,
    grid: Annotated[
        str, typer.Option(help="short (1, 2, 5 times powers of ten) or published sizes of pools.")
    ] = "short",
    size: Annotated[
        list[int] | None, typer.Option("--size", "-m", min=2, help="Sizes of one's own; repeatable.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Random pools of each size.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the pools and the routers.")] = 0,
    data: DataOption = None,
    encoder: EncoderOption = "auto",
    protocol: ProtocolOption = ProtocolName.strict,
    results: Annotated[
        Path, typer.Option(help="Where points are stored; what is there is not drawn again.")
    ] = DEFAULT_RESULTS,
    columns: MapOption = None,
    embeddings: EmbeddingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw random pools of every size: how oracle, chance and routers grow with the number of candidates."""
    from routereval.data.scaling import grid_named
    from routereval.encoders import embedded
    from routereval.policies import PolicySpec
    from routereval.report.curves import curve_rows, curve_tables
    from routereval.report.terminal import console, progress
    from routereval.results import ResultStore
    from routereval.scaling import ScalingPlan, missing
    from routereval.scaling import scale as draw

    routers = [PolicySpec.parse(text).build() for text in router or ()]
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    plans = []
    for name in benchmarks_named(benchmarks, datasets):
        of_name = datasets.unpooled(name)
        sizes = sorted(set(size)) if size else grid_named(grid, of_name.scores.shape[1], of_name.benchmark)
        ready = embedded(of_name, encoder) if routers else of_name
        scope = on or ("test" if routers else "all")
        plans.append(ScalingPlan(ready, sizes, routers, scope, protocol.value, draws, seed))
    points = []
    with ResultStore(results) as store:
        left = [missing(plan, store) for plan in plans]
        total = sum(len(plan.sizes) * len(plan.specs) for plan in plans)
        tell(f"{total} points: {sum(left)} new, {total - sum(left)} stored in {results}")
        with progress("drawing", sum(left)) as advance:
            for plan in plans:
                points += draw(plan, store, advance)
    rows = curve_rows(points, [0.5] if share is None else share)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    terminal = console()
    for name in dict.fromkeys(plan.data.benchmark for plan in plans):
        for table in curve_tables(rows, name, terminal.width):
            terminal.print(table)
    terminal.print("mean over the pools and the 95 % interval of that mean", style="dim")
