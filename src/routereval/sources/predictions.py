"""Predictions of a router in any language: which model it chose, or a score per model, for each test prompt.

JSONL, CSV, TSV or Parquet, rows in any order, one of these forms per scenario::

    scenario, prompt, choice            one row per prompt
    scenario, prompt, model, score      one row per prompt and model
    scenario, prompt, scores            one row per prompt, scores an object {model: score} (JSONL, Parquet)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from routereval.data.prediction import Prediction
from routereval.data.scenario import Scenario
from routereval.errors import DataError, PredictionFileError
from routereval.sources.table_files import read_frame, suffix_of

_ALIASES = {"scenario_id": "scenario", "prompt_id": "prompt"}
_FORMS = (
    "expected columns scenario, prompt and choice; or scenario, prompt, model and score; "
    "or scenario, prompt and scores (an object per row)"
)

Said = str | dict[str, float]
"""What is said of one prompt: the chosen model, or a score by model."""


@dataclass(frozen=True)
class Predictions:
    """What a file says, and what is wrong with it whatever the scenarios are.

    Parameters
    ----------
    by_scenario : for each scenario id what is said of each prompt.
    problems : rows that cannot be read, and predictions that are there twice.
    """

    by_scenario: Mapping[str, Mapping[str, Said]]
    problems: tuple[str, ...] = ()

    @property
    def scenario_ids(self) -> tuple[str, ...]:
        """The scenarios it has predictions for, in the order of the file."""
        return tuple(self.by_scenario)


def read_predictions(path: Path) -> Predictions:
    """The predictions in a file.

    Raises
    ------
    PredictionFileError : no such file, not one of the forms, or nothing in it.
    """
    if not path.is_file():
        raise PredictionFileError(f"there is no predictions file {path}")
    try:
        rows = list(_json_rows(path)) if suffix_of(path) in (".jsonl", ".ndjson") else read_frame(path).to_dicts()
    except (DataError, OSError, UnicodeDecodeError) as error:
        raise PredictionFileError(f"{path}: {error}") from error
    if not rows:
        raise PredictionFileError(f"{path} holds no predictions; {_FORMS}")
    by_scenario: dict[str, dict[str, Said]] = {}
    problems: list[str] = []
    for number, row in enumerate(rows, start=1):
        fields = {_ALIASES.get(name, name): value for name, value in row.items() if value is not None}
        try:
            scenario, prompt = _name(fields, "scenario"), _name(fields, "prompt")
            _add(by_scenario.setdefault(scenario, {}), scenario, prompt, fields)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    if not by_scenario:
        raise PredictionFileError(f"{path}: {problems[0]}; {_FORMS}")
    return Predictions(by_scenario, tuple(problems))


def match_predictions(
    predictions: Predictions, scenarios: Mapping[str, Scenario], most: int | None = None
) -> dict[str, Prediction]:
    """A prediction for each scenario of the file.

    Parameters
    ----------
    most : how many prompts or models of a kind the error names before it counts the rest; None: all.

    Raises
    ------
    PredictionFileError : lists every scenario, prompt and model that is unknown, missing or there twice, and every
        score that is nan.
    """
    problems = list(predictions.problems)
    matched = {}
    for scenario_id, said in predictions.by_scenario.items():
        if scenario_id not in scenarios:
            problems.append(f"unknown scenario {scenario_id!r}")
            continue
        scenario = scenarios[scenario_id]
        faults = _faults(said, scenario, most)
        problems += [f"{scenario_id}: {fault}" for fault in faults]
        if not faults:
            matched[scenario_id] = _prediction([said[prompt] for prompt in scenario.test.queries.ids], scenario)
    if problems:
        raise PredictionFileError(
            f"{len(problems)} problems, nothing was scored:\n  " + "\n  ".join(problems) + "\n"
            "the test prompts of a scenario: routereval show SCENARIO --queries --json"
        )
    return matched


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice")
        return found

    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=once)
            except (ValueError, RecursionError) as error:
                raise DataError(f"line {number} cannot be read: {error}") from error
            if not isinstance(row, dict):
                raise DataError(f"line {number} is no JSON object; {_FORMS}")
            yield row


def _name(fields: Mapping[str, Any], what: str) -> str:
    value = fields.get(what)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{what} is {'not there' if value is None else repr(value)}")
    return str(value)


def _add(said: dict[str, Said], scenario: str, prompt: str, fields: Mapping[str, Any]) -> None:
    """Note what a row says.

    Raises
    ------
    ValueError : it says nothing that can be read, or something that was said before.
    """
    twice = f"duplicate prediction for {scenario}, prompt {prompt!r}"
    known = said.get(prompt)
    if "choice" in fields:
        if known is not None:
            raise ValueError(twice)
        said[prompt] = _name(fields, "choice")
    elif "scores" in fields:
        if known is not None:
            raise ValueError(twice)
        scores = fields["scores"]
        if not isinstance(scores, dict):
            raise ValueError(f"scores are a {type(scores).__name__}; expected an object {{model: score}}")
        # Parquet gives every row every model of the file, empty where it has none.
        said[prompt] = {model: _number(value, model) for model, value in scores.items() if value is not None}
    elif "model" in fields:
        model = _name(fields, "model")
        if known is None:
            known = said[prompt] = {}
        if isinstance(known, str) or model in known:
            raise ValueError(f"{twice}, model {model!r}")
        known[model] = _number(fields.get("score"), model)
    else:
        raise ValueError("no choice, no scores, no model and score")


def _number(value: Any, model: str) -> float:
    try:
        if value is None or isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the score of {model!r} is {value!r}, no number") from None


def _faults(said: Mapping[str, Said], scenario: Scenario, most: int | None) -> list[str]:
    listing = partial(_listing, most=most)
    expected = scenario.test.queries.ids
    models = set(scenario.pool.model_ids)
    faults = [
        listing("prompts have no prediction", (prompt for prompt in expected if prompt not in said)),
        listing("predictions are for prompts that are no test prompts of it", said.keys() - set(expected)),
    ]
    in_test = {prompt: said[prompt] for prompt in expected if prompt in said}
    choices = {prompt: one for prompt, one in in_test.items() if isinstance(one, str)}
    scores = {prompt: one for prompt, one in in_test.items() if not isinstance(one, str)}
    if choices and scores:
        faults.append("some prompts have a choice and others have scores; give the same for all")
    faults += [
        listing(
            "choices are not in the pool",
            (f"{prompt} -> {model}" for prompt, model in choices.items() if model not in models),
        ),
        listing(
            "scores are for models that are not in the pool",
            (f"{prompt} -> {model}" for prompt, one in scores.items() for model in one if model not in models),
        ),
        listing(
            "scores are missing",
            (
                f"{prompt} -> {model}"
                for prompt, one in scores.items()
                for model in scenario.pool.model_ids
                if model not in one
            ),
        ),
        listing(
            "scores are nan",
            (
                f"{prompt} -> {model}"
                for prompt, one in scores.items()
                for model, value in one.items()
                if math.isnan(value)
            ),
        ),
    ]
    return [fault for fault in faults if fault]


def _listing(what: str, names: Iterable[str], most: int | None) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if most is not None and len(found) > most else ""
    return f"{len(found)} {what}: {', '.join(found[:most])}{more}" if found else ""


def _prediction(said: Sequence[Said], scenario: Scenario) -> Prediction:
    models = scenario.pool.model_ids
    choices = [one for one in said if isinstance(one, str)]
    if choices:
        return Prediction.from_choices(choices, models)
    return Prediction(np.array([[one[model] for model in models] for one in said if not isinstance(one, str)]))
