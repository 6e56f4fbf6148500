"""The results file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.errors import ResultsError
from routereval.results.sqlite_file import APPLICATION_ID, VERSION
from routereval.verification import verify


@pytest.fixture(scope="module")
def result() -> rv.RunResult:
    return rv.evaluate(rv.KNN(k=3), rv.load_scenario("demo_math/all_strong/3"))


def failed(result: rv.RunResult) -> rv.RunResult:
    return rv.RunResult(result.spec, None, 0.0, error="RouterError: no luck")


def test_what_is_stored_comes_back(tmp_path: Path, result: rv.RunResult) -> None:
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        store.put(result)
        (run,) = store.runs()
    assert run.spec == result.spec
    assert run.spec.key == result.spec.key
    assert run.metrics == pytest.approx(result.metrics, abs=0, nan_ok=True)
    assert run.intervals == result.intervals
    assert run.notes == result.notes
    assert np.array_equal(run.outcome.choices, result.outcome.choices)
    assert np.array_equal(run.outcome.share, result.outcome.share)
    assert np.array_equal(run.outcome.counted, result.outcome.counted)
    for name, values in result.outcome.columns.items():
        assert np.array_equal(run.outcome.columns[name], values)


def test_a_failed_run_is_stored_but_not_done_and_gives_way_to_a_success(tmp_path: Path, result: rv.RunResult) -> None:
    with rv.ResultStore(tmp_path / "r.sqlite") as store:
        store.put(failed(result))
        assert store.done() == set()
        assert not store.is_done(result.spec.key)
        assert store.runs()[0].error == "RouterError: no luck"
        store.put(result)
        assert store.done() == {result.spec.key}
        store.put(failed(result))
        assert store.runs()[0].error is None


def test_the_key_changes_with_everything_that_identifies_a_run(result: rv.RunResult) -> None:
    spec = result.spec
    changes = {
        "scenario": "demo_math/all_strong/5",
        "router": "kmeans",
        "params": {"k": 4},
        "encoder": "hashing",
        "protocol": "paper",
        "seed": 1,
        "data_hash": "f" * 64,
        "code": "a" * 64,
    }
    fields = {name: getattr(spec, name) for name in changes}
    keys = {rv.RunSpec(**{**fields, name: value}).key for name, value in changes.items()}
    assert len(keys | {spec.key}) == len(changes) + 1


def test_the_key_does_not_depend_on_the_order_of_parameters(result: rv.RunResult) -> None:
    fields = {
        name: getattr(result.spec, name) for name in ("scenario", "router", "encoder", "protocol", "seed", "data_hash")
    }
    one, other = (rv.RunSpec(params=p, **fields) for p in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one.key == other.key


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE cats (name TEXT)")
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(ResultsError, match="not a RouterEval results file"):
        rv.ResultStore(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("to do: everything\n" * 100)
    with pytest.raises(ResultsError, match="not a results file of ours"):
        rv.ResultStore(path)
    assert path.read_text() == "to do: everything\n" * 100


def test_a_file_from_a_newer_version_is_refused_and_says_to_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    rv.ResultStore(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    with pytest.raises(ResultsError, match=f"format {VERSION + 1}.*upgrade"):
        rv.ResultStore(path)


def test_a_results_file_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no results file"):
        rv.ResultStore(tmp_path / "none.sqlite", create=False)
    assert list(tmp_path.iterdir()) == []


def test_the_file_says_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    rv.ResultStore(path).close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_full_disk_is_reported_and_what_was_stored_stays(tmp_path: Path, result: rv.RunResult) -> None:
    path = tmp_path / "r.sqlite"
    other = rv.evaluate(rv.KNN(k=4), rv.load_scenario("demo_math/all_strong/3"))
    with rv.ResultStore(path) as store:
        store.put(result)
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        # SQLite then answers like a disk without space: SQLITE_FULL.
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ResultsError, match="full; free some space; every run that had ended is stored"):
            for k in range(5, 60):
                store.put(rv.evaluate(rv.KNN(k=k), rv.load_scenario("demo_math/all_strong/3")))
    with rv.ResultStore(path) as store:
        assert result.spec.key in store.done()
        store.put(other)
        assert other.spec.key in store.done()


def test_a_read_only_folder_can_be_read(tmp_path: Path, result: rv.RunResult) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    with rv.ResultStore(folder / "r.sqlite") as store:
        store.put(result)
    folder.chmod(0o500)
    try:
        with rv.ResultStore(folder / "r.sqlite", create=False) as store:
            assert store.done() == {result.spec.key}
    finally:
        folder.chmod(0o700)


def test_two_stores_on_one_file_see_each_others_runs(tmp_path: Path, result: rv.RunResult) -> None:
    path = tmp_path / "r.sqlite"
    with rv.ResultStore(path) as one, rv.ResultStore(path) as other:
        one.put(result)
        assert other.is_done(result.spec.key)
        other.put(result)
        assert len(one.runs()) == 1


def test_a_damaged_row_is_a_failed_run_that_says_so_and_verify_reports_it(tmp_path: Path, result: rv.RunResult) -> None:
    path = tmp_path / "r.sqlite"
    with rv.ResultStore(path) as store:
        store.put(result)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET per_prompt = x'00'")
    with rv.ResultStore(path, create=False) as store:
        (run,) = store.runs()
    assert run.error is not None
    assert "the stored row is damaged (ValueError: 1 bytes where 5888 were packed)" in run.error
    verdict = verify(run, lambda spec: pytest.fail("nothing to look up"))
    assert verdict.differences


def test_a_run_stored_under_another_key_is_reported(tmp_path: Path, result: rv.RunResult) -> None:
    path = tmp_path / "r.sqlite"
    with rv.ResultStore(path) as store:
        store.put(result)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET router = 'mlp', seed = 7")
    with rv.ResultStore(path, create=False) as store:
        (run,) = store.runs()
    (difference,) = verify(run, lambda spec: pytest.fail("nothing to look up")).differences
    assert "which is not the key of this run" in difference


def test_an_empty_file_holds_no_runs(tmp_path: Path) -> None:
    (tmp_path / "e.sqlite").touch()
    with pytest.raises(ResultsError, match="is empty: nothing was stored in it yet"):
        rv.ResultStore(tmp_path / "e.sqlite", create=False)
