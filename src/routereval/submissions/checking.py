"""Check a submission: complete, of the right kinds, as claimed, plausible, and not trained on what it is tested on."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from routereval.data.scenario import Scenario
from routereval.datasets import Datasets, is_table
from routereval.errors import DataError, PredictionFileError, RouterEvalError
from routereval.results import RunResult
from routereval.results.records import ScenarioRecord
from routereval.results.run import PREDICTIONS_FILE
from routereval.results.submitted import Submission
from routereval.scoring import records_of, scenarios_named, score_file
from routereval.sources.predictions import read_predictions
from routereval.submissions.folder import Folder, open_folder
from routereval.submissions.metadata import Metadata, read_metadata
from routereval.submissions.near_duplicates import OwnPrompts, comparable, in_benchmark, in_own, read_own_prompts
from routereval.submissions.plausibility import Plausibility, plausibility

ROUNDING = 0.005
"""How far a claim may be off at most: half of its last digit, and never more than this."""

MOST_ROWS = 20_000_000
"""How many rows of predictions are read."""

FEW = 5
"""How many names of a kind a finding has before the rest is counted."""

MOST_PROBLEMS = 20
"""How many problems of the predictions are findings; ``routereval score`` lists all."""

Status = Literal["passed", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : which: folder, description, predictions, claims, plausibility, duplicates.
    status : a warning does not rule a submission out.
    text : a sentence or two.
    """

    check: str
    status: Status
    text: str


@dataclass(frozen=True)
class Report:
    """What checking a submission showed.

    Parameters
    ----------
    submission : what would be stored beside its runs; None where the folder or the description is not in order.
    results : one per scenario, recomputed from the choices; empty where the predictions are not in order.
    records : what these scenarios are tested on.
    plausibility : of each scenario, and of the pools of each benchmark together.
    """

    folder: Path
    findings: tuple[Finding, ...]
    submission: Submission | None = None
    results: tuple[RunResult, ...] = ()
    records: tuple[ScenarioRecord, ...] = field(default=(), repr=False)
    plausibility: tuple[Plausibility, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(finding.status != "failed" for finding in self.findings)


def check(folder: Path, datasets: Datasets, tables: Sequence[str] = ()) -> Report:
    """Check a submission's folder against the data.

    Parameters
    ----------
    datasets : where the scenarios are; its protocol is that of the submission's description from here on.
    tables : table files whose scenarios the predictions may name.

    Raises
    ------
    MissingDataError : there is no such folder.
    """
    there = open_folder(folder)
    findings = [Finding("folder", "failed", problem) for problem in there.problems]
    findings += [Finding("folder", "warning", f"{len(there.unread)} others are not read: {_few(there.unread)}")] * bool(
        there.unread
    )
    metadata, problems = (None, []) if there.metadata is None else read_metadata(there.metadata)
    findings += [Finding("description", "failed", problem) for problem in problems]
    if metadata is None or there.predictions is None:
        return Report(folder, tuple(findings))
    findings.append(Finding("description", "passed", "every entry that is needed is there and of the right kind"))
    datasets = replace(datasets, protocol=metadata.protocol)
    try:
        results, scenarios, found = _scored(there.predictions, metadata, datasets, tables)
    except RouterEvalError as error:
        # Of predictions every problem is on a line of its own, between a count and a hint.
        lines = str(error).split("\n  ")[1:] if isinstance(error, PredictionFileError) else []
        problems = [line.partition("\n")[0] for line in lines] or [str(error)]
        if len(problems) > MOST_PROBLEMS:
            problems[MOST_PROBLEMS:] = [f"and {len(problems) - MOST_PROBLEMS} more problems: routereval score FILE"]
        return Report(folder, (*findings, *(Finding("predictions", "failed", one) for one in problems)))
    findings += found
    findings += _claims(metadata, results)
    judged = plausibility(results, scenarios)
    findings += _plausible(judged)
    findings += _duplicates(there, metadata, results, scenarios)
    warnings = tuple(finding.text for finding in findings if finding.status == "warning" and finding.check != "folder")
    sha256 = hashlib.sha256(there.predictions.read_bytes()).hexdigest()
    return Report(
        folder,
        tuple(findings),
        Submission(f"{PREDICTIONS_FILE}{metadata.router}", sha256, metadata.values, warnings),
        tuple(results),
        tuple(records_of(results, datasets, tables)),
        tuple(judged),
    )


def _scored(
    path: Path, metadata: Metadata, datasets: Datasets, tables: Sequence[str]
) -> tuple[list[RunResult], dict[str, Scenario], list[Finding]]:
    _check_rows(path)
    said = read_predictions(path)
    files = [one for one in said.scenario_ids if _names_a_file(one)]
    if files:
        raise DataError(f"{len(files)} scenarios name a file, which a submission cannot: {_few(files)}")
    missing = [one for one in _promised(metadata, datasets, tables) if one not in said.by_scenario]
    results = score_file(path, datasets, tables=tables, protocol=metadata.protocol, name=metadata.router, most=FEW)
    scenarios = scenarios_named([one.spec.scenario for one in results], datasets, tables)
    prompts = sum(len(one) for one in said.by_scenario.values())
    done = f"{len(results)} scenarios, {prompts} predictions: each test prompt has one, no other has"
    findings = [Finding("predictions", "passed", done)]
    if missing:
        text = f"{len(missing)} scenarios that the description lists have no predictions: {_few(missing)}"
        findings = [Finding("predictions", "failed", text)]
    return results, scenarios, findings


def _check_rows(path: Path) -> None:
    """Refuse a Parquet file that is small because its rows are alike: its size says nothing of the memory it takes.

    Raises
    ------
    DataError : more rows than are read.
    """
    if path.suffix != ".parquet":
        return
    import polars as pl

    try:
        with path.open("rb") as file:
            rows = int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):
        return  # whoever reads it says what is wrong with it
    if rows > MOST_ROWS:
        raise DataError(f"{path.name} has {rows:,} rows; at most {MOST_ROWS:,} are read")


def _promised(metadata: Metadata, datasets: Datasets, tables: Sequence[str]) -> list[str]:
    """The ids of the scenarios that the description lists."""
    files = [one for one in metadata.scenarios if _names_a_file(one)]
    if files:
        raise DataError(f"the description lists {_few(files)}: a file, which a submission cannot name")
    from_tables = [one for table in tables for one in datasets.benchmark(table).scenario_ids]
    listed: dict[str, None] = {}
    for target in metadata.scenarios:
        found = fnmatch.filter(from_tables, target) or [
            one for selection in datasets.select([target]) for one in selection.scenario_ids
        ]
        listed |= dict.fromkeys(found)
    return list(listed)


def _names_a_file(target: str) -> bool:
    """Whether a target would be looked for on this machine's disk."""
    return is_table(target) or is_table(target.rsplit("/", 2)[0])


def _claims(metadata: Metadata, results: Sequence[RunResult]) -> list[Finding]:
    computed: Mapping[str, Mapping[str, float]] = {one.spec.scenario: one.metrics for one in results}
    findings, agreeing = [], 0
    for scenario, metrics in metadata.claims.items():
        if scenario not in computed:
            findings.append(
                Finding("claims", "failed", f"numbers are claimed for {scenario}, which has no predictions")
            )
            continue
        for name, claimed in metrics.items():
            value = computed[scenario][name]
            if abs(value - claimed) <= _rounding(claimed) + 1e-9:
                agreeing += 1
            else:
                text = f"{scenario}: {name} is claimed to be {claimed:g}; recomputed from the choices it is {value:.4f}"
                findings.append(Finding("claims", "failed", text))
    if agreeing and not findings:
        findings.append(Finding("claims", "passed", f"{agreeing} claimed numbers are what the choices give"))
    return findings


def _rounding(claimed: float) -> float:
    digits = len(repr(claimed).partition(".")[2]) if "e" not in repr(claimed) else 6
    return min(ROUNDING, 0.5 * 10.0**-digits)


def _plausible(judged: Sequence[Plausibility]) -> list[Finding]:
    findings = [
        Finding("plausibility", "failed", f"the choices follow the test answers beyond what routing can do. {one}")
        for one in judged
        if one.verdict == "implausible"
    ]
    findings += [
        Finding("plausibility", "warning", f"the choices follow the answers closely; ask how they were made. {one}")
        for one in judged
        if one.verdict == "doubtful"
    ]
    if not findings:
        most = min(judged, key=lambda one: one.p)
        text = (
            "no scenario's choices follow the test answers more closely than routing can explain; the closest: "
            f"{most.hits.alignment:.0%} of the way to the oracle on the {most.hits.contested} contested prompts of "
            f"{most.name}"
        )
        findings.append(Finding("plausibility", "passed", text))
    return findings


def _duplicates(
    folder: Folder, metadata: Metadata, results: Sequence[RunResult], scenarios: Mapping[str, Scenario]
) -> list[Finding]:
    # The prompts are those of the benchmark, whatever the pool.
    first = {one.spec.benchmark: scenarios[one.spec.scenario] for one in reversed(results)}
    findings = []
    for benchmark, scenario in first.items():
        count = in_benchmark(scenario)
        if count:
            text = (
                f"{benchmark}: {count} of {len(scenario.test)} test prompts are near-identical to a training prompt of "
                "the benchmark itself"
            )
            findings.append(Finding("duplicates", "warning", text))
    if folder.training is None:
        return findings
    try:
        own = read_own_prompts(folder.training)
    except DataError as error:
        return [*findings, Finding("duplicates", "failed", f"{folder.training.name}: {error}")]
    for benchmark, scenario in first.items():
        findings.append(_against(own, benchmark, scenario, metadata))
    return findings


def _against(own: OwnPrompts, benchmark: str, scenario: Scenario, metadata: Metadata) -> Finding:
    if not comparable(own, scenario):
        text = f"{benchmark} has no texts, so the submission's own training prompts cannot be compared with it"
        return Finding("duplicates", "warning", text)
    found = in_own(own, scenario, metadata.protocol)
    if not found:
        return Finding("duplicates", "passed", f"{benchmark}: none of {len(own)} own training prompts is a test prompt")
    text = (
        f"{benchmark}: {len(found)} of {len(scenario.test)} test prompts are near-identical to one of the submission's "
        f"own training prompts: {_few(found)}"
    )
    if metadata.saw_test_prompts:
        return Finding("duplicates", "warning", f"{text}; its description says so")
    return Finding("duplicates", "failed", f"{text}; its description says that none was seen")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
