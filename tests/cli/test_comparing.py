"""routereval compare, on runs that were made by routereval run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import routereval as rv
from routereval.cli import app
from routereval.errors import ParameterError, UnknownNameError


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("compare") / "r.sqlite"
    routers = ("knn", "best_single", "kmeans", "oracle")
    invoke("run", "demo_math/*/5", "demo_code/*/3", *(f"-r{one}" for one in routers), "--results", str(path))
    return str(path)


def test_it_prints_pairs_ranks_and_what_can_be_told_apart(file: str) -> None:
    printed = invoke("compare", file)
    assert printed.exit_code == 0
    assert "of 3 pairs differ at 5 %" in printed.stdout
    assert "mean ranks over 2 cells" in printed.stdout
    assert "demo_math:" in printed.stdout
    assert "best per subset" in printed.stdout
    assert "near-duplicate prompts resampled together" in printed.stdout


def test_json_is_what_python_users_get(file: str) -> None:
    printed = json.loads(invoke("compare", file, "--json").stdout)
    assert printed == json.loads(json.dumps(rv.compare(file).to_json()))
    assert {"pairs", "by_scenario", "routers", "detectable", "oracles", "failed", "notes", "settings"} <= set(printed)


def test_options_say_what_is_compared(file: str) -> None:
    arguments = ("-r", "knn", "--baseline", "oracle", "--scenario", "demo_math", "--cluster", "prompts")
    printed = json.loads(invoke("compare", file, *arguments, "--correction", "bh", "--no-oracles", "--json").stdout)
    (row,) = printed["pairs"]
    assert (row["first"], row["second"]) == ("knn", "oracle")
    assert row["difference"] < 0
    assert {one["scenario"].split("/")[0] for one in printed["by_scenario"]} == {"demo_math"}
    assert (printed["settings"]["cluster"], printed["settings"]["correction"]) == ("prompts", "bh")
    assert printed["oracles"] == []


def test_the_diagram_is_drawn(file: str, tmp_path: Path) -> None:
    picture = tmp_path / "cd.svg"
    printed = invoke("compare", file, "--plot", str(picture))
    assert picture.stat().st_size > 1000
    assert "drawn: " in printed.stdout


def test_mistakes_are_named(file: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'kmeans'"):
        invoke("compare", file, "-r", "kmean", "-r", "knn")
    with pytest.raises(ParameterError, match="expected prompts or duplicates or subset"):
        invoke("compare", file, "--cluster", "topics")
    with pytest.raises(ParameterError, match=r"expected \.png"):
        invoke("compare", file, "--plot", "cd.doc")


def test_help_has_examples() -> None:
    assert "routereval compare routereval.sqlite --baseline best_single" in invoke("compare", "--help").stdout
