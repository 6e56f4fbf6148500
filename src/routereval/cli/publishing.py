"""merge and submit: what makes one leaderboard of the results of many."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routereval.cli.shared import DataOption, JsonOption, MapOption, app, datasets_of, tell

if TYPE_CHECKING:
    from routereval.results.merging import MergeReport
    from routereval.submissions import Report

_SHOWN = 10
"""How many conflicts, or findings of one check, are printed; --json has all."""


class Prefer(StrEnum):
    """Choices of ``--prefer``."""

    first = "first"
    last = "last"
    newest = "newest"


@app.command(
    epilog="""\b
Examples:
  routereval merge mine.sqlite theirs.sqlite --out all.sqlite
  routereval merge all.sqlite more.sqlite --out all.sqlite
  routereval merge a.sqlite b.sqlite --out all.sqlite --prefer newest
"""
)
def merge(
    files: Annotated[list[Path], typer.Argument(help="Results files.")],
    out: Annotated[Path, typer.Option(help="Results file to write; it may be one of the files.")],
    prefer: Annotated[
        Prefer | None,
        typer.Option(help="Whom to believe in a conflict. [default: nobody, nothing is written]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put several results files into one; equal runs once, contradictions named."""
    from routereval.results.merging import merge as merge_files

    report = merge_files(files, out, None if prefer is None else prefer.value, force=force)
    if as_json:
        typer.echo(json.dumps(_merge_json(report), indent=1))
    else:
        _print_merge(report)
    if not report.written:
        raise typer.Exit(1)


def _merge_json(report: MergeReport) -> dict[str, Any]:
    return {
        "out": str(report.out),
        "written": report.written,
        "rows": dict(report.rows),
        "read": {str(path): count for path, count in report.read.items()},
        "failed": report.failed,
        "same": report.same,
        "superseded": report.superseded,
        "conflicts": [
            {
                "table": one.table,
                "what": one.what,
                "files": [str(path) for path in one.files],
                "differences": list(one.differences),
                "taken": None if one.taken is None else str(one.taken),
            }
            for one in report.conflicts
        ],
        "notes": list(report.notes),
    }


def _print_merge(report: MergeReport) -> None:
    from routereval.report.printable import printable

    for conflict in report.conflicts[:_SHOWN]:
        typer.echo(printable(f"conflict: {conflict}"))
    if len(report.conflicts) > _SHOWN:
        typer.echo(f"... and {len(report.conflicts) - _SHOWN} more conflicts; --json lists all")
    for note in report.notes:
        typer.echo(printable(f"note: {note}"))
    read = ", ".join(f"{count} from {path}" for path, count in report.read.items())
    details = [
        f"{report.same} were there more than once" if report.same else "",
        f"{report.superseded} failed ones gave way" if report.superseded else "",
        f"{report.failed} are failed" if report.failed else "",
    ]
    told = "; ".join([f"{report.rows['runs']} runs ({read})", *filter(None, details)])
    others = ", ".join(
        f"{count} {what}"
        for table, what in (("curves", "points of curves"), ("scenarios", "scenarios"), ("submissions", "submissions"))
        if (count := report.rows.get(table))
    )
    if report.written:
        typer.echo(printable(f"{report.out}: {told}{f'; {others}' if others else ''}"))
        return
    tell(
        f"{len(report.conflicts)} conflicts, so {report.out} was not written; "
        "say whom to believe with --prefer first, last or newest"
    )


@app.command(
    epilog="""\b
Examples:
  routereval submit --init my-router/
  routereval submit --check my-router/ --data official/
  routereval submit my-router/ --to leaderboard.sqlite

\b
A submission is a folder with
  predictions.jsonl, .csv or .parquet   as routereval score reads them
  submission.toml or .json              whose it is, what it learnt from, ...; --init writes one to fill in
  training_prompts.jsonl                if wanted: {"text": ...} for every prompt of its own that it was trained on
"""
)
def submit(
    folder: Annotated[Path, typer.Argument(help="Folder of the submission.")],
    init: Annotated[bool, typer.Option("--init", help="Write a description to fill in, and leave.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check it and leave.")] = False,
    to: Annotated[Path | None, typer.Option(help="Check it and add its runs to this results file.")] = None,
    data: DataOption = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Table file the scenarios come from; repeatable.")
    ] = None,
    columns: MapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the predictions of somebody's router, and add them to a leaderboard."""
    from routereval.errors import ParameterError
    from routereval.submissions import check as check_folder
    from routereval.submissions import publish
    from routereval.submissions.folder import start

    if init + check + (to is not None) != 1:
        raise ParameterError("say one of --init (write a description), --check, or --to FILE (check and add)")
    if init:
        made = start(folder)
        tell(f"fill in {made}, put predictions.jsonl beside it, then: routereval submit --check {folder}")
        return
    report = check_folder(folder, datasets_of(data, columns=columns), table or [])
    added = publish(report, to) if to is not None and report.ok else None
    if as_json:
        typer.echo(json.dumps(_submission_json(report) | {"added": added}, indent=1))
    else:
        _print_submission(report)
        if added is not None:
            typer.echo(f"{added} runs added to {to}; {len(report.results) - added} were there")
    if not report.ok:
        if to is not None:
            tell(f"nothing was added to {to}")
        raise typer.Exit(1)


def _submission_json(report: Report) -> dict[str, Any]:
    from routereval.report.rows import json_rows
    from routereval.results import StoredRun

    return {
        "ok": report.ok,
        "findings": [{"check": one.check, "status": one.status, "text": one.text} for one in report.findings],
        "metadata": None if report.submission is None else dict(report.submission.metadata),
        "runs": json_rows([StoredRun.of(result) for result in report.results]),
        "plausibility": [
            {
                "name": one.name,
                "verdict": one.verdict,
                "contested": one.hits.contested,
                "hits": one.hits.hits,
                "expected": one.hits.expected,
                "z": one.hits.z,
                "hard": one.hits.hard,
                "hard_hits": one.hits.hard_hits,
                "hard_expected": one.hits.hard_expected,
                "alignment": one.hits.alignment,
                "gap_closed": None if one.gap_closed is None or math.isnan(one.gap_closed) else one.gap_closed,
                "limit": one.limit,
                "p": one.p,
                "honest": None if one.honest is None else dict(one.honest),
            }
            for one in report.plausibility
        ],
    }


def _print_submission(report: Report) -> None:
    from routereval.cli.shared import print_runs
    from routereval.report.printable import printable
    from routereval.results import StoredRun

    if report.results and report.submission is not None:
        # Predictions are stored with the encoder of the data; which one made them its description alone says.
        said = str(report.submission.metadata["encoder"])
        runs = [StoredRun.of(result) for result in report.results]
        print_runs([replace(run, spec=replace(run.spec, encoder=said)) for run in runs], as_json=False)
    shown: dict[tuple[str, str], int] = {}
    for one in report.findings:
        kind = one.check, one.status
        shown[kind] = shown.get(kind, 0) + 1
        if shown[kind] <= _SHOWN:
            text = one.text if len(one.text) <= 1000 else one.text[:1000] + " ... (--json has all of it)"
            typer.echo(printable(f"{one.status:<8} {one.check}: {text}"))
    hidden = sum(max(0, count - _SHOWN) for count in shown.values())
    if hidden:
        typer.echo(f"... and {hidden} more findings; --json lists all")
    failed = sum(one.status == "failed" for one in report.findings)
    warned = sum(one.status == "warning" for one in report.findings)
    typer.echo(f"{'accepted' if report.ok else 'not accepted'}: {failed} failed, {warned} warnings")
