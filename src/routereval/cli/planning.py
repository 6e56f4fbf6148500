"""plan: how long a suite would take, here and on many workers; nothing is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routereval.cli.shared import DEFAULT_RESULTS, JsonOption, app, tell

if TYPE_CHECKING:
    from routereval.simulation.costs import Cost
    from routereval.simulation.schedule import Schedule
    from routereval.simulation.work import Piece

WORKERS = (1, 8, 64, 512)


@app.command(
    epilog="""\b
Examples:
  routereval plan --costs routereval.sqlite
  routereval plan --costs routereval.sqlite --seeds 10 --simulate
  routereval plan gsm8k mmlu --router knn --router ridge --simulate --workers 1 --workers 16 --plot plan.svg
"""
)
def plan(
    benchmarks: Annotated[list[str] | None, typer.Argument(help="Published benchmarks. [default: all twelve]")] = None,
    costs: Annotated[Path, typer.Option(help="Results file whose runs say what one costs.")] = DEFAULT_RESULTS,
    router: Annotated[
        list[str] | None,
        typer.Option(
            "--router", "-r", help="Label of a measured router; repeatable. [default: all that were measured]"
        ),
    ] = None,
    pool_size: Annotated[
        list[int] | None, typer.Option(min=2, help="Repeatable. [default: 3, 5, 10, 100, 1000]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds each.")] = 10,
    simulate: Annotated[bool, typer.Option("--simulate", help="Say how long it takes on many workers, too.")] = False,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, help="How many workers; repeatable. [default: 1, 8, 64, 512]")
    ] = None,
    overhead: Annotated[float, typer.Option(min=0, help="Milliseconds a run costs besides computing.")] = 5.0,
    bandwidth: Annotated[float, typer.Option(min=0.001, help="Megabytes a second at which a worker reads data.")] = 125,
    speed: Annotated[float, typer.Option(min=0.001, help="How many times as fast as the machine measured.")] = 1.0,
    plot: Annotated[Path | None, typer.Option(help="Wall time against workers: .png, .svg or .pdf.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a suite of published benchmarks would cost, from measured runs; nothing is run."""
    from routereval.report.scaling_figure import check_format
    from routereval.results import ResultStore
    from routereval.simulation.costs import chosen, costs_of
    from routereval.simulation.doubts import doubts
    from routereval.simulation.problems import SIZES, published_problems
    from routereval.simulation.schedule import Machine, schedule
    from routereval.simulation.work import pieces_of

    if plot is not None:
        check_format(plot)
    problems = published_problems(benchmarks or (), pool_size or SIZES)
    with ResultStore(costs, create=False) as store:
        wanted = chosen(costs_of(store.iter_runs()), router or ())
    pieces = pieces_of(problems, wanted, seeds)
    sizes = {problem.benchmark: problem.size for problem in problems}
    machine = Machine(overhead=overhead / 1000, bandwidth=bandwidth * 1e6, speed=speed)
    counts = sorted(set(workers or WORKERS)) if simulate or workers or plot is not None else []
    schedules = [schedule(pieces, sizes, count, machine) for count in counts]
    total = _total(pieces, wanted, len(problems), seeds, sizes)
    unsure = doubts(wanted, problems)
    if plot is not None:
        from routereval.report.speedup_figure import save_speedup_figure

        note = f"{total['runs']:,} runs: {total['benchmarks']} benchmarks, {total['routers']} routers, {seeds} seeds"
        save_speedup_figure(plot, [asdict(one) for one in schedules], note)
    if as_json:
        typer.echo(
            json.dumps({"work": total, "schedules": [asdict(one) for one in schedules], "doubts": unsure}, indent=1)
        )
        return
    _print(total, wanted, pieces, schedules)
    for why in unsure:
        tell(f"note: the estimate may be far off: {why}")
    if plot is not None:
        typer.echo(f"drawn: {plot}")


def _total(
    pieces: list[Piece], costs: Mapping[str, Cost], benchmarks: int, seeds: int, sizes: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "benchmarks": benchmarks,
        "routers": len(costs),
        "seeds": seeds,
        "runs": sum(piece.runs for piece in pieces),
        "pieces": len(pieces),
        "seconds": sum(piece.seconds for piece in pieces),
        "bytes": sum(sizes.values()),
    }


def _print(total: Mapping[str, Any], costs: Mapping[str, Cost], pieces: list[Piece], schedules: list[Schedule]) -> None:
    from routereval.report.speedup_figure import duration
    from routereval.report.tables import listing_table
    from routereval.report.terminal import console

    terminal = console()
    by_router: dict[str, float] = {}
    for piece in pieces:
        by_router[piece.router] = by_router.get(piece.router, 0.0) + piece.seconds
    dearest = sorted(by_router.items(), key=lambda item: -item[1])
    terminal.print(
        f"{total['runs']:,} runs in {total['pieces']:,} pieces: {total['benchmarks']} benchmarks x pools x "
        f"{total['routers']} routers x {total['seeds']} seeds; {duration(total['seconds'])} of computing"
    )
    terminal.print(
        listing_table(
            [
                {
                    "router": name,
                    "computing": duration(seconds),
                    "share": f"{seconds / total['seconds']:.0%}",
                    "grows with prompts": f"^{costs[name].by_prompts:.1f}",
                    "with models": f"^{costs[name].by_models:.1f}",
                    "measured runs": costs[name].runs,
                }
                for name, seconds in dearest[:12]
            ]
        )
    )
    if len(dearest) > 12:
        terminal.print(f"and {len(dearest) - 12} more, {duration(sum(s for _, s in dearest[12:]))}", style="dim")
    if not schedules:
        terminal.print("how long that takes on many workers: --simulate", style="dim")
        return
    one = schedules[0].wall * schedules[0].workers
    terminal.print(
        listing_table(
            [
                {
                    "workers": s.workers,
                    "wall": duration(s.wall),
                    "speed-up": f"{one / s.wall:.1f}",
                    "busy": f"{s.busy:.0%}",
                    "pieces": f"{s.pieces:,}",
                    "critical path": duration(s.critical),
                    "driver stores": duration(s.driver),
                    "read": f"{s.read / 1e9:.2f} GB",
                    "answers": f"{s.answered / 1e9:.2f} GB",
                }
                for s in schedules
            ]
        )
    )
    terminal.print(f"critical path: {schedules[-1].longest}", markup=False)
    terminal.print(
        "no piece waits for another, so the longest one is all that more workers cannot shorten", style="dim"
    )
