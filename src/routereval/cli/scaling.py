"""scale: how performance grows with the number of candidates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routereval.cli.shared import (
    DEFAULT_RESULTS,
    BenchmarksArgument,
    DataOption,
    DrawsOption,
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

if TYPE_CHECKING:
    from routereval.data.benchmark import BenchmarkData
    from routereval.datasets import Datasets
    from routereval.results.curves import CurvePoint
    from routereval.scaling import Cost, ScalingPlan

SHARES = tuple(tenths / 10 for tenths in range(11))
PRINTED_SHARES = (0.5,)
"""Beside the oracle (1) and chance (0), which have columns of their own."""


@app.command(
    epilog="""\b
Examples:
  routereval scale gsm8k --data leaderboards/
  routereval scale 'm*' --data leaderboards/ --plot scaling.svg --published
  routereval scale gsm8k --data leaderboards/ --router knn --router best_single --router mlp:recipe=minibatch
  routereval scale my_scores.csv --size 2 --size 5 --size 10 --draws 1000 --json > curves.json
"""
)
def scale(
    benchmarks: BenchmarksArgument,
    router: Annotated[
        list[str] | None, typer.Option("--router", "-r", help="Routers beside the oracle and chance; repeatable.")
    ] = None,
    on: Annotated[
        str, typer.Option(help="all prompts, as published, or the test prompts. [default: test with routers]")
    ] = "",
    share: Annotated[
        list[float] | None,
        typer.Option(
            "--share", "-p", min=0, max=1, help="r_o(p) for these p; repeatable. [default: 0, 0.1 .. 1, printed: 0.5]"
        ),
    ] = None,
    grid: Annotated[
        str, typer.Option(help="published sizes of pools, a selection printed, or short: 1, 2, 5 times powers of ten.")
    ] = "published",
    size: Annotated[
        list[int] | None, typer.Option("--size", "-m", min=2, help="Sizes of one's own; repeatable.")
    ] = None,
    draws: DrawsOption = 100,
    router_draws: Annotated[
        int,
        typer.Option(min=1, help="The same for routers that have to be fitted on each pool, on the short grid."),
    ] = 5,
    seed: Annotated[int, typer.Option(help="Of the pools and the routers.")] = 0,
    published: Annotated[
        bool, typer.Option("--published", help="The published curves of r_o(p) beside ours, where there are any.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curves into this file: .png, .svg or .pdf.", dir_okay=False)
    ] = None,
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
    from routereval.data.scaling import grid_named, short_grid
    from routereval.policies import PolicySpec
    from routereval.report.curves import curve_rows, published_rows
    from routereval.report.provenance import curve_statements
    from routereval.report.scaling_figure import check_format, save_scaling_figure
    from routereval.scaling import ScalingPlan

    if plot is not None:
        check_format(plot)
    routers = [PolicySpec.parse(text).build() for text in router or ()]
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    scope = on or ("test" if routers else "all")
    plans: list[ScalingPlan] = []
    for name in benchmarks_named(benchmarks, datasets):
        raw = datasets.unpooled(name)
        models = raw.scores.shape[1]
        sizes = sorted(set(size)) if size else grid_named(grid, models, raw.benchmark)
        few = sizes if size else sorted(set(sizes) & set(short_grid(models)))
        ready = _ready(raw, datasets, scope, bool(routers))
        plans.append(ScalingPlan(ready, sizes, routers, scope, protocol.value, draws, seed, router_draws, few))
    points = _points(plans, results)
    shares = SHARES if share is None else tuple(dict.fromkeys(share))
    names = list(dict.fromkeys(plan.data.benchmark for plan in plans))
    theirs = published_rows(names, shares) if published else []
    if published and not theirs:
        tell(f"nothing is published on {', '.join(names)} for these p")
    rows = curve_rows(points, shares) + theirs if as_json or plot is not None else []
    if plot is not None:
        save_scaling_figure(plot, rows, {plan.data.benchmark: plan.data.reference_score for plan in plans})
        tell(f"drawn into {plot}")
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if share is None:
        shares = PRINTED_SHARES
        theirs = published_rows(names, (1, *PRINTED_SHARES, 0)) if published else []
    shown = set(size or ()) or {m for plan in plans for m in short_grid(plan.data.scores.shape[1])}
    said = curve_statements(point.spec for point in points)
    _print(curve_rows([point for point in points if point.m in shown], shares) + theirs, names, said)
    if hidden := sorted({point.m for point in points} - shown):
        tell(f"{len(hidden)} more sizes up to {hidden[-1]}: --json, --plot")


def _ready(raw: BenchmarkData, datasets: Datasets, scope: str, fits: bool) -> BenchmarkData:
    """The benchmark with the split and the embeddings that the scope and routers ask for."""
    from routereval.data.building import with_split

    # A whole leaderboard is split as it is for runs; what has a split of its own keeps it.
    split = with_split(raw, datasets.protocol) if scope == "test" and not raw.pools else raw
    return datasets.encoded(split) if fits else split


def _points(plans: Sequence[ScalingPlan], results: Path) -> list[CurvePoint]:
    """The points of all plans; what is not stored is drawn, and stored."""
    from routereval.report.terminal import progress
    from routereval.results import ResultStore
    from routereval.scaling import cost
    from routereval.scaling import scale as draw

    points: list[CurvePoint] = []
    with ResultStore(results) as store:
        left = [cost(plan, store) for plan in plans]
        _tell_cost(plans, left, results)
        with progress("drawing", sum((one.steps for one in left), 0)) as advance:
            for plan in plans:
                points += draw(plan, store, advance)
    return points


def _tell_cost(plans: Sequence[ScalingPlan], left: Sequence[Cost], results: Path) -> None:
    """What is to be done, before it is: points, and how many fits that takes."""
    total = sum(len(curve.sizes) for plan in plans for curve in plan.curves)
    new = sum(one.points for one in left)
    tell(f"{total} points: {new} new, {total - new} stored in {results}")
    if fits := sum(one.fits for one in left):
        each = {curve.spec.policy: None for plan in plans for curve in plan.curves if not curve.sliced}
        pools = plans[0].router_draws
        tell(
            f"{', '.join(each)}: {fits} fits, one for each pool ({pools} pools of each size; --router-draws and --size "
            "say how many)"
        )


def _print(rows: Sequence[dict[str, Any]], names: Sequence[str], said: Sequence[str]) -> None:
    from routereval.report.curves import curve_tables
    from routereval.report.terminal import console

    terminal = console()
    for name in names:
        for table in curve_tables(rows, name, terminal.width):
            terminal.print(table)
    for line in ("mean over the pools and the 95 % interval of that mean", *said):
        terminal.print(line, markup=False, style="dim")
