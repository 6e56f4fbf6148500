"""Failures on the pages: the same reason is said once, each run with its command; so is what all scenarios share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import routereval as rv
from routereval.report.site.building import build_site, collected
from routereval.report.site.failures import reasons
from routereval.results import ResultStore

Stored = Callable[[Path, Sequence[rv.RunResult]], Path]
Result = Callable[..., rv.RunResult]


@pytest.fixture
def failing(tmp_path: Path, result: Result, stored: Stored) -> Path:
    """Ridge fails three times for one reason and once for another, knn never."""
    runs = [result("knn", where=where) for where in ("one/all/3", "one/all/5", "two/all/3")]
    for where, seed, error in (
        ("one/all/3", 0, "out of memory\nat line 7"),
        ("one/all/3", 1, "out of memory\nat line 9"),
        ("two/all/3", 0, "out of memory"),
        ("one/all/5", 0, "no such <b>model</b>"),
    ):
        runs.append(result("ridge", where=where, seed=seed, error=error))
    return stored(tmp_path, runs)


def test_the_same_reason_is_said_once_most_runs_first(failing: Path) -> None:
    with ResultStore(failing, create=False) as store:
        inventory, _ = collected(store)
    assert [(one["label"], one["first"], one["runs"], one["where"]) for one in reasons(inventory.failed)] == [
        ("ridge", "out of memory", "3 runs", "2 scenarios"),
        ("ridge", "no such <b>model</b>", "1 run", "one/all/5"),
    ]


def test_pages_say_reasons_and_every_failed_run_has_its_command(failing: Path, tmp_path: Path) -> None:
    build_site(failing, tmp_path / "out")
    page = (tmp_path / "out/failures.html").read_text("utf-8")
    assert "3 runs on 2 scenarios" in page
    assert page.count("<code>routereval run ") == 4
    (of_one,) = (tmp_path / "out/benchmarks").glob("one-*.html")
    assert of_one.read_text("utf-8").count("out of memory") == 1
    (of_ridge,) = (tmp_path / "out/routers").glob("ridge-*.html")
    text = of_ridge.read_text("utf-8")
    assert "3 runs on 2 scenarios" in text
    assert "<b>model" not in text + page


def test_a_router_whose_scenarios_have_the_same_seeds_says_them_once(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    runs = [result("knn", where=where, seed=seed) for where in ("one/all/3", "two/all/3") for seed in (0, 1)]
    runs += [result("ridge", seed=4), result("kmeans", seed=0), result("kmeans", where="two/all/3", seed=1)]
    build_site(stored(tmp_path, runs), tmp_path / "out")
    said = {
        path.name.rsplit("-", 1)[0]: path.read_text("utf-8").split('id="scenarios"')[1]
        for path in (tmp_path / "out/routers").glob("*.html")
    }
    assert "Mean over seeds 0, 1; protocol strict, encoder shipped." in said["knn"]
    assert "Seed 4; protocol strict" in said["ridge"]
    assert [">seeds</th>" in said[name] for name in ("knn", "ridge", "kmeans")] == [False, False, True]
