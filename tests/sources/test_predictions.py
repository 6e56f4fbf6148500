"""Predictions of routers in other languages: forms, and everything that can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import routereval as rv
from routereval.errors import PredictionFileError
from routereval.sources.predictions import match_predictions, read_predictions

SCENARIO = "demo_math/all_strong/3"


@pytest.fixture(scope="module")
def scenario() -> rv.Scenario:
    return rv.load_scenario(SCENARIO)


def rows_with_choices(scenario: rv.Scenario) -> list[dict[str, str]]:
    models = scenario.pool.model_ids
    return [
        {"scenario": SCENARIO, "prompt": prompt, "choice": models[i % 3]}
        for i, prompt in enumerate(scenario.test.queries.ids)
    ]


def rows_with_scores(scenario: rv.Scenario) -> list[dict[str, object]]:
    models = scenario.pool.model_ids
    return [
        {"scenario": SCENARIO, "prompt": prompt, "model": model, "score": float((i + j) % 3)}
        for i, prompt in enumerate(scenario.test.queries.ids)
        for j, model in enumerate(models)
    ]


def written(rows: list[dict[str, object]] | list[dict[str, str]], path: Path) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif path.suffix == ".csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_choices_are_read_in_any_order(ending: str, scenario: rv.Scenario, tmp_path: Path) -> None:
    path = written(rows_with_choices(scenario)[::-1], tmp_path / f"p.{ending}")
    prediction = match_predictions(read_predictions(path), {SCENARIO: scenario})[SCENARIO]
    expected = np.eye(3)[np.arange(len(scenario.test)) % 3]
    np.testing.assert_array_equal(prediction.scores, expected)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_score_per_model_is_read_in_any_order(ending: str, scenario: rv.Scenario, tmp_path: Path) -> None:
    path = written(rows_with_scores(scenario)[::-1], tmp_path / f"p.{ending}")
    prediction = match_predictions(read_predictions(path), {SCENARIO: scenario})[SCENARIO]
    expected = (np.arange(len(scenario.test))[:, None] + np.arange(3)) % 3
    np.testing.assert_array_equal(prediction.scores, expected)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_object_of_scores_is_read(ending: str, scenario: rv.Scenario, tmp_path: Path) -> None:
    models = scenario.pool.model_ids
    rows = [
        {"scenario": SCENARIO, "prompt": prompt, "scores": dict(zip(models, (0.1, 0.9, 0.5), strict=True))}
        for prompt in scenario.test.queries.ids
    ]
    path = written(rows, tmp_path / f"p.{ending}")
    prediction = match_predictions(read_predictions(path), {SCENARIO: scenario})[SCENARIO]
    np.testing.assert_array_equal(prediction.scores, np.tile([0.1, 0.9, 0.5], (len(scenario.test), 1)))


def test_everything_that_is_wrong_is_listed_at_once(scenario: rv.Scenario, tmp_path: Path) -> None:
    ids = scenario.test.queries.ids
    rows = rows_with_choices(scenario)
    rows[0]["choice"] = "gpt-9"
    rows[1] = dict(rows[2])  # duplicate, and prompt 1 is missing
    train = scenario.train.queries.ids[0]
    rows.append({"scenario": SCENARIO, "prompt": train, "choice": scenario.pool.model_ids[0]})
    rows.append({"scenario": "nowhere/all/3", "prompt": "1", "choice": "x"})
    rows.append({"scenario": SCENARIO, "prompt": "77"})
    with pytest.raises(PredictionFileError) as caught:
        match_predictions(read_predictions(written(rows, tmp_path / "p.jsonl")), {SCENARIO: scenario})
    text = str(caught.value)
    assert text.startswith("6 problems, nothing was scored")
    for line in (
        f"row 3: duplicate prediction for {SCENARIO}, prompt '{ids[2]}'",
        f"row {len(rows)}: no choice, no scores, no model and score",
        f"{SCENARIO}: 1 prompts have no prediction: {ids[1]}",
        f"{SCENARIO}: 1 predictions are for prompts that are no test prompts of it: {train}",
        f"{SCENARIO}: 1 choices are not in the pool: {ids[0]} -> gpt-9",
        "unknown scenario 'nowhere/all/3'",
    ):
        assert line in text.replace("\n  ", "\n").splitlines(), line


def test_scores_that_are_missing_nan_or_of_other_models_are_listed(scenario: rv.Scenario, tmp_path: Path) -> None:
    a, b, c = scenario.test.queries.ids[:3]
    model = scenario.pool.model_ids
    rows = rows_with_scores(scenario)
    rows[0]["score"] = float("nan")
    rows[3]["model"] = "gpt-9"
    rows[6]["score"] = "high"
    rows.append(dict(rows[8]))
    with pytest.raises(PredictionFileError) as caught:
        match_predictions(read_predictions(written(rows, tmp_path / "p.jsonl")), {SCENARIO: scenario})
    text = str(caught.value)
    assert f"1 scores are nan: {a} -> {model[0]}" in text
    assert f"1 scores are for models that are not in the pool: {b} -> gpt-9" in text
    assert f"2 scores are missing: {b} -> {model[0]}, {c} -> {model[0]}" in text
    assert f"row 7: the score of {model[0]!r} is 'high', no number" in text
    assert f"duplicate prediction for {SCENARIO}, prompt {c!r}, model {model[2]!r}" in text


def test_a_scenario_has_choices_or_scores_and_not_both(scenario: rv.Scenario, tmp_path: Path) -> None:
    rows = [*rows_with_choices(scenario)[:1], *rows_with_scores(scenario)[3:]]
    path = written(rows, tmp_path / "p.jsonl")
    with pytest.raises(PredictionFileError, match="some prompts have a choice and others have scores"):
        match_predictions(read_predictions(path), {SCENARIO: scenario})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no predictions"),
        ("{", "line 1 cannot be read"),
        ("[1]", "line 1 is no JSON object"),
        ('{"prompt": 1, "choice": "a"}', "scenario is not there"),
        ('{"scenario": "a/b/3", "choice": "a", "choice": "b"}', "'choice' is there twice"),
        ("\xff", "cannot be read"),
    ],
)
def test_files_that_are_no_predictions_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PredictionFileError) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)
    if message != "cannot be read":
        assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PredictionFileError, match=r"there is no predictions file .*none.csv"):
        read_predictions(tmp_path / "none.csv")
