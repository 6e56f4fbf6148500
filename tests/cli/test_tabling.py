"""routereval tables: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import routereval as rv
from routereval import cli


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "r.sqlite"
    rv.run(["demo_math/*/3", "demo_math/*/5"], ["oracle", "best_single"], results=path)
    return path


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["routereval", "tables", *words])
    monkeypatch.setattr("sys.path", __import__("sys").path[:])
    code = 0
    try:
        cli.main()
    except SystemExit as leave:
        code = int(leave.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_table_is_printed_as_wide_as_the_terminal(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    code, out, err = run([str(results), "--m", "3"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 60
    assert "m = 3" in out
    assert "m = 5" not in out
    assert "protocol strict" in out


def test_every_format_is_what_the_library_writes(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = rv.tables(results, by="strategy", metrics=["mu", "regret"])
    for name, text in (
        ("markdown", made.markdown()),
        ("latex", made.latex()),
        ("csv", made.csv()),
        ("json", made.json()),
    ):
        words = [str(results), "--by", "strategy", "--metric", "mu", "--metric", "regret", "--format", name]
        assert run(words, monkeypatch, capsys) == (0, text, "")
    assert {row["metric"] for row in csv.DictReader(io.StringIO(made.csv()))} == {"mu", "regret"}
    assert [one["by"] for one in json.loads(made.json())] == ["strategy"]


def test_a_file_is_written_and_named(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.tex"
    words = [str(results), "--format", "latex", "--no-intervals", "--out", str(out)]
    code, printed, err = run(words, monkeypatch, capsys)
    assert (code, printed, err) == (0, "", f"written: {out} (1 table)\n")
    assert out.read_text(encoding="utf-8") == rv.tables(results).latex(intervals=False)


def test_mistakes_are_one_line_and_status_2(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["--metric", "mus"], "unknown metric 'mus'"),
        (["--m", "7"], "no stored run has m = 7; there are m = 3 (strict), m = 5 (strict)"),
        (["--by", "strategy", "--published"], "there are none by strategy"),
        (["--by", "subset", "--metric", "models_used"], "models_used is a property of all choices together"),
    ):
        code, out, err = run([str(results), *words], monkeypatch, capsys)
        assert (code, out) == (2, "")
        assert said in err
        assert len(err.splitlines()) == 1
    assert run(["nothing.sqlite"], monkeypatch, capsys)[0] == 2
