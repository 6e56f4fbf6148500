"""Results files of several people become one."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.data.scores import ScoreMatrix
from routereval.errors import ParameterError, ResultsError
from routereval.results.curves import CurvePoint, CurveSpec
from routereval.results.merged_rows import RULES
from routereval.results.merging import merge
from routereval.results.records import ScenarioRecord
from routereval.results.sqlite_file import VERSION, connect
from routereval.results.submitted import Submission, put_submission, submissions_in

CHOICES = np.array([0, 1, 1, 0], dtype=np.int32)
SCORES = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.float64)


def a_run(router: str = "knn", choices: np.ndarray = CHOICES, *, seed: int = 0, seconds: float = 1.0) -> rv.RunResult:
    """Four prompts, two models; the oracle scores 0.75."""
    chosen = SCORES[np.arange(4), choices]
    same = {"oracle": SCORES.max(axis=1), "best_single": SCORES[:, 0], "best_single_train": SCORES[:, 0]}
    outcome = Outcome(
        prompt_ids=("a", "b", "c", "d"),
        model_ids=("x", "y"),
        counted=np.ones(4, dtype=np.bool_),
        columns={"chosen": chosen, "baseline": SCORES[:, 0], **same},
        share=np.bincount(choices, minlength=2) / 4,
        choices=choices,
    )
    return rv.RunResult(rv.RunSpec("mine/all/2", router, {"k": 3}, "none", "strict", seed, "f" * 64), outcome, seconds)


def failed(result: rv.RunResult, error: str = "RouterError: no luck") -> rv.RunResult:
    return replace(result, outcome=None, error=error)


def a_file(path: Path, *results: rv.RunResult, ended: str = "2026-01-01T00:00:00+00:00") -> Path:
    with rv.ResultStore(path) as store:
        for result in results:
            store.put(result)
    return changed(path, "UPDATE runs SET ended = ?", ended)


def changed(path: Path, statement: str, *values: object) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)
    return path


def runs_in(path: Path) -> list[rv.StoredRun]:
    with rv.ResultStore(path, create=False) as store:
        return store.runs()


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_runs_of_two_people_stand_in_one_file_and_equal_ones_once(tmp_path: Path) -> None:
    a = a_file(tmp_path / "a.sqlite", a_run("knn"), a_run("kmeans"))
    b = a_file(tmp_path / "b.sqlite", a_run("knn", seconds=9.0), a_run("linear"), ended="2026-02-02T00:00:00+00:00")
    report = merge([a, b], tmp_path / "all.sqlite")
    assert report.written
    assert report.rows == {"runs": 3, "curves": 0, "scenarios": 0}
    assert report.read == {a: 2, b: 2}
    assert (report.same, report.failed, report.superseded, report.conflicts) == (1, 0, 0, ())
    merged = runs_in(tmp_path / "all.sqlite")
    assert [run.spec.router for run in merged] == ["kmeans", "knn", "linear"]
    # The first file's stays: other seconds are no contradiction.
    assert [run.seconds for run in merged] == [1.0, 1.0, 1.0]
    assert np.array_equal(merged[1].outcome.choices, CHOICES)
    assert left_over(tmp_path) == []


def test_other_choices_under_one_key_are_a_conflict_that_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    a = a_file(tmp_path / "a.sqlite", a_run("knn"), a_run("kmeans"))
    b = a_file(tmp_path / "b.sqlite", a_run("knn", np.array([0, 0, 1, 1], dtype=np.int32)))
    report = merge([a, b], tmp_path / "all.sqlite")
    assert not report.written
    assert not (tmp_path / "all.sqlite").exists()
    assert left_over(tmp_path) == []
    (conflict,) = report.conflicts
    assert conflict.what.startswith("knn on mine/all/2 (strict, encoder none, seed 0, key ")
    assert conflict.files == (a, b)
    assert conflict.taken is None
    choices, metrics = conflict.differences
    assert choices == f"{a} and {b}: choices differ on 2 of 4 prompts"
    # a chose right on a, b and c, b on a and c.
    assert "mu 0.75 / 0.5" in metrics


@pytest.mark.parametrize(("prefer", "taken"), [("first", "a"), ("last", "c"), ("newest", "b")])
def test_a_preference_settles_conflicts_and_says_whose_was_taken(prefer: str, taken: str, tmp_path: Path) -> None:
    dates = {"a": "2026-01-01T00:00:00+00:00", "b": "2026-03-03T00:00:00+00:00", "c": "2026-02-02T00:00:00+00:00"}
    answers = {"a": [0, 0, 0, 0], "b": [1, 1, 1, 1], "c": [0, 1, 0, 1]}
    files = [
        a_file(tmp_path / f"{name}.sqlite", a_run("knn", np.array(answers[name], dtype=np.int32)), ended=dates[name])
        for name in "abc"
    ]
    report = merge(files, tmp_path / "all.sqlite", prefer=prefer)
    assert report.written
    (conflict,) = report.conflicts
    assert conflict.taken == tmp_path / f"{taken}.sqlite"
    assert str(conflict).endswith(f"taken from {tmp_path / taken}.sqlite")
    (run,) = runs_in(tmp_path / "all.sqlite")
    assert run.outcome.choices.tolist() == answers[taken]


def test_metrics_that_differ_under_equal_choices_are_a_conflict_and_rounding_is_not(tmp_path: Path) -> None:
    a, b = (a_file(tmp_path / f"{name}.sqlite", a_run()) for name in "ab")
    (run,) = runs_in(a)

    def with_mu(mu: float) -> None:
        changed(b, "UPDATE runs SET metrics = ?", json.dumps({"mu": mu, "of_a_newer_version": 3.0}))

    with_mu(run.metrics["mu"] + 1e-12)
    assert merge([a, b], tmp_path / "all.sqlite").written
    with_mu(run.metrics["mu"] + 1e-3)
    report = merge([a, b], tmp_path / "all.sqlite", force=True)
    assert report.conflicts[0].differences == (f"{a} and {b}: mu 0.75 / 0.751",)


def test_a_failed_run_gives_way_to_one_that_succeeded_and_to_a_later_failure(tmp_path: Path) -> None:
    a = a_file(tmp_path / "a.sqlite", failed(a_run("knn")), failed(a_run("mlp"), "earlier"))
    b = a_file(tmp_path / "b.sqlite", a_run("knn"), failed(a_run("mlp"), "later"), ended="2026-05-05T00:00:00+00:00")
    for order in ([a, b], [b, a]):
        report = merge(order, tmp_path / "all.sqlite", force=True)
        assert (report.failed, report.superseded, report.conflicts) == (1, 2, ())
        knn, mlp = runs_in(tmp_path / "all.sqlite")
        assert knn.error is None
        assert mlp.error == "later"


def test_of_equal_runs_the_one_with_more_per_prompt_values_is_taken(tmp_path: Path) -> None:
    old = a_run()
    richer = replace(old.outcome, columns={**old.outcome.columns, "predicted": np.full(4, 0.5)})
    a = a_file(tmp_path / "a.sqlite", old)
    b = a_file(tmp_path / "b.sqlite", replace(old, outcome=richer))
    assert merge([a, b], tmp_path / "all.sqlite").written
    (run,) = runs_in(tmp_path / "all.sqlite")
    assert run.outcome.columns["predicted"].tolist() == [0.5] * 4


CURVE = CurveSpec("mine", "random", {}, "none", "strict", "all", 2, 0, "f" * 64)


def with_curve(path: Path, means: list[float]) -> Path:
    with rv.ResultStore(path) as store:
        store.put_points([CurvePoint(CURVE, 3, np.array(means), 0.5)])
    return path


def a_record(values: np.ndarray = SCORES, clusters: tuple[int, ...] = (0, 1, 2, 3)) -> ScenarioRecord:
    scores = ScoreMatrix.from_dense(values.astype(np.float32), ("a", "b", "c", "d"), ("x", "y"))
    ids = np.array(clusters, dtype=np.int32)
    return ScenarioRecord("mine/all/2", "f" * 64, scores.prompt_ids, None, ids, scores, np.array([0.5, np.nan]))


def with_record(path: Path, record: ScenarioRecord) -> Path:
    with rv.ResultStore(path) as store:
        store.put_record(record)
    return path


def test_curves_and_scenarios_are_merged_too(tmp_path: Path) -> None:
    a = with_record(with_curve(tmp_path / "a.sqlite", [0.25, 0.75]), a_record())
    b = with_record(with_curve(tmp_path / "b.sqlite", [0.25, 0.75]), a_record(clusters=(0, 0, 2, 3)))
    report = merge([a, b], tmp_path / "all.sqlite")
    assert report.rows == {"runs": 0, "curves": 1, "scenarios": 1}
    assert report.conflicts == ()
    with rv.ResultStore(tmp_path / "all.sqlite", create=False) as store:
        assert store.points(CURVE)[3].means.tolist() == [0.25, 0.75]
        (record,) = store.records().values()
    assert np.array_equal(record.scores.dense(), SCORES)


def test_curves_and_scenarios_that_differ_are_conflicts(tmp_path: Path) -> None:
    a = with_record(with_curve(tmp_path / "a.sqlite", [0.25, 0.75]), a_record())
    b = with_record(with_curve(tmp_path / "b.sqlite", [0.25, 0.5]), a_record(1 - SCORES))
    report = merge([a, b], tmp_path / "all.sqlite")
    assert [(one.table, one.what.split(" (")[0]) for one in report.conflicts] == [
        ("curves", "curve of random on mine, m = 3"),
        ("scenarios", "scenario mine/all/2"),
    ]
    assert [one.differences for one in report.conflicts] == [
        (f"{a} and {b}: means differ",),
        (f"{a} and {b}: scores differ",),
    ]


def test_what_has_no_date_comes_from_the_file_with_the_newest_run(tmp_path: Path) -> None:
    a = with_curve(a_file(tmp_path / "a.sqlite", a_run()), [0.25, 0.75])
    b = with_curve(a_file(tmp_path / "b.sqlite", a_run(seed=1), ended="2026-06-06T00:00:00+00:00"), [0.25, 0.5])
    (conflict,) = merge([a, b], tmp_path / "all.sqlite", prefer="newest").conflicts
    assert conflict.taken == b


def test_submissions_are_merged_and_namesakes_are_noted(tmp_path: Path) -> None:
    a, b = (tmp_path / f"{name}.sqlite" for name in "ab")
    put_submission(a, Submission("file:ours", "1" * 64, {"authors": ["A"]}))
    put_submission(b, Submission("file:ours", "1" * 64, {"authors": ["A"]}))
    put_submission(b, Submission("file:theirs", "1" * 64, {"authors": ["B"]}))
    report = merge([a, b], tmp_path / "all.sqlite")
    assert report.notes == ()
    assert [one.router for one in submissions_in(tmp_path / "all.sqlite")] == ["file:ours", "file:theirs"]
    c = tmp_path / "c.sqlite"
    put_submission(c, Submission("file:ours", "2" * 64, {"authors": ["C"]}))
    (note,) = merge([a, c], tmp_path / "both.sqlite").notes
    assert "2 submissions with different predictions are called 'file:ours'" in note


def test_submissions_described_differently_are_a_conflict(tmp_path: Path) -> None:
    a, b = (tmp_path / f"{name}.sqlite" for name in "ab")
    put_submission(a, Submission("file:ours", "1" * 64, {"authors": ["A"], "url": "https://a.example"}))
    put_submission(b, Submission("file:ours", "1" * 64, {"authors": ["B"]}))
    (conflict,) = merge([a, b], tmp_path / "all.sqlite").conflicts
    assert conflict.differences == (f"{a} and {b}: described differently: authors, url",)


def test_an_existing_out_is_left_alone_unless_it_takes_part_or_force_says_so(tmp_path: Path) -> None:
    a, b = a_file(tmp_path / "a.sqlite", a_run("knn")), a_file(tmp_path / "b.sqlite", a_run("kmeans"))
    before = b.read_bytes()
    with pytest.raises(ResultsError, match="exists and is none of the files to merge"):
        merge([a], b)
    assert b.read_bytes() == before
    merge([a, b], b)
    assert [run.spec.router for run in runs_in(b)] == ["kmeans", "knn"]
    merge([a], b, force=True)
    assert [run.spec.router for run in runs_in(b)] == ["knn"]
    assert left_over(tmp_path) == []


def test_a_journal_of_what_was_there_is_never_taken_for_that_of_the_new_file(tmp_path: Path) -> None:
    a, out = a_file(tmp_path / "a.sqlite", a_run("knn")), a_file(tmp_path / "out.sqlite", a_run("mlp"))
    # As after kill -9: the runs of out are in its journal only.
    with rv.ResultStore(out) as store:
        store.put(a_run("kmeans"))
        copies = {ending: (tmp_path / f"out.sqlite{ending}").read_bytes() for ending in ("", "-wal")}
    for ending, content in copies.items():
        (tmp_path / f"out.sqlite{ending}").write_bytes(content)
    report = merge([a, out], out)
    assert report.read == {a: 1, out: 2}
    assert [run.spec.router for run in runs_in(out)] == ["kmeans", "knn", "mlp"]


def test_a_file_in_use_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routereval.results.merging._LOCKED_SECONDS", 0.05)
    a, out = a_file(tmp_path / "a.sqlite", a_run("knn")), a_file(tmp_path / "out.sqlite", a_run("mlp"))
    with rv.ResultStore(out) as busy, pytest.raises(ResultsError, match="is open elsewhere"):
        busy.runs()
        merge([a, out], out)
    assert [run.spec.router for run in runs_in(out)] == ["mlp"]
    assert left_over(tmp_path) == []


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    a, real = a_file(tmp_path / "a.sqlite", a_run("knn")), a_file(tmp_path / "real.sqlite", a_run("mlp"))
    (tmp_path / "link.sqlite").symlink_to(real)
    merge([a, tmp_path / "link.sqlite"], tmp_path / "link.sqlite")
    assert (tmp_path / "link.sqlite").is_symlink()
    assert len(runs_in(real)) == 2


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    a = a_file(tmp_path / "a.sqlite", a_run())
    report = merge([a, tmp_path / "." / "a.sqlite"], tmp_path / "all.sqlite")
    assert report.files == (a,)
    assert report.same == 0


def older(path: Path) -> Path:
    """The file as the first version of the package wrote it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        later = {"tuning", "predict_seconds", "train_size"}
        kept = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(runs)") if row[1] not in later)
        connection.execute(f"CREATE TABLE first_runs AS SELECT {kept} FROM runs")
        connection.execute("DROP TABLE runs")
        connection.execute("ALTER TABLE first_runs RENAME TO runs")
        connection.execute("DROP TABLE curves")
        connection.execute("DROP TABLE scenarios")
        connection.execute("PRAGMA user_version = 1")
    return path


def test_files_of_an_older_format_are_read_and_left_as_they_are(tmp_path: Path) -> None:
    a = older(a_file(tmp_path / "a.sqlite", a_run("knn"), a_run("mlp")))
    b = a_file(tmp_path / "b.sqlite", a_run("knn"))
    before = a.read_bytes()
    report = merge([a, b], tmp_path / "all.sqlite")
    assert (report.rows["runs"], report.same) == (2, 1)
    assert a.read_bytes() == before
    with closing(connect(tmp_path / "all.sqlite", create=False)) as merged:
        assert merged.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert merged.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def not_ours(path: Path) -> None:
    path.write_text("to do: everything\n" * 100)


def without_choices(path: Path) -> None:
    changed(path, "ALTER TABLE runs DROP COLUMN choices")


def newer(path: Path) -> None:
    changed(path, f"PRAGMA user_version = {VERSION + 1}")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (torn, "malformed; it is not a results file of ours, or it is damaged"),
        (not_ours, "it is not a results file of ours, or it is damaged"),
        (without_choices, "its table runs lacks choices"),
        (newer, "written by a newer RouterEval"),
        (empty, "is empty"),
        (Path.unlink, "there is no results file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_written(
    harm: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    a, b = (a_file(tmp_path / f"{name}.sqlite", *(a_run(seed=i) for i in range(30))) for name in "ab")
    harm(b)
    with pytest.raises(ResultsError, match=message) as caught:
        merge([a, b], tmp_path / "all.sqlite")
    assert str(b) in str(caught.value)
    assert not (tmp_path / "all.sqlite").exists()
    assert left_over(tmp_path) == []


def test_a_damaged_value_is_a_conflict_and_not_a_crash(tmp_path: Path) -> None:
    a, b = (a_file(tmp_path / f"{name}.sqlite", a_run()) for name in "ab")
    changed(b, "UPDATE runs SET choices = ?", b"\0")
    (conflict,) = merge([a, b], tmp_path / "all.sqlite").conflicts
    assert "choices that cannot be compared" in conflict.differences[0]


def test_choices_packed_in_another_way_are_the_same_choices(tmp_path: Path) -> None:
    a, b = (a_file(tmp_path / f"{name}.sqlite", a_run()) for name in "ab")
    changed(b, "UPDATE runs SET choices = ?", zlib.compress(CHOICES.tobytes(), 0))
    assert merge([a, b], tmp_path / "all.sqlite").conflicts == ()


def test_a_run_stored_under_the_key_of_another_is_a_conflict(tmp_path: Path) -> None:
    a, b = (a_file(tmp_path / f"{name}.sqlite", a_run()) for name in "ab")
    changed(b, "UPDATE runs SET router = 'mlp'")
    (conflict,) = merge([a, b], tmp_path / "all.sqlite").conflicts
    assert conflict.differences == (f"{a} and {b}: not the same run: router knn / mlp",)


def test_every_table_of_a_results_file_is_merged(tmp_path: Path) -> None:
    put_submission(tmp_path / "a.sqlite", Submission("file:ours", "1" * 64, {}))
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for rules in RULES:
            names = {row[1] for row in connection.execute(f"PRAGMA table_info({rules.table})")}
            assert set(rules.needed) <= names
    assert tables == {rules.table for rules in RULES}


def test_nothing_to_merge_and_unknown_preferences_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="nothing to merge"):
        merge([], tmp_path / "all.sqlite")
    a = a_file(tmp_path / "a.sqlite", a_run())
    with pytest.raises(ParameterError, match="prefer is 'best'; expected one of first, last, newest"):
        merge([a], tmp_path / "all.sqlite", prefer="best")


def test_a_disk_without_space_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, out = a_file(tmp_path / "a.sqlite", *(a_run(seed=i) for i in range(50))), tmp_path / "out.sqlite"
    shutil.copy(a_file(tmp_path / "b.sqlite", a_run("mlp")), out)

    def full(path: Path, create: bool) -> sqlite3.Connection:
        connection = connect(path, create)
        if create:
            connection.execute("PRAGMA max_page_count = 12")
        return connection

    monkeypatch.setattr("routereval.results.merging.connect", full)
    with pytest.raises(ResultsError, match="full; free some space"):
        merge([a, out], out)
    assert [run.spec.router for run in runs_in(out)] == ["mlp"]
    assert left_over(tmp_path) == []
