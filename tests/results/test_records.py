"""What a scenario is tested on, kept beside its runs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import routereval as rv
from routereval.results.records import record_of


def table(path: Path, scores: list[list[float | None]]) -> Path:
    """Six prompts of two subsets, the first two with the same text; models a and b."""
    rows = [
        {"prompt": f"p{i}", "text": text, "subset": "ab"[i % 2], "split": split, "model": model, "score": score}
        for i, (text, split, row) in enumerate(
            zip(
                ["One  apple", "one apple", "pears and plums", "a fig", "nine nuts", "ten figs in a tree"],
                ["test", "test", "test", "train", "train", "train"],
                scores,
                strict=True,
            )
        )
        for model, score in zip("ab", row, strict=True)
    ]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    return path


BINARY: list[list[float | None]] = [[1, 0], [0, 1], [1, 1], [1, 0], [1, 0], [0, 1]]


def test_a_record_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    rv.run([str(table(tmp_path / "t.csv", BINARY))], ["best_single"], results=tmp_path / "r.sqlite")
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        (run,) = store.runs()
        record = store.record(run.spec)
        assert store.recorded() == {(run.spec.scenario, run.spec.data_hash)}
        assert list(store.records()) == [record.key]
    assert record.prompt_ids == ("p0", "p1", "p2")
    assert record.subsets == ("a", "b", "a")
    # The first two prompts have the same text, but for case and white space.
    assert record.clusters[0] == record.clusters[1] != record.clusters[2]
    at = [record.model_ids.index(name) for name in "ab"]
    assert record.scores.dense()[:, at].tolist() == [[1, 0], [0, 1], [1, 1]]
    assert record.train_means[at] == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize("kind", ["graded", "binary with holes", "graded with holes"])
def test_scores_of_any_kind_come_back(tmp_path: Path, kind: str) -> None:
    scores = [list(row) for row in BINARY]
    if "graded" in kind:
        scores[1][0] = 0.25
    if "holes" in kind:
        scores[2][1] = None
    scenario = rv.load_table(table(tmp_path / "t.csv", scores)).scenario("all", 2)
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        store.put_record(record_of(scenario))
        store.put_record(record_of(scenario))
        (record,) = store.records().values()
    assert np.array_equal(record.scores.dense(), scenario.test.scores.dense(), equal_nan=True)
    assert record.scores.binary == scenario.test.scores.binary
    assert record.scores.complete == scenario.test.scores.complete


def test_a_file_from_before_there_were_records_has_none_and_gets_them(tmp_path: Path) -> None:
    target, file = str(table(tmp_path / "t.csv", BINARY)), tmp_path / "r.sqlite"
    rv.run([target], ["best_single"], results=file)
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE scenarios")
    connection.execute("ALTER TABLE runs DROP COLUMN train_size")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with rv.ResultStore(file, create=False) as store:
        (run,) = store.runs()
        assert run.spec.train_size is None
        assert store.record(run.spec) is None
        assert store.records() == {}
    rv.run([target], ["best_single"], results=file)
    with rv.ResultStore(file, create=False) as store:
        assert len(store.runs()) == 1
        assert store.record(run.spec) is not None


def test_runs_can_be_read_without_what_is_large(tmp_path: Path) -> None:
    file = tmp_path / "r.sqlite"
    rv.run(["demo_math/all_strong/3"], ["best_single", "oracle"], results=file)
    with rv.ResultStore(file) as store:
        light = store.runs(outcomes=False)
        whole = list(store.iter_runs({light[0].spec.key}))
    assert [run.spec.router for run in light] == ["best_single", "oracle"]
    assert all(run.outcome is None and run.metrics["mu"] > 0 for run in light)
    assert [run.spec for run in whole] == [light[0].spec]
    assert whole[0].outcome is not None
