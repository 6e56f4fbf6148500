"""Tables of one's own: layouts, columns, cells, splits, and everything that can be wrong with them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import routereval as rv
from routereval.errors import DataError, MissingDataError, ParameterError
from routereval.sources.table_columns import find_columns, parse_roles
from routereval.sources.tables import load_table

SCORES = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]] * 5, dtype=float)
MODELS = ["gpt", "llama", "qwen"]
IDS = [f"q{i}" for i in range(20)]


def frame(**extra: object) -> pl.DataFrame:
    return pl.DataFrame({"prompt_id": IDS, **extra} | {name: SCORES[:, i] for i, name in enumerate(MODELS)})


def long_frame() -> pl.DataFrame:
    return frame().unpivot(on=MODELS, index="prompt_id", variable_name="model", value_name="score")


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


WRITERS = {
    "csv": lambda table, path: table.write_csv(path),
    "tsv": lambda table, path: table.write_csv(path, separator="\t"),
    "jsonl": lambda table, path: table.write_ndjson(path),
    "parquet": lambda table, path: table.write_parquet(path),
    "csv.gz": lambda table, path: path.write_bytes(gzip.compress(table.write_csv().encode())),
}


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_every_format_and_layout_gives_the_same_scores(layout: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine_{layout}.{ending}"
    WRITERS[ending](frame() if layout == "wide" else long_frame(), path)
    data = load_table(path)
    assert data.benchmark == "mine"
    assert data.scores.prompt_ids == tuple(IDS)
    assert data.scores.model_ids == tuple(MODELS)
    assert data.scores.binary
    np.testing.assert_array_equal(data.scores.dense(), SCORES)
    assert data.scenario_ids == ("mine/all/3",)


def test_the_pool_is_every_model_in_ascending_mean_of_the_prompts_that_are_no_test_prompts(tmp_path: Path) -> None:
    split = ["train"] * 10 + ["val"] * 4 + ["test"] * 6
    path = tmp_path / "mine.csv"
    frame(split=split).write_csv(path)
    data = load_table(path)
    means = SCORES[:14].mean(axis=0)
    expected = tuple(MODELS[i] for i in np.argsort(means, kind="stable"))
    assert data.pool("all", 3).model_ids == expected
    assert not data.pools_saw_test
    assert [len(part) for part in (data.split.train, data.split.val, data.split.test)] == [10, 4, 6]


def test_without_a_split_column_each_subset_is_split_80_10_10(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    frame(category=["a", "b"] * 10).write_csv(path)
    data = load_table(path)
    assert data.subsets == ("a", "b") * 10
    for part, each in (("train", 8), ("val", 1), ("test", 1)):
        subsets = [data.subsets[i] for i in getattr(data.split, part)]
        assert sorted(subsets) == ["a"] * each + ["b"] * each
    assert "no column says the split" in " ".join(data.missing)


def test_empty_cells_are_missing_and_not_zero(tmp_path: Path) -> None:
    path = csv(tmp_path / "mine.csv", "id,a,b\n" + "".join(f"{i},{'' if i % 2 else 1},0\n" for i in range(20)))
    scores = load_table(path).scores
    assert list(scores.counts) == [10, 20]
    assert list(scores.model_means) == [1.0, 0.0]


def test_pairs_a_long_table_does_not_have_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    long_frame().filter(~((pl.col("model") == "gpt") & (pl.col("prompt_id") == "q3"))).write_parquet(path)
    scores = load_table(path).scores
    assert scores.mask().sum() == 59
    assert not scores.mask()[scores.prompt_ids.index("q3"), scores.model_ids.index("gpt")]


def test_true_and_false_are_one_and_zero_and_an_id_keeps_its_leading_zeros(tmp_path: Path) -> None:
    path = csv(tmp_path / "mine.csv", "id,a,b\n" + "".join(f"00{i},True,FALSE\n" for i in range(20)))
    data = load_table(path)
    assert data.scores.prompt_ids[7] == "007"
    assert list(data.scores.model_means) == [1.0, 0.0]


def test_graded_scores_stay_graded(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    (frame().with_columns(pl.col(MODELS) * 0.25 + 0.5)).write_csv(path)
    scores = load_table(path).scores
    assert not scores.binary
    np.testing.assert_array_equal(scores.dense(), SCORES * 0.25 + 0.5)


def test_an_object_of_scores_per_line_is_a_column_per_model(tmp_path: Path) -> None:
    lines = [
        {"query": f"what is {i}?", "records": {"a": 1, "b": 0} | ({"c": 0.5} if i else {}), "dataset": "d"}
        for i in range(20)
    ]
    path = csv(tmp_path / "mine.jsonl", "\n".join(map(json.dumps, lines)))
    data = load_table(path)
    assert data.scores.model_ids == ("a", "b", "c")
    assert list(data.scores.counts) == [20, 20, 19]
    assert data.queries.texts is not None
    assert data.queries.texts[3] == "what is 3?"
    assert data.subsets == ("d",) * 20


def test_routerbench_columns_with_costs_are_no_models(tmp_path: Path) -> None:
    head = "sample_id,prompt,eval_name,gpt,llama,gpt|total_cost,llama|total_cost,oracle_model_to_route_to\n"
    path = csv(tmp_path / "mine.csv", head + "".join(f"s{i},p{i},mmlu,1,0,0.1,0.2,gpt\n" for i in range(20)))
    data = load_table(path)
    assert data.scores.model_ids == ("gpt", "llama")
    assert data.missing[0] == "1 columns are not used: oracle_model_to_route_to"
    assert list(data.planes) == ["cost_usd"]
    np.testing.assert_array_equal(data.planes["cost_usd"], np.tile(np.float32([0.1, 0.2]), (20, 1)))


def test_costs_tokens_and_times_of_a_long_table_are_planes_with_holes_where_cells_are_empty(tmp_path: Path) -> None:
    rows = [
        f"q{i},{model},{(i + j) % 2},{i + j},{'' if i == 3 else 10 * i},{['bad', '-1', 'nan', ''][i] if i < 4 else 2},7"
        for i in range(20)
        for j, model in enumerate("ab")
    ]
    head = "prompt_id,model,score,total_cost,prompt_tokens,completion_tokens,Response Time\n"
    data = load_table(csv(tmp_path / "mine.csv", head + "\n".join(rows)))
    assert list(data.planes) == ["cost_usd", "input_tokens", "output_tokens", "latency_seconds"]
    np.testing.assert_array_equal(data.planes["cost_usd"], np.arange(20)[:, None] + [0, 1])
    expected = np.repeat(10.0 * np.arange(20)[:, None], 2, axis=1)
    expected[3] = np.nan
    np.testing.assert_array_equal(data.planes["input_tokens"], expected)
    assert np.isnan(data.planes["output_tokens"]).sum() == 8
    assert data.missing[0] == "4 cells of output_tokens are no number from 0 on, and count as unknown"
    assert data.planes["latency_seconds"].min() == 7


def test_a_mapped_column_is_the_plane_and_of_two_that_may_be_it_none_is(tmp_path: Path) -> None:
    long = long_frame().with_columns(pl.lit(0.5).alias("price"), pl.lit(1.0).alias("cost"), pl.lit(2).alias("latency"))
    long.with_columns(pl.lit(3).alias("response_time")).write_csv(tmp_path / "long.csv")
    assert load_table(tmp_path / "long.csv").planes["cost_usd"].max() == 1
    assert load_table(tmp_path / "long.csv").missing[0] == "3 columns are not used: price, latency, response_time"
    mapped = load_table(tmp_path / "long.csv", columns={"cost": "price", "latency": "response_time"})
    assert {name: plane.max() for name, plane in mapped.planes.items()} == {"cost_usd": 0.5, "latency_seconds": 3}
    frame(**{"gpt|price": 2.0, "qwen|price": 4.0}).write_parquet(tmp_path / "wide.parquet")
    plane = load_table(tmp_path / "wide.parquet", columns={"cost": "price", "models": "gpt,llama,qwen"}).planes
    np.testing.assert_array_equal(plane["cost_usd"], np.tile([2, np.nan, 4], (20, 1)))
    with pytest.raises(ParameterError, match=r"--map cost=prise: .*; did you mean 'price'"):
        load_table(tmp_path / "wide.parquet", columns={"cost": "prise"})
    with pytest.raises(ParameterError, match=r"like gpt\|prompt_id, and there is none"):
        load_table(tmp_path / "wide.parquet", columns={"cost": "prompt_id", "models": "gpt,llama,qwen"})


def test_prompts_of_a_long_table_without_ids_are_told_apart_by_their_texts(tmp_path: Path) -> None:
    rows = [f"text {i},{model},{(i + j) % 2}" for i in range(20) for j, model in enumerate("ab")]
    data = load_table(csv(tmp_path / "mine.csv", "prompt,model,score\n" + "\n".join(rows)))
    assert data.scores.shape == (20, 2)
    assert data.scores.prompt_ids[:2] == ("0", "1")
    assert data.queries.texts is not None
    assert data.queries.texts[19] == "text 19"


def test_a_column_prompt_of_whole_numbers_is_an_id(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    pl.DataFrame({"prompt": range(20), "a": [1.0] * 20, "b": [0.0] * 20}).write_parquet(path)
    data = load_table(path)
    assert data.scores.prompt_ids[5] == "5"
    assert data.queries.texts is None


def test_a_column_prompt_beside_a_column_text_is_the_id(tmp_path: Path) -> None:
    rows = [f"p{i:03},a text {i},{model},{(i + j) % 2}" for i in range(20) for j, model in enumerate("ab")]
    data = load_table(csv(tmp_path / "mine.csv", "prompt,text,model,score\n" + "\n".join(rows)))
    assert data.scores.prompt_ids[:2] == ("p000", "p001")
    assert data.queries.texts is not None
    assert data.queries.texts[1] == "a text 1"
    without = [f"p{i:03},{model},{(i + j) % 2}" for i in range(20) for j, model in enumerate("ab")]
    bare = load_table(csv(tmp_path / "bare.csv", "prompt,model,score\n" + "\n".join(without)))
    assert bare.scores.prompt_ids[:2] == ("p000", "p001")
    assert bare.queries.texts is None


def test_two_columns_that_may_both_be_the_text_are_asked_about(tmp_path: Path) -> None:
    rows = "".join(f"what is {i},tell me {i},1,0\n" for i in range(20))
    with pytest.raises(
        DataError, match=r"the text may be prompt or question: say --map text=\.\.\. \(or --map prompt="
    ):
        load_table(csv(tmp_path / "mine.csv", "prompt,question,a,b\n" + rows))


def test_columns_are_mapped_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    table = long_frame().rename({"prompt_id": "doc", "model": "system", "score": "acc_norm"})
    table.with_columns(pl.lit(3).alias("acc")).write_csv(path)
    mapped = {"prompt": "doc", "model": "system", "score": "acc_norm", "ignore": "acc"}
    np.testing.assert_array_equal(load_table(path, columns=mapped).scores.dense(), SCORES)
    path = tmp_path / "wide.csv"
    frame(budget=[7] * 20, **{"llm-x": [1] * 20}).write_csv(path)
    assert load_table(path, columns={"models": "gpt,ll*"}).scores.model_ids == ("llm-x", "gpt", "llama")
    assert load_table(path, columns={"ignore": "budget,llm-x"}).scores.model_ids == tuple(MODELS)


def test_embeddings_come_from_a_file_or_from_a_column(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float16)
    path = tmp_path / "mine.csv"
    frame().write_csv(path)
    np.save(tmp_path / "e.npy", vectors)
    data = load_table(path, embeddings=tmp_path / "e.npy")
    assert data.queries.embeddings is not None
    np.testing.assert_array_equal(data.queries.embeddings, vectors.astype(np.float32))
    listed = [list(map(float, row)) for row in vectors]
    frame(embedding=listed).write_parquet(tmp_path / "lists.parquet")
    frame(embedding=[json.dumps(row) for row in listed]).write_csv(tmp_path / "strings.csv")
    for name in ("lists.parquet", "strings.csv"):
        read = load_table(tmp_path / name).queries.embeddings
        assert read is not None
        np.testing.assert_array_equal(read, vectors.astype(np.float32))


def test_a_table_is_read_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.csv"
    frame().write_csv(path)
    first = load_table(path)
    with monkeypatch.context() as patched:
        patched.setattr("routereval.sources.tables.read_frame", lambda path: pytest.fail("read again"))
        again = load_table(path)
    assert again.data_hash == first.data_hash
    assert isinstance(again.scores.bits, np.memmap)
    frame().with_columns(gpt=1 - pl.col("gpt")).write_csv(path)
    changed = load_table(path)
    assert changed.data_hash != first.data_hash
    np.testing.assert_array_equal(changed.scores.dense()[:, 0], 1 - SCORES[:, 0])
    assert load_table(path, columns={"ignore": "qwen"}).data_hash != changed.data_hash


GOOD = "".join(f"{i},1,0\n" for i in range(20))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,a,b\n" + GOOD + "x,nan,1\n", "1 scores are no numbers in [0, 1] (first: 'nan' is nan, prompt 'x'"),
        ("id,a,b\n" + GOOD + "x,NA,1\n", "'NA' is no number, prompt 'x', model 'a'"),
        ("id,a,b\n" + GOOD + "x,inf,1\n", "are infinite"),
        ("id,a,b\n" + GOOD + "x,1.5,-1\n", "2 of 42 scores lie outside [0, 1]; rescale them (first: prompt 'x'"),
        ("id,a,a\n" + GOOD, "1 columns are there more than once: 'a'"),
        ("id,a,b\n" + GOOD + "3,1,1\n", "1 prompt ids in column 'id' are there more than once (first: '3')"),
        ("id,a\n" + "".join(f"{i},1\n" for i in range(20)), "1 columns look like models; at least 2"),
        ("id,a,b\n", "it has no rows"),
        ("", "cannot be read as csv: empty"),
        ("id,a,b\n" + "".join(f"{i},1,\n" for i in range(20)), "1 models have no score on any prompt: b"),
        ("id,a,b,split\n" + "".join(f"{i},1,0,train\n" for i in range(20)), "the test split is empty"),
        ("id,a,b,split\n" + "".join(f"{i},1,0,{i}\n" for i in range(20)), "20 prompts have an unknown split: 0, 1"),
        ("id,a,b\n1,1,0\n", "the train split is empty"),
        ("id,qid,a,b\n" + "".join(f"{i},{i},1,0\n" for i in range(20)), "the prompt may be id or qid: say --map"),
        ("id,model,a\n" + GOOD, "--map score=COLUMN"),
        ("model,score\na,1\nb,0\n", "no column says which prompt a row is about"),
        ("id,model,score\n1,a,1\n1,a,0\n1,b,1\n", "have more than one row (first: prompt '1', model 'a')"),
        ("id,model,score\n1,a,1\n2,a,0\n", "names 1 model; routing needs at least 2"),
        ("id,model,score\n1,a,1\n,b,0\n", "1 of 2 rows have nothing in column 'id' (first: row 2)"),
        ("id,model,score,subset\n1,a,1,x\n1,b,0,y\n", "1 prompts have more than one value in column 'subset'"),
        ("id,embedding,a,b\n1,[1],1,0\n2,\"[1,2]\",1,0\n", "different lengths: 1 for prompt '1', 2 for prompt '2'"),
        ("id,embedding,a,b\n1,hello,1,0\n", "the embedding of prompt '1' in column 'embedding' is no list of numbers"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said(text: str, message: str, tmp_path: Path) -> None:
    path = csv(tmp_path / "mine.csv", text)
    with pytest.raises(DataError) as caught:
        load_table(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1, "a": 1, "a": 0}', "1 columns are there more than once: 'a'"),
        ("[1, 2]", "line 1 is no JSON object"),
        ("hello", "line 1 is no JSON"),
        ('{"id": 1, "a": 1, "b": 0}\n{"id": 2, "a": ', "cannot be read as jsonl"),
        ("", "line 1 is no JSON"),
    ],
)
def test_what_is_wrong_with_json_lines_is_said(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_table(csv(tmp_path / "mine.jsonl", text))
    assert message in str(caught.value)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as parquet"):
        load_table(csv(tmp_path / "mine.parquet", "no parquet"))
    with pytest.raises(DataError, match=r"cannot be read as csv.gz"):
        load_table(csv(tmp_path / "mine.csv.gz", "not packed"))
    with pytest.raises(MissingDataError, match=r"there is no table file .*none.csv"):
        load_table(tmp_path / "none.csv")


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    for name, score in (("s[1]", 1), ("s1", 0)):
        for ending in ("csv", "parquet", "jsonl"):
            table = pl.DataFrame({"id": IDS, "a": [score] * 20, "b": [score] * 20})
            WRITERS[ending](table, tmp_path / f"{name}.{ending}")
    for ending in ("csv", "parquet", "jsonl"):
        assert load_table(tmp_path / f"s[1].{ending}").scores.model_means.tolist() == [1.0, 1.0]


def test_a_row_that_was_cut_off_is_no_missing_cell(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 22 has 2 fields, the header 3; is the file complete"):
        load_table(csv(tmp_path / "mine.csv", "id,a,b\n" + GOOD + "x,1"))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    for ending in ("csv", "jsonl"):
        WRITERS[ending](frame(), tmp_path / f"mine.{ending}")
        marked = tmp_path / f"marked.{ending}"
        marked.write_bytes(b"\xef\xbb\xbf" + (tmp_path / f"mine.{ending}").read_bytes())
        assert load_table(marked).scores.prompt_ids == tuple(IDS)


def test_a_conversation_is_a_text(tmp_path: Path) -> None:
    rows = [{"id": i, "prompt": [{"role": "user", "content": f"hi {i}"}], "a": i % 2, "b": 1} for i in range(20)]
    data = load_table(csv(tmp_path / "chat.jsonl", "\n".join(map(json.dumps, rows))))
    assert data.queries.texts is not None
    assert json.loads(data.queries.texts[3]) == [{"role": "user", "content": "hi 3"}]


def test_embeddings_must_fit_the_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    frame().write_csv(path)
    np.save(tmp_path / "short.npy", np.zeros((19, 4)))
    with pytest.raises(DataError, match=r"shape \(19, 4\); expected numbers \(20, d\)"):
        load_table(path, embeddings=tmp_path / "short.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"no \.npy file of numbers"):
        load_table(path, embeddings=tmp_path / "objects.npy")
    np.save(tmp_path / "nan.npy", np.full((20, 4), np.nan))
    with pytest.raises(DataError, match="20 embeddings are not finite"):
        load_table(path, embeddings=tmp_path / "nan.npy")
    with pytest.raises(MissingDataError, match="there is no embeddings file"):
        load_table(path, embeddings=tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": "a"}, "unknown role 'scores' in --map; did you mean 'score'?"),
        ({"score": "scoore"}, "no column 'scoore'; did you mean 'score'?"),
        ({"models": "x*"}, "no column 'x*'"),
        ({"models": "a", "score": "score"}, "one column per model"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        find_columns(["id", "model", "score", "a"], given=given)
    assert message in str(caught.value)


def test_mappings_are_read_as_words_of_the_command_line() -> None:
    assert parse_roles(["score=a=b", "ignore=x", "ignore=y"]) == {"score": "a=b", "ignore": "x,y"}
    with pytest.raises(ParameterError, match="is given twice"):
        parse_roles(["score=a", "score=b"])


def test_a_router_is_never_scored_on_a_cell_that_was_not_observed(tmp_path: Path) -> None:
    # "a" is always right, but was only observed on every second prompt; "b" is always wrong.
    path = csv(
        tmp_path / "mine.csv", "id,text,a,b\n" + "".join(f"{i},t{i},{'' if i % 2 else 1},0\n" for i in range(40))
    )
    scenario = rv.load_table(path).scenario("all", 2)
    observed = float(scenario.test.scores.mask()[:, scenario.pool.model_ids.index("a")].mean())
    assert 0 < observed < 1
    for router in (rv.BestSingle(), rv.KNN(k=5)):
        assert rv.evaluate(router, scenario).mu == pytest.approx(observed)


@pytest.mark.parametrize(
    ("file", "embeddings", "shape", "binary", "coverage"),
    [
        ("gsm8k_wide.parquet", "gsm8k", (552, 5922), True, 0.832),
        ("mmlu_pro_wide.parquet", None, (12032, 43), True, 0.999),
        ("alpaca_eval_wide.parquet", "alpaca_eval", (805, 59), False, 1.0),
        ("bfcl_long.parquet", "bfcl", (1700, 71), True, 1.0),
        ("routerbench_subset.csv.gz", "routerbench_subset", (3150, 11), True, 1.0),
        ("routellm_gsm8k.csv", "routellm_gsm8k", (1319, 2), True, 1.0),
    ],
)
def test_tables_that_people_have_are_read_without_a_word(
    file: str, embeddings: str | None, shape: tuple[int, int], binary: bool, coverage: float, shared: Path
) -> None:
    folder = shared / "data" / "tables"
    data = load_table(folder / file, embeddings=folder / f"{embeddings}.embeddings.npy" if embeddings else None)
    assert data.scores.shape == shape
    assert data.scores.binary is binary
    assert data.scores.coverage == pytest.approx(coverage, abs=5e-4)
    assert (data.queries.embeddings is None) == (embeddings is None)
    # Polars sums up the file itself, past everything of ours.
    if file.endswith(".parquet") and "wide" in file:
        mean = pl.read_parquet(folder / file).select(data.scores.model_ids[-1]).to_series().mean()
        assert data.scores.model_means[-1] == pytest.approx(mean, rel=1e-5)
