"""build: scenarios out of whole leaderboards, or of tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routereval.cli.shared import (
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
    from routereval.data.building import PoolPlan
    from routereval.data.conditions import Metadata
    from routereval.datasets import Datasets


@app.command(
    epilog="""\b
Examples:
  routereval build gsm8k bbh --data leaderboards/ --out scenarios/
  routereval build 'm*' --data leaderboards/ --protocol paper --out published/
  routereval build gsm8k --data leaderboards/ --strategy random --draws 20 --pool-size 7 --out random/
  routereval build my_scores.csv --strategy greedy --pool-size 3 --models 'llama*' --out mine/
  routereval build gsm8k --data leaderboards/ --metadata models.csv --where 'params_b<=13' --out small/
  routereval run 'gsm8k/*/*' --data scenarios/ --router knn
"""
)
def build(
    benchmarks: BenchmarksArgument,
    out: Annotated[Path, typer.Option(help="Folder to write to; one folder per benchmark, none of them there yet.")],
    data: DataOption = None,
    pool_size: Annotated[
        list[int] | None,
        typer.Option("--pool-size", "-m", min=2, help="Repeatable. [default: 3, 5, 10, 100, 1000 as far as they go]"),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            "-s",
            help="all_strong, all_weak, strong_to_weak, random, greedy, cheapest_covering (needs costs); repeatable. "
            "[default: the first three]",
        ),
    ] = None,
    draws: DrawsOption = 1,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            help="Pool 'chosen' of these models; names and wildcards. Only it, unless --strategy, --pool-size or "
            "--restrict asks for others.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Pool 'chosen' of the models that meet this: 'params_b<=13', 'family=llama', 'license~apache*'; "
            "=, !=, <, <=, >, >=, ~ (wildcard). Repeatable; all must hold, --models too. Only this pool, unless "
            "--strategy, --pool-size or --restrict asks for others.",
        ),
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="What --where asks about: CSV, JSONL or Parquet, a column 'model' and others.")
    ] = None,
    restrict: Annotated[
        bool, typer.Option("--restrict", help="The other pools are picked from the models of 'chosen' as well.")
    ] = False,
    fallback: Annotated[
        bool,
        typer.Option("--fallback", help="Where the published rule makes no pool, give up its limits; it is noted."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the random pools.")] = 0,
    encoder: EncoderOption = "auto",
    protocol: ProtocolOption = ProtocolName.strict,
    columns: MapOption = None,
    embeddings: EmbeddingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pick pools and split prompts; write scenarios that run --data takes."""
    from routereval.data.building import PoolPlan
    from routereval.data.scenario import STRATEGIES
    from routereval.errors import DataError, ParameterError
    from routereval.sources.model_metadata import load_metadata

    if metadata is not None and not where:
        raise ParameterError(
            f"--metadata {metadata} is what --where asks about, and there is none; add --where CONDITION"
        )
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    only_chosen = (models or where) and pool_size is None and not restrict
    plan = PoolPlan(
        None if pool_size is None else tuple(pool_size),
        tuple(strategy or (() if only_chosen else STRATEGIES)),
        draws,
        tuple(models or ()),
        seed,
        fallback=fallback,
        where=tuple(where or ()),
        restrict=restrict,
    )
    known = None if metadata is None else load_metadata(metadata)
    rows, impossible = _write(benchmarks_named(benchmarks, datasets), datasets, plan, known, out)
    if not rows:
        raise DataError("; ".join(impossible))
    for reason in impossible:
        tell(f"not written: {reason}")
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    _print(rows)
    tell(f"run them: routereval run '{rows[0]['benchmark']}/*/*' --data {out}")


def _write(
    names: Sequence[str], datasets: Datasets, plan: PoolPlan, known: Metadata | None, out: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """Build each benchmark and write it into its folder; what was made, and why nothing could be of the others."""
    from routereval.data.building import built
    from routereval.data.folders import write_folder
    from routereval.errors import DataError
    from routereval.report.terminal import progress

    rows, impossible = [], []
    with progress("building", len(names)) as advance:
        for name in names:
            raw = datasets.unpooled(name)
            try:
                made = built(raw, plan, protocol=datasets.protocol, metadata=known)
            except DataError as error:
                # The others need not wait for it; where there are none, it is the answer.
                impossible.append(str(error))
            else:
                # Embeddings that only count words would take prompts for near-identical that are not: after the split.
                made = made if datasets.encoder == "auto" else datasets.encoded(made)
                write_folder(out / made.benchmark, made)
                rows.append(_row(made, out / made.benchmark))
            advance()
    return rows, impossible


def _row(made: BenchmarkData, folder: Path) -> dict[str, Any]:
    return {
        "benchmark": made.benchmark,
        "folder": str(folder),
        "models": made.scores.shape[1],
        "split": {part: len(getattr(made.split, part)) for part in ("train", "val", "test")},
        "scenarios": list(made.scenario_ids),
        "notes": list(made.missing),
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        split = " / ".join(map(str, row["split"].values()))
        typer.echo(
            f"{row['folder']}: {len(row['scenarios'])} pools of {row['models']} models, "
            f"{split} train / val / test prompts"
        )
        for note in row["notes"]:
            typer.echo(f"  {note}")
