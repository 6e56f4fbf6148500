"""embed: embeddings of prompts, each computed once."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routereval.cli.shared import (
    DataOption,
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


@app.command(
    epilog="""\b
Examples:
  routereval embed gsm8k bbh --data official/ --encoder wordllama
  routereval embed my_scores.csv --encoder minilm --out my_embeddings.npy
  routereval embed 'm*' --data official/ --encoder st:BAAI/bge-small-en-v1.5,keep=last --out embeddings/
  routereval embed my_scores.csv --encoder openai:model=text-embedding-3-small
  routereval run my_scores.csv --embeddings my_embeddings.npy
"""
)
def embed(
    benchmarks: Annotated[list[str], typer.Argument(help="Benchmarks, globs ('m*'), table files.")],
    encoder: EncoderOption = "auto",
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write them too: one FILE.npy, or a folder with BENCHMARK.npy; a row per prompt, in order."),
    ] = None,
    protocol: ProtocolOption = ProtocolName.strict,
    columns: MapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute embeddings of prompts and keep them: what is known is not computed again, a cut-off run goes on."""
    from routereval.errors import ParameterError

    datasets = datasets_of(data, encoder, columns, protocol=protocol.value)
    names = benchmarks_named(benchmarks, datasets)
    single = out is not None and out.suffix == ".npy"
    if single and len(names) > 1:
        raise ParameterError(f"{out} is one file, for {len(names)} benchmarks; name a folder with --out")
    rows = []
    for name in names:
        made = datasets.benchmark(name)
        path = None if out is None else out if single else out / f"{made.benchmark}.npy"
        rows.append(_embedded(made, datasets, path))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _print(rows)


def _embedded(data: BenchmarkData, datasets: Datasets, path: Path | None) -> dict[str, Any]:
    from routereval.encoders import embedding_of
    from routereval.report.terminal import progress

    start = time.perf_counter()
    name, made = embedding_of(data, datasets.encoder, protocol=datasets.protocol, progress=progress)
    seconds = time.perf_counter() - start
    if path is not None:
        _write(made.vectors, path)
    n, dimensions = made.vectors.shape
    return {
        "benchmark": data.benchmark,
        "encoder": name,
        "prompts": n,
        "dimensions": dimensions,
        "computed": made.encoded,
        "cached": made.known,
        "seconds": round(seconds, 3),
        "truncated": int(made.cut.sum()),
        "limit": made.limit or None,
        "kept": made.kept or None,
        "file": None if path is None else str(path),
    }


def _write(vectors: Any, path: Path) -> None:
    """Written beside and renamed, so that there is never half a file."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".new-{path.name}")
    try:
        np.save(temporary, vectors, allow_pickle=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        how = f"{row['computed']} computed, {row['cached']} known, {row['seconds']:.1f} s"
        if not row["computed"] + row["cached"]:
            how = "as they came with the data"
        typer.echo(
            f"{row['benchmark']}: {row['prompts']} prompts, {row['dimensions']}-d {row['encoder']}: {how}"
            + (f", {row['file']}" if row["file"] else "")
        )
        if row["truncated"]:
            typer.echo(f"  {row['truncated']} are longer than {row['limit']}; the {row['kept']} ones were kept")
    files = [row["file"] for row in rows if row["file"]]
    if not files:
        tell("runs with the same --encoder find them")
