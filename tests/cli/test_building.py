"""build, as one types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from routereval import cli
from routereval.cli.shared import benchmarks_named
from routereval.datasets import Datasets
from routereval.routers.catalogue import CONTROLS


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten models on sixty prompts: model i is right on a share of (i + 1) / 12."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROUTEREVAL_DATA", raising=False)
    right = np.random.default_rng(0).random((60, 10)) < (np.arange(10) + 1) / 12
    rows = ["prompt_id," + ",".join(f"m{i}" for i in range(10))]
    rows += [f"q{q}," + ",".join(str(int(cell)) for cell in row) for q, row in enumerate(right)]
    (tmp_path / "ten.csv").write_text("\n".join(rows))
    (tmp_path / "models.csv").write_text("model,params_b\n" + "\n".join(f"m{i},{i}" for i in range(8)))
    return tmp_path


def run(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["routereval", *words.split()])
    with pytest.raises(SystemExit) as left:
        cli.main()
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err


def test_models_are_chosen_by_a_table_of_what_is_known_of_them(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "build ten.csv --metadata models.csv --where params_b<=3 --where model!=m0 --out small --json"
    code, out, _ = run(words, monkeypatch, capsys)
    assert code == 0
    (row,) = json.loads(out)
    assert row["scenarios"] == ["ten/chosen/3"]
    assert "2 of 10 models are not in the metadata; conditions leave them out" in row["notes"]
    assert (table / "small" / "ten").is_dir()


def test_without_a_table_only_names_are_known(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run("build ten.csv --where params_b<=3 --out small", monkeypatch, capsys)
    assert code != 0
    assert "nothing is known about 'params_b'" in err
    code, out, _ = run("build ten.csv --where model~m[0-3] --out small", monkeypatch, capsys)
    assert code == 0
    assert "1 pools of 10 models" in out


def test_one_benchmark_of_which_nothing_can_be_made_does_not_stop_the_others(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = "prompt_id,a,b,c\n" + "\n".join(f"q{q},0,0,0" for q in range(30))
    (table / "weak.csv").write_text(weak)
    code, out, err = run("build weak.csv ten.csv --pool-size 3 --out both", monkeypatch, capsys)
    assert code == 0
    assert "both/ten: 3 pools" in out
    assert (
        "not written: weak: no pool can be made; no model has a mean score above 0.1 (the best of 3 has 0.000)" in err
    )
    code, _, err = run("build weak.csv --pool-size 3 --out none", monkeypatch, capsys)
    assert code != 0
    assert "no pool can be made" in err
    code, out, _ = run("build weak.csv --pool-size 3 --fallback --out asked", monkeypatch, capsys)
    assert code == 0
    assert "pool all_weak/3: limits 0.1 and 0.9 dropped, as the fallback asks" in out


def test_metadata_that_no_condition_asks_about_are_a_mistake(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run("build ten.csv --metadata models.csv --out small", monkeypatch, capsys)
    assert code == 2
    assert "add --where CONDITION" in err
    assert not (table / "small").exists()


@pytest.mark.parametrize(
    ("asked", "strategies"),
    [
        ("", {"chosen"}),
        (" --pool-size 4", {"chosen", "all_strong", "all_weak", "strong_to_weak"}),
        (" --strategy all_weak", {"chosen", "all_weak"}),
        (" --restrict", {"chosen", "all_strong", "all_weak", "strong_to_weak"}),
    ],
)
def test_named_models_are_the_only_pool_unless_others_are_asked_for_as_the_help_says(
    asked: str, strategies: set[str], table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"build ten.csv --models m[2-7] --out named --json --fallback{asked}"
    code, out, _ = run(words, monkeypatch, capsys)
    assert code == 0
    assert {name.split("/")[1] for name in json.loads(out)[0]["scenarios"]} == strategies


def test_results_are_one_table_at_a_time(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run("results none.sqlite --tuning --controls", monkeypatch, capsys)
    assert code == 2
    assert "ask for one of them" in err


def test_a_glob_means_the_demo_only_where_it_fits_nothing_else(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("build ten.csv --pool-size 3 --out built", monkeypatch, capsys)[0] == 0
    with_data = Datasets(table / "built")
    assert benchmarks_named(["*"], with_data) == ["ten"]
    assert benchmarks_named(["demo_m*", "t*"], with_data) == ["demo_math", "ten"]
    assert benchmarks_named(["demo_math"], with_data) == ["demo_math"]
    assert "demo_math" in benchmarks_named(["*"], Datasets())


def test_a_group_s_router_that_needs_subsets_is_left_out_where_there_are_none_and_a_named_one_fails(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (table / "text.csv").write_text(
        "prompt_id,text,a,b,c\n" + "\n".join(f"q{i},what is {i}?,{i % 2},{i % 3 % 2},1" for i in range(60))
    )
    words = "run text.csv demo_math/all_strong/3 --encoder hashing --router controls --json"
    code, out, err = run(words, monkeypatch, capsys)
    ran = {(row["scenario"], row["router"]) for row in json.loads(out)}
    assert code == 0
    assert "text: the data do not say which subset a prompt belongs to, so subset_only is left out" in err
    assert ("demo_math/all_strong/3", "subset_only") in ran
    assert {router for scenario, router in ran if scenario.startswith("text/")} == set(CONTROLS) - {"subset_only"}
    code, out, _ = run("run text.csv --encoder hashing --router subset_only --json", monkeypatch, capsys)
    assert code == 1
    assert "--map subset=COLUMN" in json.loads(out)[0]["error"]
