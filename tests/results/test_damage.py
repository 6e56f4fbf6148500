"""Rows of a results file that are damaged in any column: told from whole ones, named, and never the end of a report."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.errors import ResultsError
from routereval.report.rows import json_rows
from routereval.results.curves import CurvePoint, CurveSpec
from routereval.results.damage import array, number, texts
from routereval.results.submitted import Submission, put_submission, submissions_in

POINTS = CurveSpec("t", "oracle", {}, "none", "strict", "all", 3, 0, "x")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("results") / "r.sqlite"
    rv.run(["demo_math/all_strong/3"], ["best_single", "oracle"], results=path)
    with rv.ResultStore(path) as store:
        store.put_points([CurvePoint(POINTS, m, np.arange(3.0), 0.5) for m in (1, 2)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path.read_bytes()


@pytest.fixture
def path(whole: bytes, tmp_path: Path) -> Path:
    (tmp_path / "r.sqlite").write_bytes(whole)
    return tmp_path / "r.sqlite"


def damaged(path: Path, table: str, column: str, value: Any) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))


def packed(value: Any) -> bytes:
    return zlib.compress(value if isinstance(value, bytes) else json.dumps(value).encode())


def in_columns() -> Iterator[tuple[str, Any]]:
    for column in ("params", "metrics", "intervals", "versions"):
        yield from ((column, value) for value in ("", "[1]", "{", 5, b"\xff", '{"a": "b"}', "[" * 10**5))
    yield from (("notes", value) for value in ("{}", "[1]", "nothing"))
    yield from (("scenario", value) for value in ("x", "a/b/1.5", "a/b/-1", b"\xff"))
    yield from (("seed", value) for value in ("x", 0.5))
    yield from (("prompts", value) for value in (-1, 2**62, "5", 0))
    yield from (("models", value) for value in (-1, 2**62, 0))
    yield from (("columns", value) for value in ("[]", '["a"]', "[1]", "5"))
    for column in ("per_prompt", "counted", "share", "choices"):
        yield from ((column, value) for value in (0, "x", b"", b"x", packed(b"short"), packed(bytes(10**6))))
    yield from (("tuning", value) for value in ("{}", "5", "[" * 10**5, '{"trials": 5}'))
    yield "error", b"\xff"
    yield from (("seconds", value) for value in ("x", b"x"))


@pytest.mark.parametrize(("column", "value"), list(in_columns()), ids=lambda value: repr(value)[:24])
def test_a_damaged_run_is_a_failed_run_that_can_be_shown(column: str, value: Any, path: Path) -> None:
    damaged(path, "runs", column, value)
    with rv.ResultStore(path, create=False) as store:
        runs = store.runs()
        assert len(store.runs(outcomes=False)) == len(runs) == 2
    json.dumps(json_rows(runs))
    if not (column in ("versions", "params") and value == '{"a": "b"}'):  # which they may be
        assert all(run.outcome is None and "is damaged" in (run.error or "") for run in runs)


def test_a_key_that_is_no_text_is_nobodys(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET key = x'ff' WHERE router = 'oracle'")
    with rv.ResultStore(path, create=False) as store:
        assert len(store.done()) == 1
        assert [run.error is None for run in store.runs()] == [True, False]


@pytest.mark.parametrize("metadata", ["[1]", "{", "[" * 10**5, b"\xff", 5])
def test_a_damaged_submission_is_an_error_of_ours(metadata: Any, path: Path) -> None:
    put_submission(path, Submission("file:mine", "0" * 64, {"authors": ["A"]}))
    assert len(submissions_in(path)) == 1
    damaged(path, "submissions", "metadata", metadata)
    with pytest.raises(ResultsError, match="the submission 'file:mine' is damaged"):
        submissions_in(path)


RECORD = ["prompt_ids", "subsets", "clusters", "model_ids", "bits", "observed", "train_means"]
NONE = [0, "x", b"", b"x", packed(b"short"), packed([1, 2]), packed({"a": 1})]


@pytest.mark.parametrize("column", RECORD)
@pytest.mark.parametrize("value", NONE, ids=lambda value: repr(value)[:24])
def test_a_damaged_record_counts_as_not_there_and_that_is_said(
    column: str, value: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rv.ResultStore(path, create=False) as store:
        assert len(store.records()) == 1
    damaged(path, "scenarios", column, value)
    with rv.ResultStore(path, create=False) as store:
        assert store.records() == {}
        assert store.record(store.runs()[0].spec) is None
    assert "the stored record of scenario demo_math/all_strong/3 is damaged" in caplog.text


@pytest.mark.parametrize(
    ("column", "value", "left"),
    [
        ("means", b"x", 0),
        ("means", 5, 0),
        ("expected", "x", 0),
        ("spec", "{}", 0),
        ("spec", "[1]", 0),
        ("spec", "5", 0),
    ],
)
def test_a_damaged_point_of_a_curve_counts_as_not_there(column: str, value: Any, left: int, path: Path) -> None:
    with rv.ResultStore(path, create=False) as store:
        assert [point.m for point in store.all_points()] == [1, 2]
    damaged(path, "curves", column, value)
    with rv.ResultStore(path, create=False) as store:
        assert store.all_points() == []


def test_names_in_the_schema_that_are_no_text_are_an_error_of_ours(path: Path) -> None:
    content = path.read_bytes()
    at = content.index(b"CREATE TABLE curves")
    path.write_bytes(content[:at] + b"CREATE\xffTABLE" + content[at + 12 :])
    with pytest.raises(rv.RouterEvalError, match="damaged"), rv.ResultStore(path, create=False) as store:
        store.runs()


def test_no_more_is_unpacked_than_belongs_there() -> None:
    blob = packed(np.arange(4.0).tobytes())
    assert array(blob, np.float64, (2, 2)).tolist() == [[0, 1], [2, 3]]
    assert array(blob, np.float64, None).shape == (4,)
    with pytest.raises(ValueError, match="25 bytes unpacked, 24 expected"):
        array(blob, np.float64, (3,))
    with pytest.raises(ValueError, match="bytes where 8000000000 were packed"):
        array(blob, np.float64, (10**9,))
    with pytest.raises(ValueError, match="shape"):
        array(blob, np.float64, (-1,))


def test_values_are_of_their_kind() -> None:
    assert np.isnan(number(None))
    assert number(3) == 3.0
    assert texts('["a"]') == ["a"]
    for wrong in (True, "3", [3]):
        with pytest.raises(ValueError, match="no number"):
            number(wrong)
    with pytest.raises(ValueError, match="no JSON list of texts"):
        texts("[1]")
