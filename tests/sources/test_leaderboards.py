"""Leaderboard files: any part of them, with or without prompts and embeddings, once into the store."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.data.building import built
from routereval.datasets import Datasets
from routereval.errors import DataError, MissingDataError, UnsafeFileError
from routereval.sources import leaderboards

MODELS = [f"open-llm-leaderboard-old/details_org__model-{i}" for i in range(12)]
SUBSETS = {
    "harness_arc_challenge_25": 30,
    "harness_hendrycksTest_anatomy_5": 10,
    "harness_hendrycksTest_abstract_algebra_5": 0,
    "harness_hendrycksTest_virology_5": 20,
}


def scores(subsets: dict[str, int] = SUBSETS, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    skill = np.linspace(0.2, 0.8, len(MODELS))
    return {
        "model": MODELS,
        "data": {
            name: {"correctness": (rng.random((n, len(MODELS))) < skill).astype(float)} for name, n in subsets.items()
        },
    }


def prompts(subsets: dict[str, int] = SUBSETS) -> dict[str, Any]:
    return {name: np.array([f"{name} {i}?" for i in range(n)], dtype=object) for name, n in subsets.items()}


def embeddings(subsets: dict[str, int] = SUBSETS, width: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(9)
    return {name: rng.normal(size=(n, width)).astype(np.float32) for name, n in subsets.items()}


def write(value: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(scores(), tmp_path / "leaderboard_score" / "leaderboard_old.pkl")
    write(prompts(), tmp_path / "leaderboard_prompt" / "leaderboard_old_prompt.pkl")
    write(embeddings(), tmp_path / "leaderboard_embed" / "leaderboard_old_embed" / "sentence_bert_result.pkl")
    return tmp_path


def test_a_file_may_hold_any_part_of_its_benchmarks(folder: Path) -> None:
    assert leaderboards.benchmarks(folder) == {"arc": "old", "mmlu": "old"}
    data = leaderboards.load("mmlu", folder)
    raw = scores()["data"]
    # The published order of subsets is not that of the file: abstract algebra, anatomy, ..., virology.
    order = ["harness_hendrycksTest_anatomy_5", "harness_hendrycksTest_virology_5"]
    np.testing.assert_array_equal(data.scores.dense(), np.concatenate([raw[name]["correctness"] for name in order]))
    assert data.subsets == (order[0],) * 10 + (order[1],) * 20
    assert data.queries.texts is not None
    assert data.queries.texts[10] == f"{order[1]} 0?"
    np.testing.assert_array_equal(data.queries.embeddings, np.concatenate([embeddings()[name] for name in order]))
    assert data.reference_model == "GPT-4"
    assert "subset harness_hendrycksTest_anatomy_5 has 10 of its 135 prompts" in data.missing
    assert "subset harness_hendrycksTest_abstract_algebra_5 has 0 of its 100 prompts" in data.missing


@pytest.mark.parametrize("doubled", [False, True])
def test_archives_are_read_as_they_are(doubled: bool, folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in ("leaderboard_score", "leaderboard_prompt", "leaderboard_embed"):
        with zipfile.ZipFile(packed / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (folder / name).rglob("*.pkl"):
                inside = path.relative_to(folder).as_posix()
                archive.write(path, f"{name}/{inside}" if doubled else inside)
    loose, zipped = (leaderboards.load("arc", where) for where in (folder, packed))
    assert np.array_equal(loose.scores.dense(), zipped.scores.dense())
    assert zipped.queries.embeddings is not None
    assert loose.data_hash == zipped.data_hash


def test_a_file_is_read_once_and_again_when_it_or_what_stands_beside_it_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = leaderboards.load("arc", folder)
    with monkeypatch.context() as patched:
        patched.setattr(leaderboards, "unpickle", lambda *arguments: pytest.fail("read again"))
        assert leaderboards.load("arc", folder).data_hash == first.data_hash
    write(scores(seed=1), folder / "leaderboard_score" / "leaderboard_old.pkl")
    second = leaderboards.load("arc", folder)
    assert second.data_hash != first.data_hash
    (folder / "leaderboard_prompt" / "leaderboard_old_prompt.pkl").unlink()
    third = leaderboards.load("arc", folder)
    assert third.queries.texts is None
    assert "the prompts have no texts" in third.missing


def test_of_several_embeddings_the_published_one_is_taken(folder: Path) -> None:
    write(embeddings(width=6), folder / "leaderboard_embed" / "leaderboard_old_embed" / "RoBERTa_result.pkl")
    assert list(leaderboards.embeddings_of("old", folder)) == ["RoBERTa", "sentence_bert"]
    assert leaderboards.load("arc", folder).queries.require_embeddings().shape == (30, 6)


def test_graded_scores_stay_graded(tmp_path: Path) -> None:
    raw = scores({"harness_truthfulqa_mc_0": 20})
    raw["data"]["harness_truthfulqa_mc_0"]["correctness"] *= 0.5
    write(raw, tmp_path / "leaderboard_old.pkl")
    data = leaderboards.load("harness_truthfulqa_mc_0", tmp_path)
    assert not data.scores.binary
    assert data.scores.dense().max() == 0.5


def test_what_is_wrong_with_a_file_is_said(folder: Path) -> None:
    path = folder / "leaderboard_score" / "leaderboard_old.pkl"

    def message(value: Any) -> str:
        write(value, path)
        with pytest.raises(DataError) as caught:
            leaderboards.benchmarks(folder)
        assert str(path) in str(caught.value)
        return str(caught.value)

    bad = scores()
    bad["data"]["harness_arc_challenge_25"]["correctness"][3, 2] = np.nan
    assert "subset harness_arc_challenge_25: " in message(bad)
    bad = scores()
    bad["data"]["harness_arc_challenge_25"]["correctness"] = np.zeros((30, 11))
    assert "expected (prompts, 12)" in message(bad)
    assert "belong to no benchmark of it: ifeval" in message(scores({"ifeval": 3}))
    assert "holds no prompts" in message(scores({"harness_gsm8k_5": 0}))
    assert "a dictionary with 'model' and 'data'" in message([1])
    assert "'model' is not there" in message({"data": {}})
    assert "no array 'correctness'" in message({"model": MODELS, "data": {"harness_gsm8k_5": {}}})
    write(scores(), path)
    write({"harness_arc_challenge_25": np.array(["one"])}, folder / "leaderboard_prompt" / "leaderboard_old_prompt.pkl")
    with pytest.raises(
        DataError, match="texts and scores are of different prompts: harness_arc_challenge_25 has 1 for 30"
    ):
        leaderboards.benchmarks(folder)


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("executed",)


def test_a_hostile_file_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write({"model": Hostile()}, folder / "leaderboard_score" / "leaderboard_old.pkl")
    with pytest.raises(UnsafeFileError, match="print"):
        leaderboards.benchmarks(folder)
    assert capsys.readouterr().out == ""


def test_what_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no leaderboard file with 'bbh' in .*; expected leaderboard_new.pkl"):
        leaderboards.load("bbh", folder)
    with pytest.raises(MissingDataError, match="has no prompts of gsm8k; it has: arc, mmlu"):
        leaderboards.load("gsm8k", folder)


def test_a_data_folder_with_leaderboards_has_scenarios(folder: Path) -> None:
    datasets = Datasets(folder)
    assert {k: v for k, v in datasets.origins.items() if v != "demo"} == {"arc": "leaderboard", "mmlu": "leaderboard"}
    scenario = rv.load_scenario("arc/strong_to_weak/5", folder)
    assert scenario.m == 5
    assert not scenario.pools_saw_test
    assert Datasets(folder, protocol="paper").scenario("arc/strong_to_weak/5").pools_saw_test
    assert any("no pool all_strong/100" in note for note in datasets.benchmark("arc").missing)


@pytest.mark.parametrize("name", ["gsm8k", "arc", "mmlu", "mmlu_pro"])
def test_splits_and_pools_are_those_of_the_published_pipeline(name: str, shared: Path) -> None:
    golden = json.loads((shared / "golden" / "pools.json").read_text())[name]
    data = built(leaderboards.load(name, shared / "data" / "official"), protocol="paper")
    assert data.scores.shape == (golden["n_prompts"], golden["n_models"])
    for part, expected in golden["split_sha256"].items():
        index = getattr(data.split, part).astype("<i8")
        assert hashlib.sha256(index.tobytes()).hexdigest() == expected
    assert len(data.pools) == len(golden["pools"]) == 15
    for (strategy, m), pool in data.pools.items():
        expected = golden["pools"][f"{strategy}/{m}"]
        assert hashlib.sha256("\n".join(pool.model_ids).encode()).hexdigest() == expected["models_sha256"]
        assert data.scores.models(pool.model_ids).oracle_mean == pytest.approx(expected["oracle_all"], abs=1e-12)


def test_a_broken_leaderboard_does_not_take_what_is_whole_with_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "leaderboard_score" / "leaderboard_old.pkl").write_bytes(b"half")
    assert rv.load_scenario("demo_math/all_strong/3", folder).m == 3
    assert "no leaderboard is used" in caplog.text


@pytest.fixture
def both(folder: Path) -> Path:
    """The same, with a second encoder's embeddings, wider and negated."""
    wide = {name: -rows for name, rows in embeddings(width=6).items()}
    write(wide, folder / "leaderboard_embed" / "leaderboard_old_embed" / "RoBERTa_result.pkl")
    return folder


def test_published_embeddings_are_taken_by_name(both: Path) -> None:
    usual, named, other = (leaderboards.load("arc", both, name) for name in (None, "RoBERTa", "sentence_bert"))
    assert [data.encoder for data in (usual, named, other)] == ["shipped", "RoBERTa", "sentence_bert"]
    expected = embeddings()["harness_arc_challenge_25"]
    np.testing.assert_array_equal(other.queries.embeddings, expected)
    np.testing.assert_array_equal(named.queries.embeddings, -embeddings(width=6)["harness_arc_challenge_25"])
    np.testing.assert_array_equal(usual.queries.embeddings, named.queries.embeddings)  # the preferred one
    assert len({data.data_hash for data in (usual, named, other)}) == 3
    again = leaderboards.load("arc", both, "sentence_bert")
    assert again.data_hash == other.data_hash
    assert again.store_dir is not None


def test_the_same_scenarios_are_run_on_every_encoder(both: Path) -> None:
    scenarios = [
        Datasets(both, encoder=name).scenario("mmlu/all_strong/3") for name in ("auto", "RoBERTa", "sentence_bert")
    ]
    assert [scenario.encoder for scenario in scenarios] == ["shipped", "RoBERTa", "sentence_bert"]
    assert len({scenario.pool.model_ids for scenario in scenarios}) == 1
    assert len({scenario.test.queries.ids for scenario in scenarios}) == 1
    assert [scenario.test.queries.require_embeddings().shape[1] for scenario in scenarios] == [6, 6, 4]
    order = ["harness_hendrycksTest_anatomy_5", "harness_hendrycksTest_virology_5"]
    rows = np.concatenate([embeddings()[name] for name in order])
    test = scenarios[2].test.queries
    np.testing.assert_array_equal(test.require_embeddings(), rows[[int(i) for i in test.ids]])


def test_embeddings_of_a_name_that_was_not_published_are_computed(both: Path) -> None:
    assert Datasets(both, encoder="hashing").scenario("mmlu/all_strong/3").encoder == "hashing"
    assert leaderboards.load("arc", both, "longformer").encoder == "shipped"


def test_embeddings_of_other_prompts_are_refused(both: Path) -> None:
    short = {name: rows[1:] for name, rows in embeddings().items()}
    path = both / "leaderboard_embed" / "leaderboard_old_embed" / "longformer_result.pkl"
    write(short, path)
    with pytest.raises(DataError, match=r"longformer_result.pkl has embeddings of 29 prompts of arc, .* has 30 others"):
        leaderboards.load("arc", both, "longformer")


def test_router_datasets_take_the_published_embeddings_too(shared: Path) -> None:
    folder = shared / "data" / "official"
    usual, named = (Datasets(folder, encoder=name).scenario("gsm8k/all_strong/3") for name in ("auto", "sentence_bert"))
    assert (usual.encoder, named.encoder) == ("shipped", "sentence_bert")
    assert usual.data_hash != named.data_hash
    # The router datasets were made with these very embeddings.
    np.testing.assert_allclose(
        usual.test.queries.require_embeddings(), named.test.queries.require_embeddings(), atol=1e-6
    )


def test_the_nested_subsets_of_gpqa_leave_no_question_on_two_sides_of_a_strict_split(tmp_path: Path) -> None:
    # As published: diamond is a part of main, main of extended; the published split tears them apart.
    sizes = {"gpqa_diamond": 40, "gpqa_extended": 110, "gpqa_main": 90}
    rng = np.random.default_rng(3)
    models = [f"org__m{i}-details" for i in range(30)]
    raw = {
        "model": models,
        "data": {
            name: {"correctness": (rng.random((n, len(models))) < np.linspace(0.2, 0.8, len(models))).astype(float)}
            for name, n in sizes.items()
        },
    }
    write(raw, tmp_path / "leaderboard_score" / "leaderboard_new.pkl")
    texts = {name: np.array([f"Which  particle is number {i}?" for i in range(n)]) for name, n in sizes.items()}
    write(texts, tmp_path / "leaderboard_prompt" / "leaderboard_new_prompt.pkl")
    data = leaderboards.load("gpqa", tmp_path)

    def sides(made: rv.BenchmarkData) -> int:
        """How many questions lie on more than one side."""
        of_text: dict[str, set[str]] = {}
        for part in ("train", "val", "test"):
            for i in getattr(made.split, part):
                of_text.setdefault(list(made.queries.texts or ())[i], set()).add(part)
        assert len(of_text) == 110
        return sum(len(parts) > 1 for parts in of_text.values())

    assert sides(built(data, protocol="paper")) > 10
    assert sides(built(data)) == 0


def test_conversion_takes_little_more_memory_than_the_pickle(tmp_path: Path) -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    models = [f"open-llm-leaderboard-old/details_org__m{i}" for i in range(400)]
    names = ["harness_hendrycksTest_anatomy_5", "harness_hendrycksTest_virology_5", "harness_gsm8k_5"]
    parts = {name: {"correctness": (rng.random((1500, len(models))) < 0.5).astype(float)} for name in names}
    path = write({"model": models, "data": parts}, tmp_path / "leaderboard_score" / "leaderboard_old.pkl")
    leaderboards.benchmarks(_small(tmp_path / "small"))
    tracemalloc.start()
    leaderboards.benchmarks(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 14e6
    assert peak <= 1.3 * path.stat().st_size


def _small(folder: Path) -> Path:
    """A folder to convert first, so that what is imported on the way is not counted."""
    write(scores(), folder / "leaderboard_score" / "leaderboard_old.pkl")
    return folder
