"""The command line: parse, call, print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routereval.errors import RouterEvalError

if TYPE_CHECKING:
    from routereval.datasets import Datasets
    from routereval.results import StoredRun
    from routereval.runner.plan import Task

app = typer.Typer(
    name="routereval",
    help="Measure routers: which language model should answer this prompt?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULT_RESULTS = Path("routereval.sqlite")


class ProtocolName(StrEnum):
    """Choices of ``--protocol``."""

    strict = "strict"
    paper = "paper"


class Listing(StrEnum):
    """What ``list`` lists."""

    benchmarks = "benchmarks"
    suites = "suites"
    routers = "routers"
    metrics = "metrics"
    encoders = "encoders"


DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with official router datasets, or one such .zip or .pkl. [env: ROUTEREVAL_DATA]"
    ),
]
EncoderOption = Annotated[
    str, typer.Option(help="Embeddings: shipped, hashing, or auto (shipped where there are any).")
]
ProtocolOption = Annotated[ProtocolName, typer.Option(help="strict (sound) or paper (as published, faults and all).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="ROLE=COLUMN", help="For a table: which column is the prompt, text, model, score, ..."
    ),
]
EmbeddingsOption = Annotated[Path | None, typer.Option(help="For a table: .npy file, one row per prompt.")]


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
    datasets = _datasets(data, encoder, columns, embeddings)
    selections = datasets.select(targets or ["demo"], skip_missing=skip_missing)
    tasks = plan(selections, policies, protocol=protocol.value, encoder=encoder, seeds=seed or [0])
    keys = {spec.key for task in tasks for spec in task.specs}
    with ResultStore(results) as store:
        stored = len(keys & store.done())
        _tell(f"{len(keys)} runs: {len(keys) - stored} new, {stored} stored in {results}")
        if any(selection.data.synthetic for selection in selections):
            from routereval.datasets import HOW_TO_GET

            _tell(f"the demo data are synthetic, made up to show how it works; {HOW_TO_GET}")
        _execute(tasks, store, jobs, len(keys) - stored)
        runs = store.runs(keys)
    _print_runs(runs, as_json)
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
        file, _datasets(data, "auto", columns, None), tables=table or [], protocol=protocol.value, name=name
    )
    if results is not None:
        with ResultStore(results) as store:
            for result in outcomes:
                store.put(result)
    _print_runs([StoredRun.of(result) for result in outcomes], as_json)


@app.command(
    epilog="""\b
Examples:
  routereval results routereval.sqlite
  routereval results routereval.sqlite --json | jq '.[] | select(.error)'
"""
)
def results(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS, as_json: JsonOption = False
) -> None:
    """Print stored results again; nothing is run."""
    from routereval.results import ResultStore

    with ResultStore(file, create=False) as store:
        runs = store.runs()
    _print_runs(runs, as_json)
    if any(one.error for one in runs):
        raise typer.Exit(1)


@app.command(
    epilog="""\b
Examples:
  routereval verify routereval.sqlite
  routereval verify routereval.sqlite --data official/
"""
)
def verify(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute every stored metric from the stored choices and the data, and say what differs."""
    from routereval.report.terminal import progress
    from routereval.results import ResultStore
    from routereval.verification import finder
    from routereval.verification import verify as verify_run

    with ResultStore(file, create=False) as store:
        runs = store.runs()
    find = finder(_datasets(data, "auto", None, None))
    verdicts = []
    with progress("verifying", len(runs)) as advance:
        for one in runs:
            verdicts.append(verify_run(one, find))
            advance()
    differing = [verdict for verdict in verdicts if verdict.differences]
    if as_json:
        rows = [
            {"scenario": v.spec.scenario, "router": v.spec.router, "key": v.spec.key, "differences": v.differences}
            for v in differing
        ]
        typer.echo(json.dumps(rows, indent=1))
    else:
        for verdict in differing:
            for difference in verdict.differences:
                typer.echo(f"{verdict.spec.router} on {verdict.spec.scenario}: {difference}")
        checked = sum(verdict.checked for verdict in verdicts)
        failed = f"; {len(runs) - checked} failed runs have nothing to verify" if checked < len(runs) else ""
        typer.echo(f"{checked - len(differing)} of {checked} runs agree, {len(differing)} differ{failed}")
    if differing:
        raise typer.Exit(1)


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

    rows = LISTINGS[what.value](_datasets(data, "auto", None, None))
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

    datasets = _datasets(data, encoder, columns, embeddings)
    found: Any = test_queries(name, datasets) if queries else details(name, datasets)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        console().print(listing_table(found) if queries else details_table(found))


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from routereval import __version__

        typer.echo(f"routereval {__version__}")
        raise typer.Exit


def main() -> None:
    """The ``routereval`` command: mistakes as one line on stderr and exit status 2, Ctrl-C as 130."""
    # Routers named by import path may lie in the folder one works in.
    sys.path.insert(0, str(Path.cwd()))
    try:
        app(standalone_mode=True)
    except RouterEvalError as error:
        typer.echo(f"routereval: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # `routereval results | head`: the reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _datasets(data: Path | None, encoder: str, columns: Sequence[str] | None, embeddings: Path | None) -> Datasets:
    from routereval.datasets import Datasets
    from routereval.sources.table_columns import parse_roles

    return Datasets(data, encoder, parse_roles(columns or ()), embeddings)


def _execute(tasks: Sequence[Task], store: Any, jobs: int | None, new: int) -> None:
    from routereval.report.terminal import progress
    from routereval.runner.execute import execute, useful_jobs

    if new == 0:
        return
    try:
        with progress("running", new) as advance:
            execute(tasks, store, jobs=jobs or useful_jobs(tasks), on_result=lambda result: advance())
    except KeyboardInterrupt:
        _tell(f"interrupted; what had ended is stored in {store.path}, the same command carries on")
        raise typer.Exit(130) from None


def _print_runs(runs: Sequence[StoredRun], as_json: bool) -> None:
    if as_json:
        from routereval.report.rows import json_rows

        typer.echo(json.dumps(json_rows(runs), indent=1))
    else:
        from routereval.report.tables import results_table
        from routereval.report.terminal import console

        console().print(results_table(runs))


def _tell(text: str) -> None:
    typer.echo(text, err=True)
