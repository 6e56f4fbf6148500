"""The command line: its names are a public contract."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from routereval.cli import app

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
ROW_KEYS = [
    *("scenario", "router", "params", "protocol", "encoder", "seed", "mu", "mu_low", "mu_high", "V_R", "V_B"),
    *("V_B_train", "E_p", "choice_entropy", "gap_closed", "regret", "seconds", "error"),
]


def test_run_prints_a_table_and_says_what_is_new_and_what_is_stored(routereval) -> None:
    words = ("run", "demo_math/*/3", "-r", "knn", "-r", "oracle")
    first, second = routereval(*words), routereval(*words)
    assert first.code == 0
    assert "6 runs: 6 new, 0 stored in routereval.sqlite" in first.err
    assert "6 runs: 0 new, 6 stored" in second.err
    assert first.out == second.out
    assert re.search(r"knn \*\s+0\.\d{3} \[0\.\d\d, 0\.\d\d\]", first.out)
    assert "the demo data are synthetic" in first.err
    assert "--data" in first.err


def test_json_prints_one_object_per_run_with_the_keys_of_the_contract(routereval) -> None:
    done = routereval("run", "demo_chat/*/5", "-r", "knn:k=7", "--protocol", "paper", "--seed", "3", "--json")
    rows = json.loads(done.out)
    assert [list(row) for row in rows] == [ROW_KEYS] * 3
    assert {row["scenario"] for row in rows} == {
        f"demo_chat/{s}/5" for s in ("all_strong", "all_weak", "strong_to_weak")
    }
    for row in rows:
        assert (row["router"], row["params"], row["protocol"], row["seed"]) == (
            "knn",
            {"k": 7, "metric": "cosine", "weights": "uniform", "temperature": 0.1}
            | {"shrinkage": 0.0, "ties": "protocol"},
            "paper",
            3,
        )
        assert row["mu_low"] <= row["mu"] <= row["mu_high"]
        assert row["error"] is None


def test_what_does_not_exist_is_null_in_json(routereval, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        "prompt_id,text,a,b\n" + "".join(f"{i},words {i} {i % 3},{i % 2},{(i + 1) % 2}\n" for i in range(40))
    )
    (row,) = json.loads(routereval("run", "mine.csv", "-r", "best_single", "--json").out)
    assert row["V_R"] is None  # nobody published a reference score for this table
    assert row["scenario"] == "mine/all/2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "dmo"), "unknown benchmark or suite 'dmo'; did you mean 'demo'"),
        (("run", "gsm9k"), "did you mean 'gsm8k'"),
        (("run", "gsm8k"), "benchmark gsm8k is published, but no data folder was given"),
        (("run", "demo_math/all_strong/4"), "demo_math has no pool all_strong/4"),
        (("run", "demo_math/*/4"), "no scenario matches 'demo_math/*/4'"),
        (("run", "-r", "kmn"), "unknown router 'kmn'; did you mean 'knn'"),
        (("run", "-r", "knn:kk=3"), "knn has no parameter 'kk'; did you mean 'k'"),
        (("run", "-r", "knn:k=five"), "k is 'five'; expected int"),
        (("run", "-r", "knn:ties=best"), "ties is 'best'; expected one of protocol, first, train_mean"),
        (("run", "-r", "r_o"), "r_o needs p: write r_o:p=..."),
        (("run", "-r", "no.such.module:Router"), "cannot import router 'no.such.module:Router'"),
        (("run", "--encoder", "bert"), "unknown encoder 'bert'"),
        (("run", "--data", "nowhere"), "there is no data folder nowhere"),
        (("run", "paper-easy"), "suite paper-easy needs arc"),
        (("run", "missing.csv"), "missing.csv"),
        (("run", "demo", "--map", "score"), "write ROLE=COLUMN"),
        (("results", "none.sqlite"), "there is no results file none.sqlite"),
        (("verify", "none.sqlite"), "there is no results file none.sqlite"),
        (("score", "none.jsonl"), "none.jsonl"),
        (("show", "knnn"), "did you mean"),
        (("show", "demo_math/all_strong/x"), "expected benchmark/strategy/m"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words: tuple[str, ...], message: str, routereval, tmp_path) -> None:
    done = routereval(*words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("routereval: ")
    assert list(tmp_path.iterdir()) == [], "nothing half-written may be left"


def test_results_prints_what_run_printed(routereval) -> None:
    ran = routereval("run", "demo_math/*/3", "-r", "kmeans", "--results", "r.sqlite")
    again = routereval("results", "r.sqlite")
    assert again.out == ran.out
    assert json.loads(routereval("results", "r.sqlite", "--json").out)[0]["router"] == "kmeans"


def test_list_and_show_know_everything_in_the_catalogues(routereval) -> None:
    for what in ("benchmarks", "suites", "routers", "metrics", "encoders"):
        rows = json.loads(routereval("list", what, "--json").out)
        names = [next(iter(row.values())) for row in rows]
        assert names
        table = routereval("list", what)
        assert table.code == 0
        assert all(name in table.out for name in names)
        if what != "encoders":
            for name in names:
                assert routereval("show", name).code == 0


def test_show_says_what_is_in_a_scenario(routereval) -> None:
    row = json.loads(routereval("show", "demo_math/all_weak/5", "--json").out)
    assert row["split"] == {"train": 179, "val": 29, "test": 92}
    assert len(row["pool"]) == 5
    assert row["scores"] == "binary"


def test_the_queries_of_a_scenario_carry_no_scores(routereval) -> None:
    rows = json.loads(routereval("show", "demo_math/all_weak/5", "--queries", "--json").out)
    assert len(rows) == 92
    assert all(set(row) == {"scenario", "prompt", "text"} for row in rows)


def test_a_predictions_file_is_scored_like_the_router_that_wrote_it(routereval, tmp_path: Path) -> None:
    import routereval as rv

    scenario = rv.load_scenario("demo_math/all_strong/5")
    result = rv.evaluate(rv.KNN(k=9), scenario)
    models = scenario.pool.model_ids
    with (tmp_path / "theirs.jsonl").open("w") as file:
        for prompt, choice in zip(scenario.test.queries.ids, result.outcome.choices, strict=True):
            file.write(json.dumps({"scenario": scenario.id, "prompt": prompt, "choice": models[choice]}) + "\n")
    (row,) = json.loads(routereval("score", "theirs.jsonl", "--json", "--results", "r.sqlite").out)
    assert row["router"] == "file:theirs"
    for name in ("mu", "V_R", "V_B", "V_B_train", "choice_entropy", "gap_closed", "regret"):
        assert row[name] == result.metrics[name]
    assert row["E_p"] is None
    verified = routereval("verify", "r.sqlite")
    assert verified.code == 0
    assert "1 of 1 runs agree" in verified.out


def test_a_router_of_an_installed_package_is_named_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "their_package.py").write_text(
        "from dataclasses import dataclass\n\nimport routereval as rv\n\n\n"
        "@dataclass\nclass Theirs(rv.KNN):\n    k: int = 1\n"
    )
    installed = tmp_path / "their_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[routereval.routers]\ntheirs = their_package:Theirs\nknn = their_package:Theirs\n"
    )

    def run(router: str) -> subprocess.CompletedProcess[str]:
        words = ("run", "demo_math/all_strong/3", "--router", router, "--results", "e.sqlite", "--json")
        command = [sys.executable, "-c", "from routereval.cli import main; main()", *words]
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    (theirs,), (same,), (ours,) = (json.loads(run(name).stdout) for name in ("theirs", "knn:k=1", "knn"))
    assert theirs["router"] == "theirs"
    assert theirs["mu"] == same["mu"] != ours["mu"]
    # A name that is taken stays ours, and the other package's router is not lost without a word.
    assert "router 'knn' is already" in run("theirs").stderr
    assert "--router their_package:Theirs" in run("theirs").stderr


def test_a_table_s_scenario_is_named_by_its_path(routereval, tmp_path: Path) -> None:
    rows = "".join(f"q{i},what is {i}?,{i % 2},{(i + 1) % 2}\n" for i in range(60))
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "mine.csv").write_text("id,text,a,b\n" + rows)
    by_id, by_table = (
        json.loads(routereval("show", name, "--queries", "--json").out)
        for name in ("some/mine.csv/all/2", "some/mine.csv")
    )
    assert by_id == by_table
    assert by_id[0]["scenario"] == "mine/all/2"
    (row,) = json.loads(routereval("run", "some/mine.csv/all/2", "-r", "best_single", "--json").out)
    assert row["scenario"] == "mine/all/2"
    choices = [{"scenario": "mine/all/2", "prompt": query["prompt"], "choice": "a"} for query in by_id]
    (tmp_path / "theirs.jsonl").write_text("\n".join(map(json.dumps, choices)))
    scored = routereval("score", "theirs.jsonl", "--table", "some/mine.csv")
    assert scored.code == 0
    for name in ("theirs", "oracle", "random", "best_single"):
        assert re.search(rf"^ +(2 )? *{name} ", scored.out, re.MULTILINE), name
    assert "sha256" not in scored.out


def test_a_table_without_texts_runs_what_needs_none(routereval, tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text("id,a,b\n" + "".join(f"{i},{i % 2},1\n" for i in range(60)))
    done = routereval("run", "bare.csv")
    assert done.code == 0
    assert "no texts and no embeddings, so knn, kmeans, linear, mlp are left out" in done.err
    assert "no embeddings" in done.out
    assert "no column says the split" in done.err
    failed = routereval("run", "bare.csv", "-r", "knn")
    assert failed.code == 1
    assert "--embeddings FILE.npy" in " ".join(failed.out.split())


def test_an_edited_router_is_run_again(tmp_path: Path) -> None:
    def run(body: str) -> tuple[str, str]:
        (tmp_path / "edited.py").write_text(
            "from dataclasses import dataclass\nimport numpy as np\nimport routereval as rv\n\n@dataclass\n"
            "class Mine:\n    def fit(self, train, val=None):\n        return self\n"
            f"    def predict(self, queries):\n        return rv.Prediction(np.tile({body}, (len(queries), 1)))\n"
        )
        words = ("run", "demo_math/all_strong/3", "--router", "edited:Mine", "--results", "e.sqlite", "--json")
        command = [sys.executable, "-B", "-c", "from routereval.cli import main; main()", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stderr.splitlines()[0], json.loads(done.stdout)[0]["mu"]

    first, again, edited = run("[1.0, 0, 0]"), run("[1.0, 0, 0]"), run("[0.0, 0, 1]")
    assert "1 new, 0 stored" in first[0]
    assert "0 new, 1 stored" in again[0]
    assert "1 new, 0 stored" in edited[0]
    assert first[1] == again[1] != edited[1]


def test_verify_says_what_differs(routereval) -> None:
    import sqlite3

    routereval("run", "demo_math/*/3", "-r", "knn", "-r", "oracle", "--results", "r.sqlite")
    assert "6 of 6 runs agree, 0 differ" in routereval("verify", "r.sqlite").out
    connection = sqlite3.connect("r.sqlite")
    with connection:
        connection.execute(
            "UPDATE runs SET metrics = json_set(metrics, '$.mu', 0.999) "
            "WHERE router = 'knn' AND scenario = 'demo_math/all_weak/3'"
        )
    connection.close()
    done = routereval("verify", "r.sqlite")
    assert done.code == 1
    assert "knn on demo_math/all_weak/3: mu is stored as 0.999, recomputed 0." in done.out
    assert "5 of 6 runs agree, 1 differ" in done.out


def test_verify_notices_a_changed_choice(routereval) -> None:
    import sqlite3
    import zlib

    import numpy as np

    routereval("run", "demo_math/all_strong/5", "-r", "knn", "--results", "r.sqlite")
    connection = sqlite3.connect("r.sqlite")
    with connection:
        choices = np.frombuffer(
            zlib.decompress(connection.execute("SELECT choices FROM runs").fetchone()[0]), dtype=np.int32
        )
        connection.execute("UPDATE runs SET choices = ?", (zlib.compress(((choices + 1) % 5).tobytes()),))
    connection.close()
    done = routereval("verify", "r.sqlite")
    assert done.code == 1
    assert "per-prompt chosen differs" in done.out


def test_every_command_has_help_with_examples(routereval) -> None:
    for command in COMMANDS:
        done = routereval(command, "--help")
        assert done.code == 0
        assert f"Examples:\n    routereval {command}" in done.out, command


def test_the_list_of_commands_says_of_each_what_its_own_help_says_first(routereval) -> None:
    listed = " ".join(routereval("--help").out.split())
    for command in COMMANDS:
        first = routereval(command, "--help").out.split("\n\n")[1]
        sentence = re.split(r"(?<=\w\.) ", " ".join(first.split()))[0]
        assert f"{command} {sentence}" in listed


def test_the_version_is_that_of_the_package(routereval) -> None:
    from importlib.metadata import version

    import routereval as rv

    assert routereval("--version").out.strip() == f"routereval {rv.__version__}"
    assert rv.__version__ == version("routereval")


def test_nothing_in_the_folder_one_is_in_passes_for_a_package(routereval, tmp_path: Path) -> None:
    (tmp_path / "skops.py").write_text("raise SystemExit('skops.py was run')")
    (tmp_path / "only_here.py").write_text("")
    assert routereval("list", "metrics").code == 0
    found, own = importlib.util.find_spec("skops"), importlib.util.find_spec("only_here")
    assert found is not None
    assert str(tmp_path) not in str(found.origin)
    assert own is not None
