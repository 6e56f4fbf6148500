from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routereval.data.home import home
from routereval.errors import DataError, MissingDataError, UnsafeFileError
from routereval.sources import archives, official, router_dataset_fields, unpickling

SIZES = {"train": 4, "val": 2, "test": 3}
MODELS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(autouse=True)
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("ROUTEREVAL_HOME", str(home))
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def score(model: str, part: str, row: int) -> float:
    """A score that follows from the names, so that every test can work it out again."""
    return float(hashlib.sha256(f"{model}{part}{row}".encode()).digest()[0] % 2)


def pool(models: tuple[str, ...], parts: tuple[str, ...] = router_dataset_fields.PARTS) -> dict[str, Any]:
    return {
        "data": {
            f"{part}_score": np.array([[score(m, part, i) for m in models] for i in range(SIZES[part])])
            for part in parts
        },
        "model": np.array(models),
    }


def dataset() -> dict[str, Any]:
    """Two pools of three that share model c, and one of five."""
    rng = np.random.default_rng(0)
    return {
        "easy": {
            3: {"all_strong": pool(("c", "a", "b")), "all_weak": pool(("d", "c", "e"))},
            5: {"strong_to_weak": pool(("a", "b", "c", "e", "f"))},
        },
        "hard": {},
        "split_index": {
            "train_indices": np.array([7, 3, 0, 5]),
            "val_indices": np.array([8, 1]),
            "test_indices": np.array([2, 6, 4]),
        },
        "embedding": {f"{part}_embed": rng.normal(size=(n, 8)) for part, n in SIZES.items()},
        "prompt": {f"{part}_prompt": np.array([f"{part} question {i}" for i in range(n)]) for part, n in SIZES.items()},
    }


def write(value: Any, folder: Path, key: str = "arc") -> Path:
    path = folder / f"{key}_router_dataset.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value))
    return path


def zipped(folder: Path, members: dict[str, bytes], name: str = "router_dataset.zip") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return folder / name


# What comes out


def test_scores_of_every_pool_and_split_come_out_as_they_went_in(folder: Path) -> None:
    write(dataset(), folder)
    data = official.load("arc", folder)
    assert data.scenario_ids == ("arc/all_strong/3", "arc/all_weak/3", "arc/strong_to_weak/5")
    assert data.scores.model_ids == ("c", "a", "b", "d", "e", "f")
    assert data.scores.binary and data.scores.complete
    for strategy, m in data.pools:
        scenario = data.scenario(strategy, m)
        for part in router_dataset_fields.PARTS:
            found = getattr(scenario, part)
            expected = [[score(model, part, i) for model in scenario.pool.model_ids] for i in range(SIZES[part])]
            np.testing.assert_array_equal(found.scores.dense(), expected)
            assert list(found.queries.texts) == [f"{part} question {i}" for i in range(SIZES[part])]


def test_prompts_are_named_by_their_number_in_the_benchmark_train_first(folder: Path) -> None:
    write(dataset(), folder)
    data = official.load("arc", folder)
    assert data.queries.ids == ("7", "3", "0", "5", "8", "1", "2", "6", "4")
    assert [list(part) for part in (data.split.train, data.split.val, data.split.test)] == [
        [0, 1, 2, 3],
        [4, 5],
        [6, 7, 8],
    ]


def test_prompts_without_numbers_are_counted(folder: Path) -> None:
    value = dataset()
    del value["split_index"]
    write(value, folder)
    data = official.load("arc", folder)
    assert data.queries.ids[:5] == ("train-0", "train-1", "train-2", "train-3", "val-0")
    assert any("no numbers in split_index" in sentence for sentence in data.missing)


def test_what_is_published_of_the_benchmark_comes_with_it(folder: Path) -> None:
    write(dataset(), folder)
    write(dataset(), folder, "homemade")
    known, unknown = official.load("arc", folder), official.load("homemade", folder)
    assert (known.reference_model, known.reference_score) == ("GPT-3.5", 0.852)
    assert (unknown.reference_model, unknown.reference_score) == (None, None)
    assert known.pools_saw_test
    assert known.pool("all_weak", 3).seed == 42
    assert known.queries.require_embeddings().dtype == np.float32


def test_the_same_bytes_under_another_name_are_another_benchmark(folder: Path) -> None:
    write(dataset(), folder)
    write(dataset(), folder, "gsm8k")
    assert official.load("arc", folder).benchmark == "arc"
    assert official.load("gsm8k", folder).benchmark == "gsm8k"


def test_graded_scores_keep_the_labels_of_their_pool(folder: Path) -> None:
    value = dataset()
    graded = pool(("a", "b", "c"))
    graded["data"]["train_score"] = np.array([[0.25, 0.5, 1.0], [0.5, 0.5, 0.125], [0, 0, 0], [1, 0, 0]])
    graded["data"]["train_label"] = np.array([[0, 0, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]])
    value["easy"] = {3: {"all_strong": graded}}
    write(value, folder)
    data = official.load("arc", folder)
    train = data.scenario("all_strong", 3).train
    assert not data.scores.binary
    np.testing.assert_array_equal(train.scores.dense(), graded["data"]["train_score"])
    np.testing.assert_array_equal(train.targets, graded["data"]["train_label"])
    assert data.train_labels["all_strong", 3].dtype == np.uint8


def test_binary_scores_are_what_is_learned_whatever_labels_there_are(folder: Path) -> None:
    value = dataset()
    value["easy"][3]["all_strong"]["data"]["train_label"] = np.ones((4, 3))
    write(value, folder)
    assert not official.load("arc", folder).train_labels


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, ">f8"])
def test_scores_may_be_of_any_numeric_type(folder: Path, dtype: Any) -> None:
    value = dataset()
    expected = value["easy"][3]["all_strong"]["data"]["train_score"]
    for entry in (*value["easy"][3].values(), *value["easy"][5].values()):
        entry["data"] = {part: scores.astype(dtype) for part, scores in entry["data"].items()}
    write(value, folder)
    train = official.load("arc", folder).scenario("all_strong", 3).train
    np.testing.assert_array_equal(train.scores.dense(), expected)


def test_names_and_prompts_may_be_object_arrays_or_lists(folder: Path) -> None:
    value = dataset()
    value["easy"][3]["all_strong"]["model"] = np.array(["c", "a", "b"], dtype=object)
    value["easy"][3]["all_weak"]["model"] = ["d", "c", "e"]
    value["prompt"] = {part: texts.astype(object) for part, texts in value["prompt"].items()}
    write(value, folder)
    data = official.load("arc", folder)
    assert data.pool("all_strong", 3).model_ids == ("c", "a", "b")
    assert data.queries.texts is not None
    assert data.queries.texts[4] == "val question 0"


# Where it is found


LAYOUTS: dict[str, Callable[[Path, bytes], Any]] = {
    "loose": lambda root, data: write(data, root),
    "in a folder": lambda root, data: write(data, root / "router_dataset"),
    "in a doubled folder": lambda root, data: write(data, root / "router_dataset/router_dataset"),
    "in a zip": lambda root, data: zipped(root, {"router_dataset/arc_router_dataset.pkl": data}),
    "in a zip without folder": lambda root, data: zipped(root, {"arc_router_dataset.pkl": data}),
    "in a zip with a doubled folder": lambda root, data: zipped(
        root, {"router_dataset/router_dataset/arc_router_dataset.pkl": data}
    ),
    "in a zip in a folder": lambda root, data: zipped(
        root / "router_dataset", {"router_dataset/arc_router_dataset.pkl": data}
    ),
    "below the root": lambda root, data: zipped(root / "official", {"router_dataset/arc_router_dataset.pkl": data}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found_and_read(layout: str, folder: Path) -> None:
    LAYOUTS[layout](folder, pickle.dumps(dataset()))
    assert list(official.benchmarks(folder)) == ["arc"]
    assert official.load("arc", folder).scores.shape == (9, 6)


def test_a_zip_and_a_pickle_may_be_named_themselves(folder: Path) -> None:
    single = write(dataset(), folder)
    archive = zipped(folder, {"x/gsm8k_router_dataset.pkl": pickle.dumps(dataset())}, "downloaded.zip")
    assert official.load("arc", single).benchmark == "arc"
    assert official.load("gsm8k", archive).benchmark == "gsm8k"


def test_a_loose_pickle_wins_over_the_zip(folder: Path) -> None:
    zipped(folder, {f"router_dataset/{key}_router_dataset.pkl": b"no pickle" for key in ("arc", "mmlu")})
    loose = write(dataset(), folder / "router_dataset")
    assert official.benchmarks(folder)["arc"] == archives.Location(loose)
    assert official.benchmarks(folder)["mmlu"].member == "router_dataset/mmlu_router_dataset.pkl"


def test_what_macos_adds_to_a_zip_is_passed_over(folder: Path) -> None:
    junk: dict[str, bytes] = {"router_dataset/._mmlu_pro_router_dataset.pkl": b"x"}
    junk |= {"__MACOSX/router_dataset/._arc_router_dataset.pkl": b"x", "__MACOSX/mmlu_router_dataset.pkl": b"x"}
    zipped(folder, {**junk, "router_dataset/": b"", "router_dataset/arc_router_dataset.pkl": pickle.dumps(dataset())})
    (folder / "._gsm8k_router_dataset.pkl").write_bytes(b"x")
    assert list(official.benchmarks(folder)) == ["arc"]


def test_listing_reads_no_pickle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(b"no pickle", folder)
    monkeypatch.setattr(official, "unpickle", None)
    assert list(official.benchmarks(folder)) == ["arc"]


def test_a_benchmark_that_is_not_there_says_which_are_and_where_it_looked(folder: Path) -> None:
    write(dataset(), folder)
    with pytest.raises(MissingDataError, match=r"no router dataset 'mmlu' in .*found there: arc\. Looked for mmlu_"):
        official.load("mmlu", folder)
    with pytest.raises(MissingDataError, match="found there: nothing, it does not exist"):
        official.load("mmlu", folder / "nowhere")


# The store


@pytest.fixture
def unpicklings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were unpickled, in order."""
    seen: list[str] = []

    def spy(file: Any, source: str, size: int) -> Any:
        seen.append(source)
        return unpickling.unpickle(file, source, size)

    monkeypatch.setattr(official, "unpickle", spy)
    return seen


def test_a_file_is_converted_once_and_memory_mapped_from_then_on(folder: Path, unpicklings: list[str]) -> None:
    path = write(dataset(), folder)
    first, second = official.load("arc", folder), official.load("arc", folder)
    assert unpicklings == [str(path)]
    for data in (first, second):
        assert isinstance(data.scores.bits, np.memmap)
        assert isinstance(data.queries.embeddings, np.memmap)
    assert first.data_hash == second.data_hash


def test_an_unchanged_file_is_not_even_opened_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(dataset(), folder)
    official.load("arc", folder)
    monkeypatch.setattr(official, "opened", None)
    assert official.load("arc", folder).scores.shape == (9, 6)


def test_a_changed_file_is_converted_again(folder: Path, unpicklings: list[str]) -> None:
    write(dataset(), folder)
    before = official.load("arc", folder)
    value = dataset()
    value["easy"][3]["all_strong"]["model"] = np.array(["c", "a", "renamed"])
    path = write(value, folder)
    os.utime(path, ns=(1, 1))
    after = official.load("arc", folder)
    assert len(unpicklings) == 2
    assert after.pool("all_strong", 3).model_ids == ("c", "a", "renamed")
    assert after.data_hash != before.data_hash


def test_the_same_content_at_another_path_is_only_hashed(folder: Path, unpicklings: list[str]) -> None:
    write(dataset(), folder / "one")
    first = official.load("arc", folder / "one")
    copy = write(dataset(), folder / "two")
    second = official.load("arc", folder / "two")
    archive = zipped(folder / "three", {"arc_router_dataset.pkl": copy.read_bytes()})
    third = official.load("arc", folder / "three")
    assert len(unpicklings) == 1
    assert first.data_hash == second.data_hash == third.data_hash
    assert second.source == str(copy)
    assert third.source == f"{archive} (arc_router_dataset.pkl)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_the_data_folder_may_be_read_only(folder: Path) -> None:
    write(dataset(), folder)
    folder.chmod(0o555)
    assert official.load("arc", folder).scores.shape == (9, 6)


def test_nothing_is_written_beside_the_data(folder: Path, fresh_home: Path) -> None:
    zipped(folder, {"router_dataset/arc_router_dataset.pkl": pickle.dumps(dataset())})
    before = sorted(folder.parent.rglob("*"))
    official.load("arc", folder)
    assert [path for path in sorted(folder.parent.rglob("*")) if fresh_home not in (path, *path.parents)] == before


def test_a_file_that_changes_while_it_is_read_is_not_stored(
    folder: Path, fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(dataset(), folder)

    def meanwhile(*arguments: Any) -> Any:
        os.utime(path, ns=(1, 1))
        return unpickling.unpickle(*arguments)

    monkeypatch.setattr(official, "unpickle", meanwhile)
    with pytest.raises(DataError, match="changed while it was being read"):
        official.load("arc", folder)
    assert not (fresh_home / "store").exists()


# Partial files


def test_pools_that_are_not_there_are_named_when_asked_for(folder: Path) -> None:
    value = dataset()
    del value["hard"]
    write(value, folder)
    data = official.load("arc", folder)
    assert "there is no pool all_strong/1000" in data.missing
    assert sum("there is no pool" in sentence for sentence in data.missing) == 12
    with pytest.raises(MissingDataError, match=r"no pool all_strong/1000 .*it has: all_strong/3, all_weak/3"):
        data.scenario("all_strong", 1000)


def test_a_split_that_is_not_there_is_named_when_asked_for(folder: Path) -> None:
    value = dataset()
    value["easy"] = {3: {"all_strong": pool(("a", "b", "c"), ("train", "val"))}}
    write(value, folder)
    data = official.load("arc", folder)
    assert data.scores.shape == (6, 3)
    assert len(data.split.test) == 0
    with pytest.raises(MissingDataError, match=r"has no test prompts .*there are no test scores in any pool"):
        data.scenario("all_strong", 3)


def test_without_a_validation_split_a_scenario_has_none(folder: Path) -> None:
    value = dataset()
    value["easy"] = {3: {"all_strong": pool(("a", "b", "c"), ("train", "test"))}}
    for section, name in (("split_index", "indices"), ("embedding", "embed"), ("prompt", "prompt")):
        del value[section][f"val_{name}"]
    write(value, folder)
    scenario = official.load("arc", folder).scenario("all_strong", 3)
    assert scenario.val is None
    assert len(scenario.test) == 3


def test_cells_only_one_pool_lacks_stay_missing(folder: Path) -> None:
    value = dataset()
    value["easy"] = {
        3: {"all_strong": pool(("a", "b", "c")), "all_weak": pool(("c", "d", "e"), ("train",))},
    }
    write(value, folder)
    data = official.load("arc", folder)
    observed = data.scores.mask()
    assert observed[:, :3].all()
    assert observed[:4].all()
    assert not observed[4:, 3:].any()
    assert "pool all_weak/3 has no test scores" in data.missing


def test_graded_cells_stay_missing_too(folder: Path) -> None:
    value = dataset()
    weak = pool(("c", "d", "e"), ("train",))
    weak["data"]["train_score"][0, 1] = 0.5
    value["easy"] = {3: {"all_strong": pool(("a", "b", "c")), "all_weak": weak}}
    write(value, folder)
    dense = official.load("arc", folder).scores.dense()
    assert dense[0, 3] == 0.5
    assert np.isnan(dense[4:, 3:]).all()
    assert np.isfinite(dense[:4]).all() and np.isfinite(dense[:, :3]).all()


@pytest.mark.parametrize("section", ["embedding", "prompt"])
def test_a_section_that_is_not_there_is_none_and_reported(folder: Path, section: str) -> None:
    value = dataset()
    del value[section]
    write(value, folder)
    data = official.load("arc", folder)
    assert (data.queries.embeddings is None) == (section == "embedding")
    assert (data.queries.texts is None) == (section == "prompt")
    assert any(f"have no {'embeddings' if section == 'embedding' else 'texts'}" in s for s in data.missing)


def test_a_validation_split_of_no_prompts_opens_and_is_reported(folder: Path) -> None:
    value = dataset()
    entry = pool(("a", "b", "c"))
    entry["data"]["val_score"] = np.ones((0, 3))
    value["easy"] = {3: {"all_strong": entry}}
    value["split_index"]["val_indices"] = np.ones(0, dtype=int)
    value["embedding"]["val_embed"] = np.ones((0, 8))
    value["prompt"]["val_prompt"] = np.array([], dtype=object)
    write(value, folder)
    data = official.load("arc", folder)
    assert "the val split is empty" in data.missing
    assert data.scenario("all_strong", 3).val is None


# Bad contents


def spoiled(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    value = dataset()
    change(value)
    return value


def strong(value: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = value["easy"][3]["all_strong"]
    return entry


def put(part: str, row: int, column: int, number: float) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        strong(value)["data"][part][row, column] = number

    return change


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "nan": (
        put("val_score", 1, 2, np.nan),
        r"\['easy'\]\[3\]\['all_strong'\]: val_score: 1 of 6 values are nan \(first: row 1, model 'b': nan\)",
    ),
    "inf": (put("test_score", 0, 1, np.inf), r"test_score: 1 of 9 values are infinite \(first: row 0, model 'a': inf"),
    "-inf": (put("test_score", 0, 1, -np.inf), r"1 of 9 values are infinite"),
    "above 1": (put("train_score", 0, 0, 1.5), r"1 of 12 values are outside \[0, 1\] .*'c': 1\.5"),
    "below 0": (put("train_score", 0, 0, -0.25), r"1 of 12 values are outside \[0, 1\] .*'c': -0\.25"),
    "two faults at once": (
        lambda v: (put("train_score", 0, 0, 2)(v), put("val_score", 0, 0, np.nan)(v)),
        r"train_score: .*outside \[0, 1\].*val_score: .*nan",
    ),
    "a model twice": (
        lambda v: strong(v).update(model=np.array(["c", "a", "c"])),
        r"\['all_strong'\]: 1 models are in the pool more than once: c",
    ),
    "a pool of one model": (
        lambda v: v["easy"].update({1: {"all_strong": pool(("a",))}}),
        r"\['easy'\]\[1\]\['all_strong'\]: a pool of 1 models leaves nothing to route",
    ),
    "a pool of another size than it says": (
        lambda v: v["easy"].update({4: {"all_strong": pool(("a", "b"))}}),
        r"'model' names 2 models; the pool is said to have 4",
    ),
    "a column too many": (
        lambda v: strong(v)["data"].update(train_score=np.ones((4, 4))),
        r"train_score: has shape \(4, 4\); expected \(prompts, 3\)",
    ),
    "scores that are strings": (
        lambda v: strong(v)["data"].update(train_score=np.array([["1"] * 3] * 4)),
        r"train_score: is an array of <U1; expected an array of numbers",
    ),
    "scores that are a list": (
        lambda v: strong(v)["data"].update(train_score=[[1.0] * 3] * 4),
        r"train_score: is a list; expected an array of numbers",
    ),
    "other scores in another pool": (
        lambda v: v["easy"][3]["all_weak"]["data"]["test_score"].__setitem__((2, 1), 1 - score("c", "test", 2)),
        r"model 'c' has other test scores in pool all_weak/3 than in all_strong/3",
    ),
    "rows that differ between pools": (
        lambda v: strong(v)["data"].update(test_score=np.ones((5, 3))),
        r"test_score of all_strong/3 has 5 rows, test_score of all_weak/3 has 3 rows; expected one for each",
    ),
    "embeddings for other prompts": (
        lambda v: v["embedding"].update(train_embed=np.ones((3, 8))),
        r"train_score of all_strong/3 has 4 rows, train_embed has 3 rows; expected one for each train prompt",
    ),
    "embeddings of another length": (
        lambda v: v["embedding"].update(test_embed=np.ones((3, 9))),
        r"embeddings differ in length: train_embed 8, val_embed 8, test_embed 9",
    ),
    "embeddings that are not finite": (
        lambda v: v["embedding"]["test_embed"].__setitem__((0, 0), np.nan),
        r"1 embeddings are not finite \(first: prompt '2'\)",
    ),
    "embeddings float32 cannot hold": (
        lambda v: v["embedding"]["test_embed"].__setitem__((0, 0), 1e300),
        r"1 embeddings are not finite",
    ),
    "embeddings without rows": (
        lambda v: v["embedding"].update(test_embed=np.ones(3)),
        r"test_embed is an array of float64 with shape \(3,\); expected numbers of shape",
    ),
    "texts that are numbers": (
        lambda v: v["prompt"].update(test_prompt=np.arange(3)),
        r"test_prompt is an array of int64 with shape \(3,\); expected a list of strings",
    ),
    "an empty test split": (
        lambda v: v.update(
            {"easy": {3: {"all_strong": {**strong(v), "data": {**strong(v)["data"], "test_score": np.ones((0, 3))}}}}},
            split_index={}, embedding={}, prompt={},
        ),
        r"the test split is empty; it needs at least one prompt",
    ),
    "a prompt in two splits": (
        lambda v: v["split_index"].update(test_indices=np.array([2, 7, 4])),
        r"split_index gives 1 of 9 prompts a number that another prompt has",
    ),
    "numbers of prompts that are none": (
        lambda v: v["split_index"].update(test_indices=np.array([0.5, 1, 2])),
        r"test_indices is an array of float64 with shape \(3,\); expected whole numbers",
    ),
    "labels that are none": (
        lambda v: strong(v)["data"].update(train_label=np.full((4, 3), 0.5)),
        r"train_label: labels must be 0 or 1",
    ),
    "labels for other prompts": (
        lambda v: (put("train_score", 0, 1, 0.5)(v), strong(v)["data"].update(train_label=np.ones((2, 3))),
                   v["easy"].pop(5)),
        r"train_label of all_strong/3 has 2 rows; expected 4",
    ),
    "no names of models": (lambda v: strong(v).pop("model"), r"'model' is not there; expected a list of strings"),
    "no pool at all": (lambda v: v.pop("easy"), r"there is no pool in it; expected \['easy'\]\[3 or 5\]"),
    "a pool that is no dictionary": (
        lambda v: v["easy"].update({3: [1, 2]}),
        r"\['easy'\]\[3\] is a list; expected a dictionary of strategies",
    ),
    "a strategy that is a path": (
        lambda v: v["easy"].update({3: {"../../x": pool(("a", "b", "c"))}}),
        r"a strategy needs a name of letters, digits and _",
    ),
    "a pool twice": (
        lambda v: v.update(hard={3: {"all_strong": pool(("a", "b", "c"))}}),
        r"pool all_strong/3 is there twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_contents_are_an_error_of_their_own(fault: str, folder: Path, fresh_home: Path) -> None:
    change, message = BAD[fault]
    path = write(spoiled(change), folder)
    with pytest.raises(DataError, match=message) as failed:
        official.load("arc", folder)
    assert str(failed.value).startswith(f"{path}, benchmark arc: ")
    assert not (fresh_home / "store").exists()


def test_everything_that_is_wrong_is_said_at_once(folder: Path) -> None:
    value = dataset()
    put("train_score", 0, 0, 2)(value)
    value["easy"][3]["all_weak"]["model"] = np.array(["d", "d", "e"])
    write(value, folder)
    with pytest.raises(DataError, match=r"all_strong.*outside \[0, 1\].*all_weak.*more than once: d"):
        official.load("arc", folder)


def test_a_pickle_of_something_else_says_what_it_is(folder: Path) -> None:
    write([1, 2], folder)
    with pytest.raises(DataError, match=r"the file is a list; expected a dictionary with 'easy', 'hard'"):
        official.load("arc", folder)


def test_few_scores_that_claim_a_huge_union_are_refused_before_it_is_built(folder: Path) -> None:
    n, m = 20_000, 3
    shared = np.zeros((n, m))
    value = {
        "easy": {
            m: {
                f"s{i}": {"data": {"train_score": shared}, "model": [f"m{i}-{j}" for j in range(m)]}
                for i in range(2000)
            }
        }
    }
    write(value, folder)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"60,000 scores for 20,000 prompts x 6,000 models"):
        official.load("arc", folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


# Hostile files


class Touches:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "zipped"])
def test_a_hostile_pickle_is_refused_by_name_and_nothing_happens(folder: Path, packed: bool, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    data = pickle.dumps({"easy": {3: {"all_strong": Touches(touched)}}})
    where = zipped(folder, {"router_dataset/arc_router_dataset.pkl": data}) if packed else write(data, folder)
    with pytest.raises(UnsafeFileError, match=r"'(posix|nt)\.system'.*Nothing in it was executed") as refused:
        official.load("arc", folder)
    assert str(where) in str(refused.value)
    assert not touched.exists()


def test_a_truncated_pickle_says_so(folder: Path) -> None:
    write(pickle.dumps(dataset())[:-40], folder)
    with pytest.raises(DataError, match=r"arc_router_dataset\.pkl is cut off"):
        official.load("arc", folder)


def test_a_truncated_zip_says_so(folder: Path) -> None:
    archive = zipped(folder, {"router_dataset/arc_router_dataset.pkl": pickle.dumps(dataset())})
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"router_dataset\.zip cannot be read as a zip archive"):
        official.load("arc", folder)


def test_a_damaged_member_says_so(folder: Path) -> None:
    archive = zipped(folder, {"router_dataset/arc_router_dataset.pkl": pickle.dumps(dataset())})
    data = bytearray(archive.read_bytes())
    data[300:340] = bytes(40)
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"router_dataset\.zip cannot be read as a zip archive"):
        official.load("arc", folder)


@pytest.mark.parametrize(
    "name", ["../arc_router_dataset.pkl", "x/../../y.txt", "/etc/passwd", "..\\y.txt", "C:\\y.txt", "C:/y.txt"]
)
def test_a_zip_with_a_member_outside_of_it_is_refused(folder: Path, name: str) -> None:
    zipped(folder, {"router_dataset/arc_router_dataset.pkl": pickle.dumps(dataset()), name: b"x"})
    with pytest.raises(UnsafeFileError, match=r"1 members are named outside of it .*nothing was unpacked"):
        official.load("arc", folder)


def test_a_zip_that_unpacks_to_a_hundred_times_its_size_is_refused(folder: Path) -> None:
    value = dataset()
    value["padding"] = np.zeros(1_000_000)
    zipped(folder, {"router_dataset/arc_router_dataset.pkl": pickle.dumps(value)})
    tracemalloc.start()
    with pytest.raises(UnsafeFileError, match=r"bytes unpack to 8,\d+,\d+, \d+ times as many.*point --data at"):
        official.load("arc", folder)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    write(value, folder)
    assert official.load("arc", folder).scores.shape == (9, 6)


def test_a_member_larger_than_it_says_yields_no_more_than_it_says(folder: Path) -> None:
    data = pickle.dumps({**dataset(), "padding": np.zeros(1_000_000)})
    archive = zipped(folder, {"arc_router_dataset.pkl": data})
    size = len(data).to_bytes(4, "little")
    assert archive.read_bytes().count(size) == 2
    archive.write_bytes(archive.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"Bad CRC-32"):
        official.load("arc", folder)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_size_cannot_be_bounded_is_refused(folder: Path, method: int) -> None:
    with zipfile.ZipFile(folder / "router_dataset.zip", "w", method) as archive:
        archive.writestr("arc_router_dataset.pkl", pickle.dumps(dataset()))
    with pytest.raises(UnsafeFileError, match=r"packed with method \d+; expected stored or deflated"):
        official.load("arc", folder)


# Real files


GOLDEN = ("arc", "gsm8k", "mmlu", "mmlu_pro")


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.mark.parametrize("key", GOLDEN)
def test_real_pools_are_those_the_published_code_built(
    key: str, shared: Path, real_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTEREVAL_HOME", str(real_home))
    golden = json.loads((shared / "golden/pools.json").read_text())[key]
    data = official.load(key, shared / "data/official")
    assert data.missing == ()
    assert len(data.queries) == golden["n_prompts"]
    assert set(data.scenario_ids) == {f"{key}/{name}" for name in golden["pools"]}
    for part, expected in golden["split_sha256"].items():
        numbers = np.array([int(data.queries.ids[i]) for i in getattr(data.split, part)], dtype="<i8")
        assert hashlib.sha256(numbers.tobytes()).hexdigest() == expected
    for name, expected in golden["pools"].items():
        strategy, m = name.split("/")
        scenario = data.scenario(strategy, int(m))
        assert hashlib.sha256("\n".join(scenario.pool.model_ids).encode()).hexdigest() == expected["models_sha256"]
        assert scenario.test.scores.oracle_mean == pytest.approx(expected["oracle_test"], abs=1e-12)
        assert scenario.test.scores.model_means.max() == pytest.approx(expected["best_single_test"], abs=1e-12)
        everything = data.scores.models(scenario.pool.model_ids)
        assert everything.oracle_mean == pytest.approx(expected["oracle_all"], abs=1e-12)


def test_a_real_file_opens_at_once_the_second_time(shared: Path) -> None:
    official.load("mmlu", shared / "data/official")
    began = time.perf_counter()
    official.load("mmlu", shared / "data/official")
    assert time.perf_counter() - began < 0.5  # measured: 3 ms


def test_the_store_of_a_real_file_is_small(shared: Path) -> None:
    data = official.load("mmlu", shared / "data/official")
    assert data.store_dir is not None
    assert data.store_dir.parent == home() / "store"
    assert sum(path.stat().st_size for path in data.store_dir.iterdir()) < 1_000_000  # the pickle has 5.4 MB
    shutil.rmtree(data.store_dir)
    assert official.load("mmlu", shared / "data/official").scores.shape == data.scores.shape
