"""The notebook and the scripts of examples/ run, on little, and say what they promise."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def script(name: str, *arguments: str, folder: Path) -> str:
    """What a script prints."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel of this very interpreter; it neither reads nor writes anything of the user's."""
    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = tmp_path / "jupyter" / "kernels" / "here"
    spec.mkdir(parents=True)
    spec.joinpath("kernel.json").write_text(json.dumps({"argv": argv, "display_name": "here", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return "here"


def executed(notebook: Path, kernel: str, folder: Path) -> dict[str, list[Any]]:
    """The outputs of each cell of code, by its id; fails where a cell does."""
    client = pytest.importorskip("nbclient", reason="nbclient runs notebooks: pip install '.[dev]'")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="a notebook needs a kernel: pip install '.[dev]'")
    cells = nbformat.read(notebook, as_version=4)
    run = client.NotebookClient(cells, kernel_name=kernel, timeout=300, resources={"metadata": {"path": str(folder)}})
    run.execute()
    return {cell.id: cell.outputs for cell in cells.cells if cell.cell_type == "code"}


def text_of(outputs: list[Any]) -> str:
    """Everything a cell printed or showed as text."""
    return "\n".join(
        one.text if one.output_type == "stream" else one.data.get("text/markdown", one.data.get("text/plain", ""))
        for one in outputs
    )


def test_the_quick_start_runs_without_a_warning_and_shows_what_it_says(tmp_path: Path, kernel: str) -> None:
    outputs = executed(EXAMPLES / "quick_start.ipynb", kernel, tmp_path)
    for name, shown in outputs.items():
        assert not any(one.output_type == "stream" and one.name == "stderr" for one in shown), (name, shown)
    score = {
        line.split()[0]: float(line.split()[1]) for line in text_of(outputs["bounds"]).splitlines() if line.strip()
    }
    mine = float(re.search(r"mu +(0\.\d+)", text_of(outputs["router"]))[1])  # type: ignore[index]
    assert score["Random"] < score["BestSingle"] < mine < score["Oracle"]
    assert "Neighbours:k=20" in text_of(outputs["run"])
    assert "**m = 100**" in text_of(outputs["tables"])
    for name in ("heat-map", "figure", "scaling"):
        assert any("image/png" in one.get("data", {}) for one in outputs[name]), name
    # What it writes, it writes into a folder for things that may go.
    assert {path.name for path in tmp_path.iterdir()} <= {
        "jupyter",
        "jupyter_runtime_dir",
        "jupyter_config_dir",
        "ipythondir",
    }


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs_and_with_little_else(notebook: Path) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]
    assert content["metadata"]["language_info"] == {"name": "python"}
    assert content["metadata"]["kernelspec"]["name"] == "python3"


def test_a_router_of_ones_own_stands_beside_the_baselines_and_is_stored_by_where_it_is_found(tmp_path: Path) -> None:
    said = script("custom_router.py", "--targets", "demo_code/*/3", folder=tmp_path)
    table, comparison = said.split("router A")
    for name in ("oracle", "random", "best_single", "knn:k=20", "ridge", "custom_router:Words"):
        assert name in table
    assert "oracle" not in comparison.split("A - B:")[0]
    again = script("custom_router.py", "--targets", "demo_code/*/3", folder=tmp_path)
    assert again == said


def test_words_says_of_a_model_what_its_words_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module("custom_router")
    monkeypatch.delitem(sys.modules, "custom_router")
    texts = ["red apple", "red pear", "blue pear", "blue plum"]
    scores = np.array([[1, 0], [1, 0], [0, 1], [0, np.nan]])
    ids = tuple("abcd")
    train = rv.Partition(rv.Queries(ids, texts=texts), rv.ScoreMatrix.from_dense(scores, ids, ("x", "y"), missing=True))
    fitted = module.Words(doubt=2.0).fit(train)
    said = fitted.predict(rv.Queries(("new", "strange"), texts=["red red plum", "grey"])).scores
    # Usual: x 2/4, y 1/3. red: x (.5 + .5) / (2 + 2), y (-1/3 - 1/3) / 4. plum: x -.5 / (1 + 2), y 0.
    np.testing.assert_allclose(said[0], [0.5 + (0.25 - 0.5 / 3) / 2, 1 / 3 + (-1 / 6 + 0) / 2])
    np.testing.assert_allclose(said[1], [0.5, 1 / 3])


def test_own_data_says_whether_routing_pays_and_keeps_a_router_that_answers(tmp_path: Path) -> None:
    said = script("own_data.py", "--prompts", "300", "--tune", "2", folder=tmp_path)
    assert "5 models, 150 train / 60 val / 90 test prompts" in said
    assert re.search(r"(yes|not shown|no, it does harm): \w+:tune=2 - best_single = [+-]0\.\d{3} \[", said)
    assert "90 prompts" in said
    picked = re.findall(r"^  ([\w-]+) +0\.\d{3} +(\d+) %", said, re.MULTILINE)
    assert {name for name, _ in picked} == {"atlas-70b", "cedar-code", "dune-maths", "birch-8b", "ember-1b"}
    assert abs(sum(int(share) for _, share in picked) - 100) <= 3
    assert said.count("\n", said.index("New prompts:")) == 5
    assert (tmp_path / "own_data" / "router" / "router.json").is_file()
    with (tmp_path / "own_data" / "scores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 300


def test_own_data_takes_a_table_of_ones_own(tmp_path: Path) -> None:
    rows = [f"q{i},{'add' if i % 2 else 'spell'} {i},{i % 2},{1 - i % 2},0" for i in range(200)]
    (tmp_path / "mine.csv").write_text("\n".join(["prompt_id,text,adds,spells,fails", *rows]))
    said = script("own_data.py", "--table", "mine.csv", "--tune", "2", "--out", "out", folder=tmp_path)
    assert "mine/all/3: 3 models" in said
    # Each prompt has exactly one model that solves it, and its text says which.
    assert re.search(r"oracle +1\.000", said)
    assert "yes: " in said
    assert re.search(r"fails +0\.000 +0 % +\+0\.000", said)


def test_reproducing_the_paper_writes_tables_and_figure_and_carries_on(tmp_path: Path) -> None:
    asked = ["--out", "paper", "--benchmarks", "demo_math", "--sizes", "3", "--grid", "short", "--draws", "5"]
    asked += ["--routers", "oracle", "random", "knn", "--plot", "scaling.svg"]
    said = script("reproduce_paper.py", *asked, folder=tmp_path)
    made = tmp_path / "paper"
    tables = {ending: (made / f"tables.{ending}").read_text(encoding="utf-8") for ending in ("md", "tex", "csv")}
    assert "| knn | **" in tables["md"]
    assert r"\toprule" in tables["tex"]
    assert all("paper" in text for text in tables.values())
    assert "<svg" in (made / "scaling.svg").read_text(encoding="utf-8")
    assert said.startswith("$ routereval run 'demo_math/*/3' --router=oracle")
    before = (made / "results.sqlite").read_bytes()
    script("reproduce_paper.py", *asked, folder=tmp_path)
    assert (made / "results.sqlite").read_bytes() == before


def test_reproducing_the_paper_puts_the_published_numbers_beside_ours(tmp_path: Path, shared: Path) -> None:
    asked = ["--data", str(shared / "data" / "official"), "--out", "paper", "--benchmarks", "gsm8k", "--sizes", "3"]
    said = script(
        "reproduce_paper.py", *asked, "--grid=short", "--draws=5", "--routers", "oracle", "knn", folder=tmp_path
    )
    with (tmp_path / "paper" / "tables.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["router"], row["metric"]) == ("knn", "mu")]
    # Huang et al. 2025, table of the easy pools: kNN on GSM8k at m = 3.
    assert [float(row["published"]) for row in rows] == [0.70]
    ours = float(rows[0]["value"])
    assert re.search(rf"knn +┆ 1 +┆ {ours - 0.70:.3f} ".replace("-0.000", "-?0.000"), said), said


def test_a_benchmark_nobody_has_is_said_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "reproduce_paper.py"), "--out", "paper", "--benchmarks", "gsm8"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ | {"ROUTEREVAL_DATA": ""}
    )
    assert done.returncode == 1
    assert done.stderr.startswith("reproduce_paper: unknown benchmark 'gsm8'")
    assert done.stderr.count("\n") == 1
