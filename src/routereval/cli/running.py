"""run and score: what makes new results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routereval.cli.choosing import able, asked, encoded, without_embeddings
from routereval.cli.executing import (
    DaskOption,
    EventsOption,
    How,
    JobsOption,
    MemoryOption,
    QuietOption,
    ThreadsOption,
    TimeoutOption,
    execute_shown,
)
from routereval.cli.shared import (
    DEFAULT_RESULTS,
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
    print_runs,
    tell,
)

if TYPE_CHECKING:
    from routereval.datasets import Selection


@app.command(
    epilog="""\b
Examples:
  routereval run
  routereval run 'gsm8k/*/5' --data official/ --router knn --router linear
  routereval run paper-easy --data official/ --protocol paper --skip-missing
  routereval run demo --router knn:k=50,ties=train_mean --router mypkg.mymod:MyRouter
  routereval run my_scores.csv --map score=acc_norm --router knn --json
  routereval run demo --router knn --router ridge --tune --budget 20
  routereval run 'demo_math/*/5' --router core --router controls
  routereval run 'demo_math/*/5' --router mypkg.mymod:MyRouter --jobs 2 --timeout 60 --memory-limit 2GB
  routereval run 'demo_math/*/5' --router knn --train-size 50 --train-size 100 --train-size 200
"""
)
def run(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Suites, scenario ids, globs ('gsm8k/*/5'), benchmarks, table files. [default: demo]"),
    ] = None,
    router: Annotated[
        list[str] | None,
        typer.Option(
            "--router",
            "-r",
            help="name, name:k=v,... or package.module:Class; or references, published, core, controls, all. "
            "Repeatable. [default: references and published]",
        ),
    ] = None,
    tune: TuneOption = False,
    budget: BudgetOption = None,
    protocol: ProtocolOption = ProtocolName.strict,
    encoder: EncoderOption = "auto",
    seed: Annotated[list[int] | None, typer.Option(min=0, max=2**32 - 1, help="Repeatable. [default: 0]")] = None,
    train_size: Annotated[
        list[int] | None,
        typer.Option(
            "--train-size", min=1, help="Learn from so many training prompts only; repeatable. [default: all]"
        ),
    ] = None,
    data: DataOption = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
    timeout: TimeoutOption = None,
    memory_limit: MemoryOption = None,
    threads: ThreadsOption = 1,
    device: DeviceOption = "",
    results: Annotated[
        Path, typer.Option(help="Where runs are stored; what is there is not run again.")
    ] = DEFAULT_RESULTS,
    skip_missing: Annotated[bool, typer.Option(help="Leave out what is not in the data folder.")] = False,
    columns: MapOption = None,
    embeddings: EmbeddingsOption = None,
    quiet: QuietOption = False,
    events: EventsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train and test routers on scenarios; store every run and print the table."""
    from routereval.results import ResultStore
    from routereval.runner.plan import plan
    from routereval.tuning import trials

    how = How(jobs, dask, timeout, memory_limit, threads, quiet, events)
    _ = how.limits  # what cannot be read is said before anything is done
    wanted = asked(router or (), device)
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    selections = datasets.select(targets or ["demo"], skip_missing=skip_missing)
    blind = encoded(selections, datasets)
    if blind and not router:
        wanted = without_embeddings(wanted, blind)
    _tell_of_tables(selections)
    tasks = [
        task
        for one in selections
        for task in plan(
            [one],
            able(wanted, one.data),
            protocol=protocol.value,
            encoder=encoder,
            seeds=seed or [0],
            tune=trials(tune, budget),
            train_sizes=train_size or [None],
        )
    ]
    keys = {spec.key for task in tasks for spec in task.specs}
    with ResultStore(results) as store:
        stored = len(keys & store.done())
        tell(f"{len(keys)} runs: {len(keys) - stored} new, {stored} stored in {results}")
        _tell_of_demo(selections)
        execute_shown(tasks, store, how, keys, len(keys) - stored)
        runs = store.runs(keys)
    print_runs(runs, as_json)
    if any(one.error for one in runs):
        raise typer.Exit(1)


def _tell_of_tables(selections: Sequence[Selection]) -> None:
    """How tables were read, where they left that open."""
    from routereval.datasets import is_table

    for one in selections:
        if is_table(one.data.source):
            for note in one.data.missing:
                tell(f"{one.data.benchmark}: {note}")


def _tell_of_demo(selections: Sequence[Selection]) -> None:
    from routereval.datasets import HOW_TO_GET

    if any(one.data.synthetic for one in selections):
        tell(f"the demo data are synthetic, made up to show how it works; {HOW_TO_GET}")


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
    from routereval.scoring import records_of, references_beside, score_file

    datasets = datasets_of(data, columns=columns, protocol=protocol.value)
    outcomes = score_file(file, datasets, tables=table or [], protocol=protocol.value, name=name)
    if results is not None:
        with ResultStore(results) as store:
            for result in outcomes:
                store.put(result)
            for record in records_of(outcomes, datasets, table or []):
                store.put_record(record)
    beside = [] if as_json else references_beside(outcomes, datasets, table or [])
    print_runs([StoredRun.of(result) for result in [*outcomes, *beside]], as_json)
