"""fit and route: a router for use, rather than to be measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import (
    BudgetOption,
    DataOption,
    DeviceOption,
    EmbeddingsOption,
    EncoderOption,
    JsonOption,
    MapOption,
    ProtocolName,
    ProtocolOption,
    TuneOption,
    app,
    datasets_of,
    tell,
)


@app.command(
    epilog="""\b
Examples:
  routereval fit demo_math/all_strong/5 --router knn:k=20 --encoder wordllama --out my_router
  routereval fit my_scores.csv/all/5 --router ridge --tune --encoder wordllama --out my_router
  routereval route --router my_router "What is 2 + 2?"
"""
)
def fit(
    scenario: Annotated[str, typer.Argument(help="Scenario id, or a table's pool: scores.csv/all/5.")],
    out: Annotated[Path, typer.Option(help="Folder to keep the router in; not there yet.")],
    router: Annotated[str, typer.Option("--router", "-r", help="name, name:k=v,... or package.module:Class.")] = "auto",
    tune: TuneOption = False,
    budget: BudgetOption = None,
    protocol: ProtocolOption = ProtocolName.strict,
    encoder: EncoderOption = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the router.")] = 0,
    data: DataOption = None,
    columns: MapOption = None,
    embeddings: EmbeddingsOption = None,
    device: DeviceOption = "",
) -> None:
    """Fit a router on a scenario's training prompts and keep it in a folder, for `routereval route`."""
    from routereval.errors import ParameterError
    from routereval.policies import PolicySpec, on_device
    from routereval.routing import fit_router, how_to_ask, keep
    from routereval.tuning import trials

    if "*" in scenario or "?" in scenario:
        raise ParameterError(f"fit takes one scenario, and {scenario!r} may be many; name it: demo_math/all_strong/5")
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    policy = on_device(PolicySpec.parse(router).build(), device)
    problem = datasets.scenario(scenario)
    fitted = fit_router(policy, problem, protocol=protocol.value, seed=seed, tune=trials(tune, budget))
    keep(fitted, out)
    typer.echo(
        f"{out}: {router} for {problem.m} models, fitted on {fitted.about['training_prompts']} prompts of "
        f"{scenario} ({fitted.about['encoder']} embeddings)"
    )
    for note in fitted.about["notes"]:
        typer.echo(f"  {note}")
    tell(how_to_ask(fitted, out))


@app.command(
    epilog="""\b
Examples:
  routereval route --router my_router "What is 2 + 2?" "Who was Ada Lovelace?"
  routereval route --router my_router --file prompts.txt --json
  cat prompts.txt | routereval route --router my_router
"""
)
def route(
    router: Annotated[Path, typer.Option("--router", "-r", help="Folder that `routereval fit` made.")],
    prompts: Annotated[
        list[str] | None, typer.Argument(help="Prompts. [default: standard input, one per line]")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Prompts, one per line; .jsonl: a string, or an object with 'prompt', per line.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="What to embed the prompts with. [default: what the router was trained on]")
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(help=".npy file, one row per prompt.")] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:CLASS",
            help="A router of your own that the folder may name; its module is run. Repeatable. "
            "[default: only routers of routereval and of installed packages]",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many models' scores are printed.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Print which model should answer each prompt, and what the router thinks of the others."""
    from routereval.report.printable import printable
    from routereval.routers.saving import load_router
    from routereval.routing import route as choose_models
    from routereval.sources.prompts import read_prompts
    from routereval.sources.table_files import read_embeddings

    saved = load_router(router, trust=trust or ())
    texts = read_prompts(prompts or (), file, sys.stdin)
    vectors = None if embeddings is None else read_embeddings(embeddings, len(texts))
    routes = choose_models(saved, texts, encoder=encoder, embeddings=vectors)
    if as_json:
        rows = [{"prompt": t, "model": one.model, "scores": one.scores} for t, one in zip(texts, routes, strict=True)]
        typer.echo(json.dumps(rows, indent=1))
        return
    for text, one in zip(texts, routes, strict=True):
        shown = printable(" ".join(text[:500].split())[:80])
        best = ", ".join(f"{printable(name)} {score:.3f}" for name, score in list(one.scores.items())[:top])
        typer.echo(f"{printable(one.model)}\t{best}\t{shown}")
