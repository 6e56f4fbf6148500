"""Raw answers, one pickle per model: both schemas, models that lack items, files that cannot be read."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routereval import facts
from routereval.data.building import PoolPlan, built
from routereval.datasets import Datasets
from routereval.errors import DataError, MissingDataError
from routereval.sources import full_data
from routereval.sources.full_data_items import items_of
from routereval.sources.full_data_values import text_of, token_counts

NAN = float("nan")
N = 30


def gsm8k(scores: list[int], **changes: Any) -> dict[str, Any]:
    """A model's answers in the old schema: columns by subset, items by position."""
    n = len(scores)
    columns: dict[str, Any] = {
        "full_prompt": [f"Q: {i}?" for i in range(n)],
        "gold": [str(i) for i in range(n)],
        "metrics": [{"acc": np.float64(score), "acc_stderr": 0.5} for score in scores],
        "predictions": [["a", "b"]] * n,
        "input_tokens": [[[1] * (i + 1)] for i in range(n)],
        "cont_tokens": [np.array([[1, 2, 3]])] * n,
        "truncated": np.zeros(n, dtype=np.int64),
    }
    return {"harness|gsm8k|5": columns | changes}


def bbh(scores: dict[str, list[float]], ids: list[int] | None = None, **changes: Any) -> dict[str, Any]:
    """A model's answers in the new schema: one dictionary per item, the metric as last key."""
    subsets = {}
    for name, values in scores.items():
        subsets[f"leaderboard_{name}"] = [
            {
                "doc_id": i,
                "doc": {"question": f"{name} {i}?"},
                "target": "(A)",
                "arguments": [[f"few shots, {name} {i}?", "(A)"], [f"few shots, {name} {i}?", "(B)"]],
                "resps": [[["-1.5", "False"]]],
                "filtered_resps": [["-1.5", "False"]],
                "doc_hash": f"{name} {i}",
                "prompt_hash": "p",
                "target_hash": "t",
                "acc_norm": score,
            }
            | changes
            for i, score in zip(ids or range(len(values)), values, strict=True)
        ]
    return subsets


def write(folder: Path, models: dict[str, Any], archive: str | None = "all.zip") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        f"{name}.pkl": value if isinstance(value, bytes) else pickle.dumps(value) for name, value in models.items()
    }
    if archive is None:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return folder
    with zipfile.ZipFile(folder / archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in contents.items():
            packed.writestr(f"some folder/{name}", content)
    return folder


def draws(models: int, n: int = N) -> dict[str, list[int]]:
    rng = np.random.default_rng(0)
    return {f"model-{k}": (rng.random(n) < 0.3 + 0.1 * k).astype(int).tolist() for k in range(models)}


@pytest.mark.parametrize("archive", ["all.zip", None])
def test_the_old_schema_gives_scores_prompts_and_token_counts(archive: str | None, tmp_path: Path) -> None:
    scores = draws(4)
    write(tmp_path / "full_data" / "gsm8k", {name: gsm8k(values) for name, values in scores.items()}, archive)
    data = full_data.load("gsm8k", tmp_path)
    assert data.scores.model_ids == tuple(scores)
    np.testing.assert_array_equal(data.scores.dense(), np.array(list(scores.values())).T)
    assert data.scores.binary
    assert data.queries.texts is not None
    assert list(data.queries.texts) == [f"Q: {i}?" for i in range(N)]
    assert list(data.planes) == ["input_tokens", "output_tokens", "acc_stderr"]
    np.testing.assert_array_equal(data.planes["input_tokens"], np.tile(np.arange(1, N + 1)[:, None], 4))
    assert (data.planes["output_tokens"] == 3).all()
    assert (data.planes["acc_stderr"] == 0.5).all()
    assert data.subsets == ("harness_gsm8k_5",) * N
    assert (data.reference_model, data.reference_score) == ("GPT-4", 0.92)
    assert data.missing[0] == f"subset harness_gsm8k_5 has {N} of its 1319 prompts"


def test_the_new_schema_joins_items_by_their_number_and_subsets_are_in_published_order(tmp_path: Path) -> None:
    navigate, boolean = "bbh_navigate", "bbh_boolean_expressions"
    models = {
        "whole": bbh({navigate: [1, 0, 1], boolean: [0, 1, 1, 0]}),
        "lacks": bbh({navigate: [1], boolean: [1, 1]}, ids=None) | bbh({navigate: [1, 1]}, ids=[2, 0]),
        "backwards": bbh({navigate: [0, 0, 1]}, ids=[2, 1, 0]),
    }
    write(tmp_path / "full_data" / "bbh", models)
    data = full_data.load("bbh", tmp_path)
    assert data.scores.model_ids == ("backwards", "lacks", "whole")
    expected = [
        [NAN, 1, 0], [NAN, 1, 1], [NAN, NAN, 1], [NAN, NAN, 0],  # boolean expressions
        [1, 1, 1], [0, NAN, 0], [0, 1, 1],  # navigate
    ]  # fmt: skip
    np.testing.assert_array_equal(data.scores.dense(), expected)
    assert data.subsets == (boolean,) * 4 + (navigate,) * 3
    assert data.queries.texts is not None
    assert data.queries.texts[4] == "few shots, bbh_navigate 0?"
    assert data.planes == {}
    assert "2 models lack some of the items; 33.33% of the cells are missing" in data.missing
    # Numbers in the whole benchmark: navigate is the 15th subset.
    sizes = list(facts.benchmarks()["bbh"].subsets.items())
    first = sum(n for _, n in sizes[: [name for name, _ in sizes].index(navigate)])
    assert data.queries.ids == ("0", "1", "2", "3", str(first), str(first + 1), str(first + 2))


def test_items_without_a_number_are_joined_by_their_documents_hash(tmp_path: Path) -> None:
    models = {
        "a hash only": bbh({"bbh_navigate": [0, 1]}, ids=[2, 0], doc_id=None),
        "numbered": bbh({"bbh_navigate": [1, 1, 1]}),
    }
    write(tmp_path / "full_data" / "bbh", models)
    scores = full_data.load("bbh", tmp_path).scores.dense()
    np.testing.assert_array_equal(scores, [[1, 1], [NAN, 1], [0, 1]])


def test_a_short_list_of_the_old_schema_is_joined_by_its_prompts(tmp_path: Path) -> None:
    kept = [0, 2, 3]
    short = gsm8k([1, 1, 1], full_prompt=[f"Q: {i}?" for i in kept])
    odd = gsm8k([1, 1], full_prompt=["Q: 0?", "another"])
    models = {"a short one": short, "b whole": gsm8k([0, 1, 0, 1]), "c whole": gsm8k([0, 0, 0, 1]), "odd": odd}
    write(tmp_path / "full_data" / "gsm8k", models)
    data = full_data.load("gsm8k", tmp_path)
    assert data.scores.model_ids == ("a short one", "b whole", "c whole")
    np.testing.assert_array_equal(data.scores.dense(), [[1, 0, 0], [NAN, 1, 0], [1, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(data.planes["input_tokens"][:, 0], [1, NAN, 2, 3])
    assert list(data.queries.texts or ()) == ["Q: 0?", "Q: 1?", "Q: 2?", "Q: 3?"]
    assert data.missing[-1].startswith(
        "odd is left out: it has 2 items of subset harness_gsm8k_5, others 4, and its prompts do not say which"
    )


class _Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_what_cannot_be_read_is_left_out_and_named_with_its_reason(tmp_path: Path) -> None:
    scores = draws(3)
    good = {name: gsm8k(values) for name, values in scores.items()}
    touched = tmp_path / "touched"
    bad = {
        "cut": pickle.dumps(gsm8k([1] * N))[:-40],
        "unsafe": pickle.dumps({"harness_gsm8k_5": _Touch(touched)}),
        "stranger": {"weights": [1, 2, 3]},
        "metricless": gsm8k([1] * N, metrics=["good"] * N),
        "graded": gsm8k([1] * N, metrics=[{"acc": 50}] * N),
        "long": gsm8k([1] * 1400),
        "uneven": gsm8k([1] * N, gold=["1"]),
    }
    folder = write(tmp_path / "full_data" / "gsm8k", good | bad)
    write(folder, {"flipped": pickle.dumps(gsm8k([1] * N), protocol=4)}, "stored.zip")
    packed = zipfile.ZipFile(folder / "flipped.zip", "w", zipfile.ZIP_STORED)
    content = pickle.dumps(gsm8k([1] * N))
    packed.writestr("bit.pkl", content)
    packed.close()
    raw = (folder / "flipped.zip").read_bytes()
    at = raw.index(b"Q: 7?")
    (folder / "flipped.zip").write_bytes(raw[:at] + b"Q: 8?" + raw[at + 5 :])
    (folder / "broken.zip").write_bytes(b"PK no archive")
    data = full_data.load("gsm8k", tmp_path)
    assert data.scores.model_ids == ("flipped", *scores)
    assert not touched.exists()
    left_out = {
        note.split(" is left out: ")[0]: note.split(" is left out: ")[1] for note in data.missing if "left out" in note
    }
    assert set(left_out) == {*bad, "bit", "broken.zip"}
    assert "is cut off" in left_out["cut"]
    assert "asks for the Python object 'pathlib" in left_out["unsafe"]
    assert left_out["stranger"] == "it is of an unknown schema: no subset of gsm8k in it (it has weights)"
    assert "no item has the metric acc or exact_match or em; it has no numeric metric" in left_out["metricless"]
    assert f"{N} of {N} values of acc lie outside [0, 1]" in left_out["graded"]
    assert "an item 1399 of subset harness_gsm8k_5, which has 1319 prompts" in left_out["long"]
    assert f"different lengths: {N} items, but gold has 1" in left_out["uneven"]
    assert "Bad CRC-32" in left_out["bit"]
    assert "cannot be read as a zip archive" in left_out["broken.zip"]


def test_models_whose_files_share_a_name_are_told_apart_by_their_archives(tmp_path: Path) -> None:
    folder = tmp_path / "full_data" / "gsm8k"
    for archive, models in (("a.zip", ["one", "answers"]), ("b.zip", ["answers"])):
        write(folder, {name: gsm8k([1, 0]) for name in models}, archive)
    names = full_data.load("gsm8k", tmp_path).scores.model_ids
    assert names == ("a/some folder/answers", "b/some folder/answers", "one")


def test_where_no_model_can_be_read_it_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    write(tmp_path / "full_data" / "gsm8k", {"one": {"weights": [1]}})
    with pytest.raises(DataError, match="no model's answers can be read; one is left out: it is of an unknown schema"):
        full_data.load("gsm8k", tmp_path)
    with pytest.raises(MissingDataError, match=r"expected full_data/bbh/\*\.zip; it has: gsm8k"):
        full_data.load("bbh", tmp_path)


def test_a_model_scored_by_another_metric_is_noted(tmp_path: Path) -> None:
    models = {name: gsm8k(values) for name, values in draws(2).items()}
    models["huge ids"] = {"gsm8k": [{"doc_id": 10**400, "acc": 1}] * N}
    models["other"] = gsm8k([1] * N, metrics=[{"judge": 1.0}] * N)
    models["unnamed"] = gsm8k([1] * N, metrics=[[1]] * N)
    write(tmp_path / "full_data" / "gsm8k", models)
    data = full_data.load("gsm8k", tmp_path)
    assert data.scores.model_ids == ("huge ids", "model-0", "model-1", "other", "unnamed")
    assert "1 models have no acc or exact_match or em; their scores are judge" in data.missing


def test_further_metrics_are_planes_and_the_published_one_is_the_score() -> None:
    arc = facts.benchmarks()["arc"]
    columns = {"acc": [1, 0], "acc_norm": np.array([0.0, 1.0]), "full_prompt": ["a", "b"], "num_few_shots": [25, 25]}
    (items,) = items_of({"harness_arc_challenge_25": columns}, arc, ["acc_norm"]).values()
    assert items.scores.tolist() == [0, 1]
    assert {name: plane.tolist() for name, plane in items.planes.items()} == {"acc": [1, 0]}
    rows = [{"doc_id": i, "strict,none": True, "exact_match,none": i, "exact_match,flexible": 1} for i in range(2)]
    (items,) = items_of(rows, facts.benchmarks()["mmlu_pro"], ["exact_match"]).values()
    assert items.scores.tolist() == [0, 1]
    assert list(items.planes) == ["strict", "exact_match,flexible"]
    (items,) = items_of(rows, facts.benchmarks()["mmlu_pro"], ["acc"]).values()
    assert items.metric == "exact_match,flexible"


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("harness|hendrycksTest-anatomy|5", "harness_hendrycksTest_anatomy_5"),
        ("anatomy", "harness_hendrycksTest_anatomy_5"),
        ("abstract_algebra", "harness_hendrycksTest_abstract_algebra_5"),
        ("biology", None),
    ],
)
def test_subsets_are_recognised_however_they_are_punctuated(name: str, subset: str | None) -> None:
    raw = {name: {"metrics": [1, 0]}, "harness_hendrycksTest_virology_5": {"metrics": [1]}}
    found = items_of({"model": "m", "data": raw}, facts.benchmarks()["mmlu"], ["acc"])
    assert set(found) - {"harness_hendrycksTest_virology_5"} == ({subset} if subset else set())


def test_tokens_are_counted_and_texts_found_in_whatever_holds_them() -> None:
    ragged = np.empty(2, dtype=object)
    ragged[0], ragged[1] = [1, 2], [1, 2, 3]
    cells = [7, 7.5, [1, 2], [[1], [1, 2, 3]], np.arange(4), ragged, [], "[1, 2]", None, True, NAN]
    np.testing.assert_array_equal(token_counts(cells), [7, 7.5, 2, 3, 4, 3, 0, NAN, NAN, NAN, NAN])
    assert text_of({"gen_args_0": {"arg_0": "the prompt", "arg_1": {}}}) == "the prompt"
    assert text_of([("context", " answer")]) == "context"
    assert text_of({"id": "x", "question": "why?"}) == "why?"
    assert text_of(3) is None
    endless: list[Any] = []
    endless.append(endless)
    assert text_of(endless) is None


def test_arrays_of_objects_hold_lists_and_dictionaries_here(tmp_path: Path) -> None:
    metrics = np.empty(N, dtype=object)
    tokens = np.empty(N, dtype=object)
    for i in range(N):
        metrics[i], tokens[i] = {"acc": float(i % 2)}, [1] * i
    models = {"a": gsm8k([1] * N), "b": gsm8k([1] * N, metrics=metrics, input_tokens=tokens)}
    data = full_data.load("gsm8k", write(tmp_path / "gsm8k", models))
    assert data.scores.dense()[:, 1].tolist() == [i % 2 for i in range(N)]
    assert data.planes["input_tokens"][:, 1].tolist() == list(range(N))


_CELLS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
        st.sampled_from([np.float64(0.5), np.int64(3), np.array(1.0), np.zeros((2, 0)), np.array(["a"]), 10**400]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["acc", "question", "x"]), inner, max_size=2),
        st.lists(inner, min_size=2, max_size=2).map(tuple),
    ),
    max_leaves=6,
)  # fmt: skip
_COLUMNS = st.sampled_from(
    ["metrics", "acc", "doc_id", "doc_hash", "arguments", "full_prompt", "input_tokens", "cont_tokens", "other"]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_COLUMNS, st.lists(_CELLS, min_size=2, max_size=2) | _CELLS, max_size=5))
def test_whatever_a_pickle_holds_is_items_or_an_error_that_says_what_is_wrong(table: dict[str, Any]) -> None:
    for raw in (table, {"harness_gsm8k_5": table}, [table, table], {"data": {"gsm8k": table}}):
        try:
            found = items_of(raw, facts.benchmarks()["gsm8k"], ["acc"])
        except DataError:
            continue
        (items,) = found.values()
        assert not ((items.scores < 0) | (items.scores > 1)).any()
        assert all(len(plane) == len(items) for plane in items.planes.values())
        assert all(items.text(i) is None or type(items.text(i)) is str for i in range(len(items)))


def test_a_score_that_is_rounded_beyond_1_is_1(tmp_path: Path) -> None:
    columns = {"metrics": [{"mc1": 1, "mc2": 1.0000002}, {"mc1": 0, "mc2": 0.25}]}
    found = items_of({"truthfulqa": columns}, facts.benchmarks()["harness_truthfulqa_mc_0"], ["mc2"])
    assert found["harness_truthfulqa_mc_0"].scores.tolist() == [1, 0.25]
    assert found["harness_truthfulqa_mc_0"].planes["mc1"].tolist() == [1, 0]


def test_files_are_read_once_and_again_when_one_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "full_data" / "gsm8k", {name: gsm8k(values) for name, values in draws(3).items()})
    first = full_data.load("gsm8k", tmp_path)
    assert isinstance(first.planes["input_tokens"], np.memmap)
    with monkeypatch.context() as patched:
        patched.setattr(full_data, "unpickle", lambda *arguments, **options: pytest.fail("read again"))
        again = full_data.load("gsm8k", folder)
    assert again.data_hash == first.data_hash
    write(folder, {"more": gsm8k([1] * N)}, "more.zip")
    assert full_data.load("gsm8k", tmp_path).scores.shape == (N, 4)


@pytest.mark.parametrize("where", [".", "full_data", "full_data/gsm8k", ".."])
def test_benchmarks_are_found_by_their_folders_without_reading_an_archive(where: str, tmp_path: Path) -> None:
    root = tmp_path / "official"
    folder = root / "full_data" / "gsm8k"
    folder.mkdir(parents=True)
    (folder / "some.zip").write_bytes(b"no archive")
    (root / "full_data" / "bbh").mkdir()
    assert full_data.benchmarks((root / where).resolve()) == {"gsm8k": folder}
    assert Datasets((root / where).resolve()).origins["gsm8k"] == "full_data"


def test_scenarios_are_built_from_raw_answers_and_planes_stay(tmp_path: Path) -> None:
    scores = draws(6, 60)
    write(tmp_path / "full_data" / "gsm8k", {name: gsm8k(values) for name, values in scores.items()})
    datasets = Datasets(tmp_path)
    assert datasets.benchmark("gsm8k").pools
    data = built(datasets.unpooled("gsm8k"), PoolPlan((3,), ("greedy",)))
    assert data.scenario_ids == ("gsm8k/greedy/3",)
    assert data.planes["output_tokens"].shape == (60, 6)
    assert datasets.scenario("gsm8k/all_strong/3").test.queries.texts is not None
