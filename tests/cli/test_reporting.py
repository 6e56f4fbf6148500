"""routereval report and routereval view."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from routereval.cli import app
from routereval.errors import ParameterError
from routereval.report.site.extras import NOTHING
from routereval.report.site.folder import MARKER, replacing

MAIN = "import sys; sys.argv = ['routereval', *sys.argv[1:]]; from routereval.cli import main; main()"


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    results = str(folder / "r.sqlite")
    invoke("run", "demo_math/*/3", "-r", "knn", "-r", "best_single", "-r", "oracle", "--results", results)
    assert invoke("report", results, "--out", str(folder / "out"), "--only-pages").exit_code == 0
    return folder / "out"


def test_it_writes_pages_data_and_where_they_are(report: Path) -> None:
    assert {path.name for path in report.iterdir()} == {
        *("index.html", "benchmarks.html", "failures.html", "about.html", "assets", "benchmarks", "routers", "data"),
        MARKER,
    }
    assert len(list((report / "routers").glob("*.html"))) == 3
    assert (report / "assets" / "plotly.min.js").stat().st_size > 1_000_000
    lines = (report / "data" / "runs.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 9
    assert lines[1].endswith("--seed 0")


def test_the_chart_of_own_data_has_the_line_of_their_reference_model(report: Path) -> None:
    with (report / "data" / "runs.csv").open(encoding="utf-8") as file:
        run = next(row for row in csv.DictReader(file) if row["router"] == "knn")
    (page,) = (report / "benchmarks").glob("*.html")
    found = re.search(r'"reference":\s*\{[^}]*\}', page.read_text("utf-8"))
    assert found is not None
    line = json.loads("{" + found[0] + "}")["reference"]
    assert line["name"] == "Perf(ref)"
    assert line["value"] == pytest.approx(float(run["mu"]) / float(run["V_R"]), rel=1e-4)


def test_a_report_is_replaced_and_nothing_else_ever(report: Path, tmp_path: Path) -> None:
    results = str(report.parent / "r.sqlite")
    (report / "mine.txt").write_text("left by hand")
    invoke("report", results, "--out", str(report), "--only-pages")
    assert not (report / "mine.txt").exists()
    assert [path.name for path in report.parent.iterdir() if path.name.startswith(".")] == []
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(ParameterError, match="not a report of ours"):
        invoke("report", results, "--out", str(other))
    assert [path.name for path in other.iterdir()] == ["cat.jpg"]
    with pytest.raises(ParameterError, match="is a file"):
        invoke("report", results, "--out", str(other / "cat.jpg"))


def test_of_more_runs_than_can_be_drawn_soon_there_are_pages_and_a_note_unless_all_is_asked_for(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, out = str(report.parent / "r.sqlite"), report.parent / "many"
    monkeypatch.setattr("routereval.report.site.building.MANY", 8)
    drawn: list[Path] = []
    monkeypatch.setattr(
        "routereval.report.site.building.write_extras", lambda store, folder, progress: drawn.append(folder) or NOTHING
    )
    said = invoke("report", results, "--out", str(out)).output
    assert "no paired tests, tables and figures of 9 runs" in said
    assert "no paired tests, tables and figures of 9 runs" in (out / "about.html").read_text("utf-8")
    assert not drawn
    assert "no paired tests" not in invoke("report", results, "--out", str(out), "--extras").output
    assert len(drawn) == 1
    monkeypatch.setattr("routereval.report.site.building.MANY", 9)
    assert "no paired tests" not in invoke("report", results, "--out", str(out)).output
    assert len(drawn) == 2


def test_what_fails_half_way_leaves_the_old_report(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (report / "index.html").read_text("utf-8")
    monkeypatch.setattr("routereval.report.site.building.about_page", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        invoke("report", str(report.parent / "r.sqlite"), "--out", str(report), "--only-pages")
    assert (report / "index.html").read_text("utf-8") == before
    assert [path.name for path in report.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_is_interrupted_leaves_nothing_half_written(report: Path, number: signal.Signals, status: int) -> None:
    before = (report / "index.html").read_text("utf-8")
    command = [sys.executable, "-c", MAIN, "report", str(report.parent / "r.sqlite"), "--out", str(report)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        # Once there are figures half of the work is done, and the other half takes seconds.
        while process.poll() is None and not list(report.parent.glob(".out.new-*/figures")):
            time.sleep(0.01)
        os.kill(process.pid, number)
        assert process.wait(timeout=60) == status
    assert [path.name for path in report.parent.iterdir() if path.name.startswith(".")] == []
    assert (report / "index.html").read_text("utf-8") == before


def test_a_second_ctrl_c_does_not_stop_what_tidies_up_after_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def interrupted(*arguments: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt, match="the first"), replacing(tmp_path / "out"):
        assert len(list(tmp_path.iterdir())) == 1
        raise KeyboardInterrupt("the first")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_view_serves_on_loopback_until_interrupted(report: Path) -> None:
    command = [sys.executable, "-c", MAIN, "view", str(report), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url) as answer:
            assert b"Leaderboard" in answer.read()
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for path, headers, status in (
            ("data/", {}, 404),
            ("../r.sqlite", {}, 404),
            ("%2e%2e/r.sqlite", {}, 404),
            ("", {"Host": "elsewhere.example"}, 403),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url + path, headers=headers))
            assert refused.value.code == status
            refused.value.close()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
@pytest.mark.parametrize("what", ["out", "r.sqlite"])
def test_view_opens_the_browser_at_the_page_that_it_serves(
    what: str, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, bytes]] = []

    def browser(url: str) -> bool:
        with urllib.request.urlopen(url) as answer:
            opened.append((url, answer.read()))
        # Who has seen the page ends the command, as Ctrl-C does.
        os.kill(os.getpid(), signal.SIGINT)
        return True

    monkeypatch.setattr("webbrowser.open", browser)
    printed = invoke("view", str(report.parent / what))
    assert printed.exit_code == 0
    ((url, page),) = opened
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    assert url in printed.output.split()
    assert b"Leaderboard" in page


def test_view_without_the_browser_opens_none(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url))
    monkeypatch.setattr("routereval.report.site.serving.ReportServer.serve_forever", lambda self, poll_interval: None)
    assert invoke("view", str(report), "--no-browser").exit_code == 0
    assert opened == []


def test_view_takes_reports_only(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="is no report"):
        invoke("view", str(tmp_path), "--no-browser")


def test_one_command_makes_tables_figures_and_tests_too(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from routereval.report.figures import FIGURES

    monkeypatch.setattr("routereval.report.figures.writing.FIGURES", {"entropy": FIGURES["entropy"]})
    monkeypatch.setattr("routereval.report.site.extras.BROAD", 100)
    printed = invoke("report", str(report.parent / "r.sqlite"), "--out", str(tmp_path / "all"))
    assert printed.exit_code == 0
    tables = {path.name for path in (tmp_path / "all/tables").iterdir()}
    assert {"by_benchmark.tex", "by_strategy.csv", "by_benchmark.md"} <= tables
    assert {path.suffix for path in (tmp_path / "all/figures").iterdir()} == {".png", ".svg", ".csv"}
    about = (tmp_path / "all/about.html").read_text("utf-8")
    assert "figures/entropy-m3.png" in about
    (picture,) = re.findall(r"<img [^>]*>", about)
    assert 'alt="Scatter of mean score against entropy of choice for ' in picture
    assert re.search(r' width="\d{3,}" height="\d{3,}"', picture)
    assert "tables/by_benchmark.tex" in about
    # Made to count as broad, which it is not: its one panel has room on half of a page.
    assert '<figure class="broad"><a href="figures/entropy-m3.svg">' in about
    (page,) = (tmp_path / "all/benchmarks").glob("*.html")
    assert "Paired tests against the best single model, best_single" in page.read_text("utf-8")
