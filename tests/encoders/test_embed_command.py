"""routereval embed, and the commands that use an encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import routereval as rv
from routereval.encoders import ENCODERS
from routereval.encoders.contract import Encoder, Keep
from routereval.encoders.hashing import Hashing


@dataclass(frozen=True)
class Ends(Encoder):
    """Codes of the three letters it reads."""

    keep: Keep = "last"

    @property
    def limit(self) -> str:
        return "3 letters"

    def shorten(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        return [t[:3] if self.keep == "first" else t[-3:] for t in texts], np.array([len(t) > 3 for t in texts])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[ord(letter) for letter in t.ljust(3)] for t in texts], dtype=np.float32)


@pytest.fixture(name="routereval")
def _routereval(routereval, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a command in a folder with a table, and with an encoder that reads three letters."""
    lines = ["prompt_id,text,small,large", *(f"q{i},{'hard' if i % 3 else 'so'} {i},{i % 2},1" for i in range(40))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "home"))
    real = rv.catalogue.import_object
    monkeypatch.setitem(ENCODERS._paths, "ends", "here:Ends")
    monkeypatch.setattr("routereval.catalogue.import_object", lambda path: Ends if path == "here:Ends" else real(path))
    return routereval


def test_embeddings_are_written_in_the_order_of_the_prompts(routereval, tmp_path: Path) -> None:
    code, out, _ = routereval("embed", "mine.csv", "--encoder", "hashing:dimensions=32", "--out", "new/mine.npy")
    assert (code, "40 prompts, 32-d hashing:dimensions=32: 40 computed, 0 known" in out) == (0, True)
    texts = list(rv.load_table("mine.csv").queries.texts or ())
    assert texts[1] == "hard 1"
    np.testing.assert_array_equal(np.load("new/mine.npy"), Hashing(32).encode(texts))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.npy"]


def test_what_is_known_is_not_computed_again_and_a_changed_prompt_alone(routereval, tmp_path: Path) -> None:
    words = ("embed", "mine.csv", "--encoder", "hashing", "--json")
    rows = [json.loads(routereval(*words)[1])[0] for _ in range(2)]
    (tmp_path / "mine.csv").write_text((tmp_path / "mine.csv").read_text().replace("hard 7", "harder 7"))
    rows.append(json.loads(routereval(*words)[1])[0])
    assert [(row["computed"], row["cached"]) for row in rows] == [(40, 0), (0, 40), (1, 39)]
    assert rows[0] | {"seconds": 0} == {
        "benchmark": "mine",
        "encoder": "hashing",
        "prompts": 40,
        "dimensions": 512,
        "computed": 40,
        "cached": 0,
        "seconds": 0,
        "truncated": 0,
        "limit": None,
        "kept": None,
        "file": None,
    }


@pytest.mark.parametrize(("protocol", "kept"), [("paper", "first"), ("strict", "last")])
def test_it_says_how_many_texts_were_cut_and_which_end_was_kept(routereval, protocol: str, kept: str) -> None:
    words = ("mine.csv", "--encoder", "ends", "--protocol", protocol)
    assert f"40 are longer than 3 letters; the {kept} ones were kept" in routereval("embed", *words)[1]
    (row,) = json.loads(routereval("embed", *words, "--json")[1])
    assert (row["encoder"], row["truncated"], row["kept"]) == (f"ends:keep={kept}", 40, kept)
    code, out, err = routereval("run", *words, "--router", "knn:k=1", "--json")
    assert code == 0
    assert f"mine: 40 of 40 texts are longer than 3 letters; the {kept} ones were kept" in err
    assert json.loads(out)[0]["encoder"] == f"ends:keep={kept}"
    assert "6 runs" not in err
    assert "0 new, 1 stored" in routereval("run", *words, "--router", "knn:k=1")[2]
    assert routereval("verify")[0] == 0


def test_several_benchmarks_go_to_a_folder_and_not_into_one_file(routereval, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text((tmp_path / "mine.csv").read_text())
    code, _, err = routereval("embed", "mine.csv", "other.csv", "--encoder", "hashing", "--out", "x.npy")
    assert (code, "x.npy is one file, for 2 benchmarks" in err) == (2, True)
    assert routereval("embed", "mine.csv", "other.csv", "--encoder", "hashing", "--out", "all")[0] == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["mine.npy", "other.npy"]


def test_what_was_shipped_can_be_written_too(routereval) -> None:
    code, out, _ = routereval("embed", "demo_math", "--out", "shipped.npy")
    assert (code, "shipped: as they came with the data, shipped.npy" in out) == (0, True)
    np.testing.assert_array_equal(np.load("shipped.npy"), rv.load_benchmark("demo_math").queries.embeddings)


def test_the_written_file_is_one_that_run_takes(routereval) -> None:
    routereval("embed", "mine.csv", "--encoder", "hashing:dimensions=32", "--out", "mine.npy")
    runs = [
        json.loads(routereval("run", "mine.csv", "--router", "knn:k=3", "--json", "--results", name, *words)[1])[0]
        for name, words in (("a", ("--embeddings", "mine.npy")), ("b", ("--encoder", "hashing:dimensions=32")))
    ]
    assert runs[0]["mu"] == runs[1]["mu"]
    assert [run["encoder"] for run in runs] == ["shipped", "hashing:dimensions=32"]


def test_what_is_built_carries_its_embeddings(routereval) -> None:
    words = ("--strategy", "random", "--pool-size", "2", "--out", "built", "--encoder", "hashing:dimensions=32")
    assert routereval("build", "mine.csv", *words)[0] == 0
    assert rv.load_scenario("mine/random/2", "built").encoder == "hashing:dimensions=32"


def test_the_list_says_what_has_to_be_installed(routereval) -> None:
    rows = {row["encoder"]: row for row in json.loads(routereval("list", "encoders", "--json")[1])}
    assert rows["hashing"]["available"] == rows["shipped"]["available"] == "yes"
    assert rows["RoBERTa"]["available"] in ("yes", "pip install 'routereval[encoders]'")
    assert "prompt" in json.loads(routereval("show", "st", "--json")[1])["parameters"]
