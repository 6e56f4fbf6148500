"""run and score: what makes new results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from routereval.runner.plan import Task


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
    from routereval.datasets import is_table
    from routereval.encoders import NONE
    from routereval.policies import EVERYTHING, PolicySpec, expanded, needs_embeddings, needs_subsets, on_device
    from routereval.results import ResultStore
    from routereval.runner.plan import plan
    from routereval.tuning import trials

    how = How(jobs, dask, timeout, memory_limit, threads, quiet, events)
    _ = how.limits  # what cannot be read is said before anything is done
    texts = expanded(router or EVERYTHING)
    policies = [on_device(PolicySpec.parse(text).build(), device) for text in texts]
    # A group's member may be left out; who is named is told why it cannot run.
    by_group = {text: policy for text, policy in zip(texts, policies, strict=True) if text not in (router or ())}
    datasets = datasets_of(data, encoder, columns, embeddings, protocol.value)
    selections = datasets.select(targets or ["demo"], skip_missing=skip_missing)
    blind = []
    for one in selections:
        # Here, where there is a terminal for a bar: whoever works on it later finds it done.
        ready = datasets.encoded(one.data)
        blind += [one.data.benchmark] if ready.encoder == NONE else []
        for note in ready.missing[len(one.data.missing) :]:
            tell(f"{one.data.benchmark}: {note}")
    if blind and not router:
        left_out = [text for text, policy in zip(EVERYTHING, policies, strict=True) if needs_embeddings(policy)]
        policies = [policy for policy in policies if not needs_embeddings(policy)]
        tell(
            f"{', '.join(blind)}: no texts and no embeddings, so {', '.join(left_out)} are left out; "
            "give --embeddings FILE.npy or a column of texts"
        )
    for selection in selections:
        if is_table(selection.data.source):
            for note in selection.data.missing:
                tell(f"{selection.data.benchmark}: {note}")
    tasks: list[Task] = []
    for one in selections:
        left_out = [text for text, policy in by_group.items() if needs_subsets(policy) and one.data.subsets is None]
        if left_out:
            tell(
                f"{one.data.benchmark}: the data do not say which subset a prompt belongs to, so {', '.join(left_out)} "
                "is left out; for a table name the column: --map subset=COLUMN"
            )
        able = [policy for policy in policies if not any(policy is by_group[text] for text in left_out)]
        tasks += plan(
            [one],
            able,
            protocol=protocol.value,
            encoder=encoder,
            seeds=seed or [0],
            tune=trials(tune, budget),
            train_sizes=train_size or [None],
        )
    keys = {spec.key for task in tasks for spec in task.specs}
    with ResultStore(results) as store:
        stored = len(keys & store.done())
        tell(f"{len(keys)} runs: {len(keys) - stored} new, {stored} stored in {results}")
        if any(selection.data.synthetic for selection in selections):
            from routereval.datasets import HOW_TO_GET

            tell(f"the demo data are synthetic, made up to show how it works; {HOW_TO_GET}")
        execute_shown(tasks, store, how, keys, len(keys) - stored)
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
