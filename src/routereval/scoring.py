"""Score the predictions of a router in any language."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from routereval import protocols
from routereval.data.scenario import Scenario
from routereval.datasets import Datasets
from routereval.errors import RouterEvalError
from routereval.evaluation import evaluate, evaluate_prediction, learnt_from
from routereval.references import BestSingleHindsight, Oracle, Random
from routereval.results import RunResult, RunSpec
from routereval.results.records import ScenarioRecord, record_of
from routereval.results.run import PREDICTIONS_FILE
from routereval.routers.best_single import BestSingle
from routereval.sources.predictions import match_predictions, read_predictions


def score_file(
    path: Path,
    datasets: Datasets,
    *,
    tables: Sequence[str] = (),
    protocol: str = "strict",
    name: str | None = None,
    most: int | None = None,
) -> list[RunResult]:
    """One result per scenario of a predictions file.

    Parameters
    ----------
    tables : table files whose scenarios the predictions may name.
    name : of the router; the file's by default.
    most : how many prompts or models of a kind an error names; None: all.

    Raises
    ------
    PredictionFileError : unknown, missing, duplicate or extra predictions, all of them listed.
    MissingDataError : no scenario of it is at hand.
    """
    rules = protocols.protocol(protocol)
    predictions = read_predictions(path)
    scenarios = scenarios_named(predictions.scenario_ids, datasets, tables)
    matched = match_predictions(predictions, scenarios, most)
    params = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    results = []
    for scenario_id, prediction in matched.items():
        scenario = scenarios[scenario_id]
        spec = RunSpec(
            scenario.id,
            f"{PREDICTIONS_FILE}{name or path.stem}",
            params,
            scenario.encoder,
            rules.name,
            0,
            scenario.data_hash,
        )
        means = learnt_from(scenario, rules).scores.model_means if rules.ties == "train_mean" else None
        results.append(evaluate_prediction(spec, scenario, prediction, rules, tie_breaker=means))
    return results


def references_beside(results: Sequence[RunResult], datasets: Datasets, tables: Sequence[str] = ()) -> list[RunResult]:
    """Oracle, random and the best single models on the scenarios of these results: what to hold them against."""
    protocol = results[0].spec.protocol if results else "strict"
    scenarios = scenarios_named([result.spec.scenario for result in results], datasets, tables)
    policies = (Oracle(), Random(), BestSingleHindsight(), BestSingle())
    return [evaluate(policy, scenario, protocol=protocol) for policy in policies for scenario in scenarios.values()]


def records_of(results: Sequence[RunResult], datasets: Datasets, tables: Sequence[str] = ()) -> list[ScenarioRecord]:
    """What the scenarios of these results are tested on, for a results file to keep."""
    scenarios = scenarios_named([result.spec.scenario for result in results], datasets, tables)
    return [record_of(scenario) for scenario in scenarios.values()]


def scenarios_named(ids: Sequence[str], datasets: Datasets, tables: Sequence[str]) -> dict[str, Scenario]:
    """Those scenarios that exist, by id; the others are for ``match_predictions`` to list.

    Raises
    ------
    RouterEvalError : none of them does; what was wrong with the first.
    """
    # With the embeddings that `run` gives them, so that these results stand in one table with those of routers.
    encoded = [datasets.encoded(datasets.benchmark(table)) for table in tables]
    from_tables = {one: data for data in encoded for one in data.scenario_ids}
    found = {}
    problems = []
    for one in ids:
        try:
            if one in from_tables:
                _, strategy, m = one.split("/")
                found[one] = from_tables[one].scenario(strategy, int(m))
            else:
                found[one] = datasets.scenario(one)
        except RouterEvalError as error:
            problems.append(error)
    if not found and problems:
        raise problems[0]
    return found
