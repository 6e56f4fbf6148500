"""The command that draws figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from routereval.cli import app
from routereval.errors import ResultsError, UnknownNameError
from routereval.report.figures import FIGURES


@pytest.fixture
def results(tmp_path: Path) -> Path:
    file = tmp_path / "r.sqlite"
    asked = ["run", "demo_math/all_strong/5", "-r", "knn", "-r", "best_single", "--results", str(file)]
    found = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return file


def figures(*asked: str | Path) -> str:
    found = CliRunner().invoke(app, ["figures", *map(str, asked)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_it_says_what_was_drawn_and_what_was_left_out_and_why(results: Path, tmp_path: Path) -> None:
    out = figures(results, "--out", tmp_path / "drawn", "--format", "svg", "--only", "shares", "--only", "scaling")
    assert "Selection shares (strict protocol, encoder" in out
    assert "left out: Scaling with the number of candidates" in out
    assert "routereval scale BENCHMARK" in out
    assert "1 drawn, 1 left out" in out
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["shares-m5.svg"]


def test_data_and_scripts_get_theirs(results: Path, tmp_path: Path) -> None:
    out = figures(
        *(results, "--out", tmp_path / "drawn", "--format", "png", "--only", "strategies", "--data-too", "--json")
    )
    (row,) = json.loads(out)
    assert set(row["files"]) == {"png", "csv"}
    assert Path(row["files"]["csv"]).read_text(encoding="utf-8").startswith("benchmark,data_hash,m,strategy,router,mu")
    assert row["alt"].startswith("Dot plot of 2 routers")


def test_names_and_what_they_show_are_listed(tmp_path: Path) -> None:
    out = figures(tmp_path / "none.sqlite", "--only", "list")
    assert [line.split()[0] for line in out.splitlines()] == list(FIGURES)


def test_scenarios_and_routers_can_be_chosen(results: Path, tmp_path: Path) -> None:
    out = figures(results, "--out", tmp_path, "--only", "strategies", "--format", "svg", "--scenario", "mmlu/*")
    assert "0 drawn, 1 left out" in out
    with pytest.raises(UnknownNameError, match="unknown router among the stored runs 'kmn'; did you mean 'knn'"):
        figures(results, "--out", tmp_path, "--router", "kmn")


def test_there_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no results file"):
        figures(tmp_path / "none.sqlite", "--out", tmp_path)
