"""export: scenarios in formats that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import (
    DataOption,
    EncoderOption,
    ProtocolName,
    ProtocolOption,
    app,
    benchmarks_named,
    datasets_of,
)


@app.command(
    epilog="""\b
Examples:
  routereval export gsm8k bbh --data scenarios/ --format official --out router_dataset/
  routereval export demo_math --format parquet --out tables/
  routereval export 'm*' --data leaderboards/ --protocol paper --format hf --out datasets/
"""
)
def export(
    benchmarks: Annotated[list[str], typer.Argument(help="Benchmarks, globs ('m*'), table files.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    format_: Annotated[str, typer.Option("--format", help="official, parquet or hf.")] = "official",
    data: DataOption = None,
    encoder: EncoderOption = "auto",
    protocol: ProtocolOption = ProtocolName.strict,
) -> None:
    """Write scenarios as published pickles, as Parquet, or as a Hugging Face dataset folder."""
    from routereval.exporting import export as write
    from routereval.report.terminal import progress

    datasets = datasets_of(data, encoder, protocol=protocol.value)
    names = benchmarks_named(benchmarks, datasets)
    made = []
    with progress("exporting", len(names)) as advance:
        for name in names:
            made.append(write(datasets.encoded(datasets.benchmark(name)), format_, out))
            advance()
    for path in made:
        typer.echo(path)
