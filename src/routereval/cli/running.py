"""run and score: what makes new results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    datasets_of,
    print_runs,
    tell,
)

if TYPE_CHECKING:
    from routereval.runner.plan import Task


@app.command(
    epilog="""\b
Examples:
  routereval run
  routereval run 'gsm8k/*/5' --data official/ --router knn --router linear
  routereval run paper-easy --data official/ --protocol paper --skip-missing
  routereval run demo --router knn:k=50,ties=train_mean --router mypkg.mymod:MyRouter
  routereval run my_scores.csv --map score=acc_norm --router knn --json
"""
)
def run(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Suites, scenario ids, globs ('gsm8k/*/5'), benchmarks, table files. [default: demo]"),
    ] = None,
    router: Annotated[
        list[str] | None,
        typer.Option("--router", "-r", help="name, name:k=v,... or package.module:Class; repeatable. [default: all]"),
    ] = None,
    protocol: ProtocolOption = ProtocolName.strict,
    encoder: EncoderOption = "auto",
    seed: Annotated[list[int] | None, typer.Option(help="Repeatable. [default: 0]")] = None,
    data: DataOption = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes. [default: as useful]")] = None,
    results: Annotated[
        Path, typer.Option(help="Where runs are stored; what is there is not run again.")
    ] = DEFAULT_RESULTS,
    skip_missing: Annotated[bool, typer.Option(help="Leave out what is not in the data folder.")] = False,
    columns: MapOption = None,
    embeddings: EmbeddingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train and test routers on scenarios; store every run and print the table."""
    from routereval.policies import EVERYTHING, PolicySpec
    from routereval.results import ResultStore
    from routereval.runner.plan import plan

    policies = [PolicySpec.parse(text).build() for text in router or EVERYTHING]
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    selections = datasets.select(targets or ["demo"], skip_missing=skip_missing)
    tasks = plan(selections, policies, protocol=protocol.value, encoder=encoder, seeds=seed or [0])
    keys = {spec.key for task in tasks for spec in task.specs}
    with ResultStore(results) as store:
        stored = len(keys & store.done())
        tell(f"{len(keys)} runs: {len(keys) - stored} new, {stored} stored in {results}")
        if any(selection.data.synthetic for selection in selections):
            from routereval.datasets import HOW_TO_GET

            tell(f"the demo data are synthetic, made up to show how it works; {HOW_TO_GET}")
        _execute(tasks, store, jobs, len(keys) - stored)
        runs = store.runs(keys)
    print_runs(runs, as_json)
    if any(one.error for one in runs):
        raise typer.Exit(1)


@app.command(
    epilog="""\b
Examples:
  routereval score my_choices.jsonl --data official/
  routereval score predictions.csv --name my-router --results routereval.sqlite

\b
Forms (JSONL, CSV or Parquet):
  scenario,prompt,choice            the model chosen for each test prompt
  scenario,prompt,model,score       or a score for every model of the pool
  {"scenario": "gsm8k/all_strong/3", "prompt": "17", "scores": {"model-a": 0.7, "model-b": 0.2}}
The test prompts of a scenario: routereval show gsm8k/all_strong/3 --queries --json
"""
)
def score(
    file: Annotated[Path, typer.Argument(help="Predictions of a router in any language.")],
    name: Annotated[str | None, typer.Option(help="What to call the router. [default: the file's name]")] = None,
    protocol: ProtocolOption = ProtocolName.strict,
    data: DataOption = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Table file the scenarios come from; repeatable.")
    ] = None,
    columns: MapOption = None,
    results: Annotated[Path | None, typer.Option(help="Store the runs here too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a predictions file: what the chosen models scored on the test prompts."""
    from routereval.results import ResultStore, StoredRun
    from routereval.scoring import score_file

    outcomes = score_file(
        file,
        datasets_of(data, columns=columns, protocol=protocol.value),
        tables=table or [],
        protocol=protocol.value,
        name=name,
    )
    if results is not None:
        with ResultStore(results) as store:
            for result in outcomes:
                store.put(result)
    print_runs([StoredRun.of(result) for result in outcomes], as_json)


def _execute(tasks: Sequence[Task], store: Any, jobs: int | None, new: int) -> None:
    from routereval.report.terminal import progress
    from routereval.runner.execute import execute, useful_jobs

    if new == 0:
        return
    try:
        with progress("running", new) as advance:
            execute(tasks, store, jobs=jobs or useful_jobs(tasks), on_result=lambda result: advance())
    except KeyboardInterrupt:
        tell(f"interrupted; what had ended is stored in {store.path}, the same command carries on")
        raise typer.Exit(130) from None
