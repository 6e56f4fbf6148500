"""Exports: what comes back is what went out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import routereval as rv
from routereval.data.building import built
from routereval.errors import DataError, ParameterError
from routereval.evaluation import evaluate_many
from routereval.exporting import export
from routereval.sources import leaderboards, official
from routereval.sources.tables import load_table


@pytest.mark.parametrize("name", ["demo_math", "demo_chat"])
def test_published_pickles_come_back_as_the_same_scenarios(name: str, tmp_path: Path) -> None:
    data = rv.load_benchmark(name)
    path = export(data, "official", tmp_path / "out")
    assert path.name == f"{name}_router_dataset.pkl"
    again = official.load(name, tmp_path / "out")
    assert again.pools.keys() == data.pools.keys()
    for strategy, m in data.pools:
        one, other = data.scenario(strategy, m), again.scenario(strategy, m)
        assert one.pool.model_ids == other.pool.model_ids
        for part in ("train", "val", "test"):
            a, b = getattr(one, part), getattr(other, part)
            assert a.queries.ids == b.queries.ids
            assert np.array_equal(a.scores.dense(), b.scores.dense())
            assert np.array_equal(a.queries.embeddings, b.queries.embeddings)
            assert list(a.queries.texts) == list(b.queries.texts)
        assert rv.evaluate(rv.KNN(), one, protocol="paper").mu == rv.evaluate(rv.KNN(), other, protocol="paper").mu


def test_the_recorded_output_of_the_published_code_comes_back(shared: Path, tmp_path: Path) -> None:
    golden = json.loads((shared / "golden" / "routers.json").read_text())
    export(built(leaderboards.load("gsm8k", shared / "data" / "official"), protocol="paper"), "official", tmp_path)
    data = official.load("gsm8k", tmp_path)
    results = evaluate_many(rv.KNN(), [data.scenario(*pool) for pool in data.pools], protocol="paper")
    assert len(results) == 15
    for result in results:
        assert isinstance(result, rv.RunResult)
        expected = golden[result.spec.scenario]["knn"]
        assert {name: result.metrics[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_parquet_comes_back_as_a_table(tmp_path: Path) -> None:
    data = rv.load_benchmark("demo_math")
    folder = export(data, "parquet", tmp_path)
    again = load_table(folder / "scores.parquet", embeddings=folder / "embeddings.npy", name="demo_math")
    assert again.scores.model_ids == data.scores.model_ids
    assert np.array_equal(again.scores.dense(), data.scores.dense())
    assert np.array_equal(again.queries.embeddings, data.queries.embeddings)
    assert again.subsets == data.subsets
    for part in ("train", "val", "test"):
        assert sorted(getattr(again.split, part)) == sorted(getattr(data.split, part))
    pools = json.loads((folder / "pools.json").read_text())["pools"]
    assert [(pool["strategy"], pool["m"]) for pool in pools] == list(data.pools)


def with_planes(data: rv.BenchmarkData) -> rv.BenchmarkData:
    costs = np.random.default_rng(0).random(data.scores.shape).astype(np.float32)
    costs[3, 1] = np.nan
    return replace(data, planes={"cost_usd": costs, "exact/match": np.asfortranarray(1 - costs)}, store_dir=None)


def test_planes_go_along_as_a_parquet_file_each_and_not_into_published_pickles(tmp_path: Path) -> None:
    data = with_planes(rv.load_benchmark("demo_math"))
    folder = export(data, "parquet", tmp_path)
    for name, plane in (("cost_usd", "cost_usd"), ("exact_match", "exact/match")):
        table = pl.read_parquet(folder / f"plane_{name}.parquet")
        assert table["prompt_id"].to_list() == list(data.queries.ids)
        np.testing.assert_array_equal(table.select(data.scores.model_ids).to_numpy(), data.planes[plane])
    assert json.loads((folder / "pools.json").read_text())["planes"] == {
        "cost_usd": "cost_usd",
        "exact_match": "exact/match",
    }
    export(data, "official", tmp_path)
    assert official.load("demo_math", tmp_path).planes == {}


def test_planes_are_columns_of_a_dataset_folder_and_named_in_its_card(tmp_path: Path) -> None:
    data = with_planes(rv.load_benchmark("demo_math"))
    folder = export(data, "hf", tmp_path)
    assert "- `plane_cost_usd`: cost_usd of each model on the prompt" in (folder / "README.md").read_text()
    rows = pl.read_parquet(folder / "data" / "test.parquet")
    for column, plane in (("plane_cost_usd", "cost_usd"), ("plane_exact_match", "exact/match")):
        np.testing.assert_array_equal(np.stack(rows[column].to_list()), data.planes[plane][data.split.test])


def test_a_dataset_folder_has_a_split_per_file_and_a_card(tmp_path: Path) -> None:
    data = rv.load_benchmark("demo_chat")
    folder = export(data, "hf", tmp_path)
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n")
    for part, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        assert f"- split: {name}\n    path: data/{name}.parquet" in card
        rows = pl.read_parquet(folder / "data" / f"{name}.parquet")
        index = getattr(data.split, part)
        assert rows["prompt_id"].to_list() == [data.queries.ids[i] for i in index]
        np.testing.assert_array_equal(np.stack(rows["scores"].to_list()), data.scores.dense()[index])
        np.testing.assert_array_equal(np.stack(rows["embedding"].to_list()), data.queries.require_embeddings()[index])


def test_what_cannot_be_exported_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    data = rv.load_benchmark("demo_math")
    export(data, "parquet", tmp_path)
    with pytest.raises(DataError, match="is there already"):
        export(data, "parquet", tmp_path)
    with pytest.raises(ParameterError, match="unknown format 'csv'; expected one of official, parquet, hf"):
        export(data, "csv", tmp_path)
    odd = rv.CandidatePool(next(iter(data.pools.values())).model_ids, "random-0")
    with pytest.raises(DataError, match="names strategies by letters, digits and _, not random-0"):
        export(replace(data, pools={("random-0", 3): odd}), "official", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        export(data, "official", tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo_math", "file"]


def test_a_card_says_where_the_data_are_from_and_how_pools_were_picked(tmp_path: Path) -> None:
    data = replace(
        rv.load_benchmark("demo_chat"),
        source="/home/somebody/mine.csv",
        synthetic=False,
        encoder="hashing",
        missing=("two models lack costs",),
        store_dir=None,
    )
    card = (export(data, "hf", tmp_path / "strict") / "README.md").read_text()
    for said in ("Source: mine.csv.", "Embeddings: hashing.", "Pools: picked without", "licences of their own"):
        assert said in card
    assert "Note: two models lack costs." in card
    assert "somebody" not in card
    saw = replace(data, pools_saw_test=True, encoder="shipped", store_dir=None)
    card = (export(saw, "hf", tmp_path / "paper") / "README.md").read_text()
    assert "Pools: test prompts had a say in picking them" in card
    assert "Embeddings: those that came with the data." in card
