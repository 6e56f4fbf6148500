"""The command of a run makes that very run again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import routereval as rv
from routereval.cli import app
from routereval.report.site.commands import command_of, commands_of
from routereval.results import ResultStore


def given(command: str) -> Any:
    program, *arguments = shlex.split(command)
    assert program == "routereval"
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def keys(path: Path) -> set[str]:
    with ResultStore(path, create=False) as store:
        return {run.spec.key for run in store.runs()}


@pytest.mark.parametrize(
    "options",
    [
        ("--router", "knn:k=7,weights=similarity,ties=first", "--seed", "3", "--protocol", "paper"),
        ("--router", "r_o:p=0.25", "--router", "oracle"),
        ("--router", "ridge", "--tune", "--budget", "2"),
        ("--router", "sklearn.linear_model:Ridge:alpha=2.0", "--encoder", "shipped"),
        ("--router", "knn", "--train-size", "30", "--seed", "1", "--seed", "2"),
    ],
    ids=lambda options: options[1],
)
def test_it_names_the_same_keys(tmp_path: Path, options: tuple[str, ...]) -> None:
    first, again = tmp_path / "first.sqlite", tmp_path / "again.sqlite"
    run = given(shlex.join(["routereval", "run", "demo_math/all_strong/3", *options, "--results", str(first)]))
    assert run.exit_code == 0
    with ResultStore(first, create=False) as store:
        commands = [command_of(one.spec) for one in store.runs()]
    assert commands
    for command in commands:
        assert given(f"{command} --results {again}").exit_code == 0
    assert keys(again) == keys(first)


def test_several_runs_share_a_command_only_where_it_runs_nothing_else(result: Callable[..., rv.RunResult]) -> None:
    where = "demo_math/all_strong/3", "demo_math/all_weak/3"
    specs = [result("knn", where=one, seed=seed).spec for one in where for seed in (0, 1)]
    assert commands_of(specs) == [
        "routereval run demo_math/all_strong/3 demo_math/all_weak/3 --router knn --protocol strict --encoder shipped "
        "--seed 0 --seed 1"
    ]
    assert len(commands_of(specs[:3])) == 2


def test_data_that_are_not_the_demo_need_a_folder(result: Callable[..., rv.RunResult]) -> None:
    assert command_of(result("knn", where="gsm8k/all_strong/5").spec).endswith(
        " --encoder shipped --data DATA --seed 0"
    )


def test_a_name_is_an_argument_and_nothing_else(result: Callable[..., rv.RunResult]) -> None:
    spec = result("knn", where="a; rm -rf $HOME/all/3", params={"k": 5}).spec
    assert shlex.split(command_of(spec))[2] == "a; rm -rf $HOME/all/3"
    assert "\n" not in command_of(result("x:y", params={"a": "b\nc, d"}).spec)


def test_what_no_command_can_say_is_a_comment(result: Callable[..., rv.RunResult]) -> None:
    command = command_of(result("my.router:Mine", params={"words": "a, b=c,d"}).spec)
    assert command.startswith("# ")
    assert "Python only" in command


def test_a_predictions_file_is_scored_again(result: Callable[..., rv.RunResult]) -> None:
    command = command_of(result("file:my router", where="demo_math/all_strong/3").spec)
    assert command == "routereval score PREDICTIONS --name 'my router' --protocol strict"
