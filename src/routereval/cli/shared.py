"""What the commands share: the application, options of the same meaning, how runs are printed."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from routereval.datasets import Datasets
    from routereval.progress import Advance
    from routereval.results import StoredRun


class _Commands(TyperGroup):
    """Commands that the help lists with their whole first sentence, however many lines it takes."""

    # Any: typer has click's classes from click or from itself, by its version.
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, None where there is none."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help:
            first = " ".join(command.help.split("\n\n")[0].split())
            command.short_help = re.split(r"(?<=\w\.) ", first)[0]
        return command


app = typer.Typer(
    name="routereval",
    cls=_Commands,
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


BenchmarksArgument = Annotated[list[str], typer.Argument(help="Benchmarks, globs ('m*'), table files.")]
DrawsOption = Annotated[int, typer.Option(min=1, help="Random pools of each size.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with official router datasets, or one such .zip or .pkl. [env: ROUTEREVAL_DATA]"
    ),
]
EncoderOption = Annotated[
    str,
    typer.Option(
        help="Embeddings: shipped, wordllama, sentence_bert, st:MODEL, ... (see routereval list encoders), "
        "or auto: shipped where there are any."
    ),
]
ProtocolOption = Annotated[ProtocolName, typer.Option(help="strict (sound) or paper (as published, faults and all).")]
OneProtocolOption = Annotated[
    ProtocolName | None,
    typer.Option("--protocol", help="Only runs by these rules. [default: all, where all are by one]"),
]
OneEncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder", help="Only runs with these embeddings. [default: all, where a benchmark has those of one encoder]"
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(help="Where neural routers compute: cuda, cuda:1, mps, cpu. [default: the best there is]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="ROLE=COLUMN", help="For a table: which column is the prompt, text, model, score, ..."
    ),
]
EmbeddingsOption = Annotated[Path | None, typer.Option(help="For a table: .npy file, one row per prompt.")]

TuneOption = Annotated[bool, typer.Option("--tune", help="Choose each router's parameters on validation prompts.")]
BudgetOption = Annotated[
    int | None,
    typer.Option(min=1, help="How many combinations of parameters each router may try; implies --tune. [default: 12]"),
]


def datasets_of(
    data: Path | None,
    encoder: str = "auto",
    columns: Sequence[str] | None = None,
    embeddings: Path | None = None,
    protocol: str = "strict",
) -> Datasets:
    """What can be routed on, as the options say."""
    from routereval.datasets import Datasets
    from routereval.sources.table_columns import parse_roles

    return Datasets(data, encoder, parse_roles(columns or ()), embeddings, protocol, _progress)


def _progress(what: str, total: int) -> AbstractContextManager[Advance]:
    from routereval.report.terminal import progress

    return progress(what, total)


def benchmarks_named(wanted: Sequence[str], datasets: Datasets) -> list[str]:
    """The benchmarks that names and globs stand for, each once; a name that is none is left for the data to refuse.

    Where there is a data folder, a glob stands for the demo benchmarks only if it fits nothing else: ``demo*``.
    """
    names: dict[str, None] = {}
    for name in wanted:
        found = fnmatch.filter(datasets.origins, name) if any(c in name for c in "*?[") else []
        real = [one for one in found if datasets.origins[one] != "demo"] if datasets.root is not None else []
        names |= dict.fromkeys(real or found or [name])
    return list(names)


def print_runs(runs: Sequence[StoredRun], as_json: bool) -> None:
    """Runs as a table, or as JSON."""
    if as_json:
        from routereval.report.rows import json_rows

        typer.echo(json.dumps(json_rows(runs), indent=1))
    else:
        from routereval.report.controls import controls_were_run
        from routereval.report.controls_table import controls_table
        from routereval.report.tables import results_table
        from routereval.report.terminal import console

        terminal = console()
        terminal.print(results_table(runs, terminal.width))
        if controls_were_run(runs):
            terminal.print("", controls_table(runs, terminal.width))


def tell(text: str) -> None:
    """A line for people, on stderr: it never gets into a pipe."""
    from routereval.report.printable import printable

    typer.echo(printable(text, keep="\n"), err=True)
