"""synthesize: leaderboards made up in the published formats."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import app, tell


class Like(StrEnum):
    """Choices of ``--like``."""

    official = "official"


@app.command(
    epilog="""\b
Examples:
  routereval synthesize --share 0.05 --out small/
  routereval synthesize --like official --out full/       # 201,715,850 records, about 2 GB
  routereval build 'm*' --data small/ --out scenarios/
"""
)
def synthesize(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    like: Annotated[
        Like, typer.Option(help="What they are like. official: the published numbers of models, prompts and subsets.")
    ] = Like.official,
    share: Annotated[float, typer.Option(help="Of the published numbers of models and prompts.")] = 1.0,
    dimensions: Annotated[int, typer.Option(min=1, help="Of the embeddings.")] = 768,
    seed: Annotated[int, typer.Option(min=0, help="Of everything.")] = 0,
) -> None:
    """Make up leaderboards in the formats of the official ones, to run the whole path without the data."""
    from routereval import facts
    from routereval.report.terminal import progress
    from routereval.sources.synthetic_leaderboards import synthesize as write

    with progress("making up", len(facts.benchmarks())) as advance:
        made = write(out, share=share, dimensions=dimensions, seed=seed, advance=advance)
    for path in made:
        typer.echo(f"{path}: {path.stat().st_size:,} bytes")
    tell(f"scenarios out of it: routereval build '*' --data {out} --out scenarios")
