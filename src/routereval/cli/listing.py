"""list and show: what there is, and what is in it."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from routereval.cli.shared import (
    DataOption,
    EmbeddingsOption,
    EncoderOption,
    JsonOption,
    MapOption,
    app,
    datasets_of,
)


class Listing(StrEnum):
    """What ``list`` lists."""

    benchmarks = "benchmarks"
    suites = "suites"
    routers = "routers"
    metrics = "metrics"
    encoders = "encoders"


@app.command(
    name="list",
    epilog="""\b
Examples:
  routereval list routers
  routereval list benchmarks --data official/ --json
""",
)
def list_(
    what: Annotated[Listing, typer.Argument(help="benchmarks, suites, routers, metrics or encoders.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what there is."""
    from routereval.report.listings import LISTINGS

    rows = LISTINGS[what.value](datasets_of(data))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        from routereval.report.tables import listing_table
        from routereval.report.terminal import console

        console().print(listing_table(rows))


@app.command(
    epilog="""\b
Examples:
  routereval show gsm8k/all_strong/5 --data official/
  routereval show knn
  routereval show demo_math/all_strong/3 --queries --json
"""
)
def show(
    name: Annotated[str, typer.Argument(help="A scenario id, benchmark, table file, suite, router or metric.")],
    data: DataOption = None,
    encoder: EncoderOption = "auto",
    columns: MapOption = None,
    embeddings: EmbeddingsOption = None,
    queries: Annotated[bool, typer.Option("--queries", help="The test prompts of a scenario instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is in a scenario, a benchmark, a router, ..."""
    from routereval.report.listings import details, test_queries
    from routereval.report.tables import details_table, listing_table
    from routereval.report.terminal import console

    datasets = datasets_of(data, encoder, columns, embeddings)
    found: Any = test_queries(name, datasets) if queries else details(name, datasets)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        console().print(listing_table(found) if queries else details_table(found))
