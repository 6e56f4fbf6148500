"""A router is fitted, kept in a folder, and asked which model should answer a prompt."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import routereval as rv
from routereval.cli import app
from routereval.errors import DataError, MissingDataError, ParameterError, RouterError
from routereval.routers.saving import SavedRouter, load_router
from routereval.routing import fit_router, how_to_ask, join_model, keep, route
from routereval.sources.prompts import read_prompts
from routereval.sources.table_files import read_embeddings

SUMS, POEMS = "add the numbers {} and {}", "write a poem about rain number {} and {}"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """One model is right on sums, the other on poems."""
    rows = ["prompt_id,text,calculator,poet,neither"]
    for i in range(100):
        rows += [f"s{i},{SUMS.format(i, i + 1)},1,0,0", f"p{i},{POEMS.format(i, i + 1)},0,1,0"]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows))
    return path


def invoke(*arguments: str, text: str | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=text, catch_exceptions=False)


def test_a_router_that_was_kept_routes_new_prompts_as_it_learned_to(table: Path, tmp_path: Path) -> None:
    scenario = rv.load_table(table, encoder="hashing").scenario("all", 3)
    keep(fit_router(rv.KNN(k=3), scenario), tmp_path / "router")
    saved = load_router(tmp_path / "router")
    assert saved.about["scenario"] == "mine/all/3"
    assert saved.about["encoder"] == "hashing"
    routes = route(saved, [SUMS.format(500, 501), POEMS.format(7, 9)])
    assert [one.model for one in routes] == ["calculator", "poet"]
    assert next(iter(routes[0].scores)) == "calculator"
    assert routes[0].scores["neither"] == 0


def test_the_choices_are_those_of_evaluation(table: Path) -> None:
    scenario = rv.load_table(table, encoder="hashing").scenario("all", 3)
    texts = list(scenario.test.queries.texts or ())
    routes = route(fit_router(rv.KNN(), scenario), texts)
    result = rv.evaluate(rv.KNN(), scenario)
    assert [one.model for one in routes] == [scenario.pool.model_ids[i] for i in result.outcome.choices]


def test_ties_go_to_the_best_train_mean_under_strict_and_to_the_first_under_paper(table: Path) -> None:
    scenario = rv.load_table(table, encoder="hashing").scenario("all", 3)
    for protocol in ("strict", "paper"):
        saved = fit_router(rv.KMeans(clusters=1), scenario, protocol=protocol)
        (one,) = route(saved, ["anything"])
        result = rv.evaluate(rv.KMeans(clusters=1), scenario, protocol=protocol)
        assert one.model == scenario.pool.model_ids[result.outcome.choices[0]]


def test_parameters_can_be_chosen_on_the_way(table: Path) -> None:
    scenario = rv.load_table(table, encoder="hashing").scenario("all", 3)
    saved = fit_router(rv.KNN(), scenario, tune=4)
    assert any("4 tried" in note for note in saved.about["notes"])


ALL = [SUMS.format(i, i + 2) for i in range(30)] + [POEMS.format(i, i + 2) for i in range(30)]


def answered(scores: Any) -> tuple[rv.Queries, Any]:
    return rv.Queries(tuple(map(str, range(len(ALL)))), texts=ALL), np.asarray(scores, dtype=float)


def kept(router: Any, table: Path, folder: Path, **how: Any) -> SavedRouter:
    keep(fit_router(router, rv.load_table(table, encoder="hashing").scenario("all", 3), **how), folder)
    return load_router(folder)


@pytest.mark.parametrize("measured", [np.zeros(2), answered(np.ones(60))], ids=["vector", "scores"])
@pytest.mark.parametrize("cls", [rv.UniRoute, rv.LearnedUniRoute])
def test_a_new_model_joins_a_router_that_was_kept(cls: Any, measured: Any, table: Path, tmp_path: Path) -> None:
    saved = kept(cls(clusters=2, shrinkage=0.0), table, tmp_path / "three")
    keep(join_model(saved, "polymath", measured), tmp_path / "four")
    joined = load_router(tmp_path / "four")
    assert joined.model_ids == (*saved.model_ids, "polymath")
    assert joined.about["tie_breaker"] == [*saved.about["tie_breaker"], 1.0]
    assert joined.about["notes"][-1] == "polymath joined after the fit"
    # It is never wrong. On sums the calculator is not either, but has the lower mean.
    lines = invoke("route", "--router", str(tmp_path / "four"), SUMS.format(3, 4), POEMS.format(1, 2)).stdout
    assert [line.split("\t")[0] for line in lines.splitlines()] == ["polymath", "polymath"]
    assert [one.model for one in route(saved, [SUMS.format(3, 4), POEMS.format(1, 2)])] == ["calculator", "poet"]


def test_a_model_that_joins_is_as_good_as_it_was_on_prompts_like_the_query(table: Path, tmp_path: Path) -> None:
    saved = kept(rv.UniRoute(clusters=2, shrinkage=0.0), table, tmp_path / "three")
    # Right on every third sum and on every poem.
    joined = join_model(saved, "new", answered([i >= 30 or i % 3 == 0 for i in range(60)]))
    on_sum, on_poem = route(joined, [SUMS.format(3, 4), POEMS.format(1, 2)])
    assert (on_sum.model, on_sum.scores["new"]) == ("calculator", pytest.approx(1 / 3))
    assert (on_poem.model, on_poem.scores["new"]) == ("new", pytest.approx(1))
    assert joined.about["tie_breaker"][-1] == pytest.approx(2 / 3)


def test_where_the_first_of_equals_wins_a_model_that_joins_is_the_last(table: Path, tmp_path: Path) -> None:
    saved = kept(rv.UniRoute(clusters=2, shrinkage=0.0), table, tmp_path / "three", protocol="paper")
    joined = join_model(saved, "polymath", np.zeros(2))
    assert joined.about["tie_breaker"] is None
    assert [one.model for one in route(joined, [SUMS.format(3, 4), POEMS.format(1, 2)])] == ["calculator", "poet"]


def test_a_model_that_cannot_join_is_refused(table: Path, tmp_path: Path) -> None:
    saved = kept(rv.UniRoute(clusters=2), table, tmp_path / "three")
    with pytest.raises(DataError, match="'poet' is already among 3 models"):
        join_model(saved, "poet", np.zeros(2))
    with pytest.raises(DataError, match=r"shape \(1, 7\); this router was trained on 512-d ones"):
        join_model(saved, "new", (rv.Queries(("a",), np.ones((1, 7), dtype=np.float32)), [1.0]))
    with pytest.raises(RouterError, match="KNN takes no new model without being fitted again"):
        join_model(kept(rv.KNN(), table, tmp_path / "knn"), "new", np.zeros(2))


def test_a_reference_cannot_be_kept(table: Path) -> None:
    scenario = rv.load_table(table, encoder="hashing").scenario("all", 3)
    with pytest.raises(ParameterError, match="reads the answers"):
        fit_router(rv.Oracle(), scenario)


def test_shipped_embeddings_cannot_be_made_for_a_new_prompt_and_that_is_said() -> None:
    saved = fit_router(rv.KNN(), rv.load_scenario("demo_math/all_strong/3"))
    with pytest.raises(MissingDataError, match="--encoder"):
        route(saved, ["What is 2 + 2?"])
    with pytest.raises(DataError, match="trained on 32-d"):
        route(saved, ["What is 2 + 2?"], encoder="hashing")
    (one,) = route(saved, ["What is 2 + 2?"], embeddings=np.ones((1, 32), dtype=np.float32))
    assert one.model in saved.model_ids


@pytest.mark.parametrize(
    ("encoder", "router", "hint"),
    [
        ("auto", "knn", r"came with the data.*--encoder NAME .*32 dimensions.* or --embeddings FILE.npy"),
        ("tfidf_svd:dimensions=8", "knn", "fitted on the benchmark's own prompts.*--embeddings FILE.npy"),
        ("hashing", "knn", r'^ask it: routereval route --router \S+ "a prompt"$'),
        ("auto", "best_single", r'^ask it: routereval route --router \S+ "a prompt"$'),
    ],
)
def test_fit_says_how_to_ask_in_a_way_that_works(encoder: str, router: str, hint: str, tmp_path: Path) -> None:
    words = ("fit", "demo_math/all_strong/3", "--router", router, "--encoder", encoder, "--out", str(tmp_path / "r"))
    assert re.search(hint, invoke(*words).stderr, re.MULTILINE)


def test_for_a_router_of_one_s_own_fit_says_to_trust_it(tmp_path: Path) -> None:
    saved = fit_router(Shortest(rv.KNN()), rv.load_scenario("demo_math/all_strong/3"))
    own = f"{__name__}:Shortest"
    assert f'--router {tmp_path / "own"} --trust {own} "a prompt"' in how_to_ask(saved, tmp_path / "own")
    keep(saved, tmp_path / "own")
    assert load_router(tmp_path / "own", trust=(own,)).router == saved.router
    within = replace(saved, router=replace(rv.KNN(), k=Shortest()))
    assert f" --trust {own} " in how_to_ask(within, tmp_path / "own")
    assert "--trust" not in how_to_ask(replace(saved, router=rv.KNN()), tmp_path / "own")


def test_a_router_that_asks_which_subset_a_prompt_is_of_is_not_kept() -> None:
    with pytest.raises(
        RouterError, match=r"subset_only cannot route.*no subset.*the data do not say\)\. routereval run"
    ):
        fit_router(rv.SubsetOnly(), rv.load_scenario("demo_math/all_strong/3"))


@dataclass
class Shortest:
    """A router of somebody's, with another in it."""

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False
    inner: Any = None

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Shortest:
        self.m_ = len(train.model_ids)
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        return rv.Prediction(np.zeros((len(queries), self.m_)))


@dataclass
class FirstLetters:
    """A router of somebody's that takes for granted that there are subsets."""

    columnwise: ClassVar[bool] = False

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> FirstLetters:
        self.m_ = len(train.model_ids)
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        return rv.Prediction(np.array([[ord(name[0])] * self.m_ for name in queries.subsets]))  # type: ignore[union-attr]


def test_nor_is_one_that_fails_on_a_prompt_without() -> None:
    with pytest.raises(RouterError, match=r"FirstLetters cannot route new prompts.*TypeError"):
        fit_router(FirstLetters(), rv.load_scenario("demo_math/all_strong/3"))


@pytest.mark.parametrize("ties", [[0.5, 0.5], [[0.1, 0.2, 0.3]], "abc", ["a", "b", "c"], {"a": 1}, [0.1, None, 0.3]])
def test_a_damaged_tie_breaker_is_said_to_be(ties: Any) -> None:
    saved = fit_router(rv.BestSingle(), rv.load_scenario("demo_math/all_strong/3"))
    damaged = replace(saved, about={**saved.about, "tie_breaker": ties})
    with pytest.raises(DataError, match=r"is damaged: its about\.tie_breaker is .*expected 3 numbers"):
        route(damaged, ["a"])


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c", "d")])
def test_so_are_more_or_fewer_names_than_models(names: tuple[str, ...]) -> None:
    saved = fit_router(rv.BestSingle(), rv.load_scenario("demo_math/all_strong/3"), protocol="paper")
    with pytest.raises(DataError, match=f"is damaged: it scores 3 models and names {len(names)}"):
        route(replace(saved, model_ids=names, about={**saved.about, "tie_breaker": None}), ["a"])


def test_a_fitted_encoder_cannot_embed_a_new_prompt_alone(table: Path) -> None:
    saved = fit_router(rv.KNN(), rv.load_table(table, encoder="tfidf_svd:dimensions=8").scenario("all", 3))
    with pytest.raises(MissingDataError, match="fitted on a benchmark's own prompts"):
        route(saved, ["What is 2 + 2?"])


def test_a_router_that_needs_no_embeddings_asks_for_none() -> None:
    saved = fit_router(rv.BestSingle(), rv.load_scenario("demo_math/all_strong/3"))
    assert len(route(saved, ["a", "b"])) == 2
    assert route(saved, []) == []


def test_fit_and_route_on_the_command_line(table: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "router")
    target = f"{table}/all/3"
    made = invoke("fit", target, "--router", "knn:k=3", "--encoder", "hashing", "--out", folder)
    assert made.exit_code == 0
    assert "3 models, fitted on 160 prompts" in made.stdout
    asked = invoke("route", "--router", folder, SUMS.format(3, 4), POEMS.format(1, 2))
    lines = asked.stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["calculator", "poet"]
    assert "calculator 1.000" in lines[0]
    piped = invoke("route", "--router", folder, "--json", text=f"{SUMS.format(8, 9)}\n\n{POEMS.format(8, 9)}\n")
    rows = json.loads(piped.stdout)
    assert [row["model"] for row in rows] == ["calculator", "poet"]
    assert set(rows[0]["scores"]) == {"calculator", "poet", "neither"}


def test_route_reads_prompts_from_a_file_of_lines_or_of_json(table: Path, tmp_path: Path) -> None:
    kept(rv.KNN(k=3), table, tmp_path / "router")
    plain, lines = tmp_path / "prompts.txt", tmp_path / "prompts.jsonl"
    plain.write_text(f"{POEMS.format(1, 2)}\n\n{SUMS.format(3, 4)}\n")
    lines.write_text(json.dumps({"prompt": POEMS.format(1, 2)}) + "\n" + json.dumps(SUMS.format(3, 4)) + "\n")
    for path in (plain, lines):
        asked = invoke("route", "--router", str(tmp_path / "router"), "--file", str(path))
        assert [line.split("\t")[0] for line in asked.stdout.splitlines()] == ["poet", "calculator"]
    with pytest.raises(MissingDataError, match="there is no file"):
        invoke("route", "--router", str(tmp_path / "router"), "--file", str(tmp_path / "none.txt"))


def test_prompts_come_from_words_a_file_or_standard_input(tmp_path: Path) -> None:
    import io

    plain, lines = tmp_path / "p.txt", tmp_path / "p.jsonl"
    plain.write_text("one\n\ntwo\n")
    lines.write_text('"one\\nline"\n{"prompt": "two"}\n{"question": "three"}\n')
    nothing = io.StringIO()
    assert read_prompts(["a", "b"], None, nothing) == ["a", "b"]
    assert read_prompts([], plain, nothing) == ["one", "two"]
    assert read_prompts([], lines, nothing) == ["one\nline", "two", "three"]
    assert read_prompts([], None, io.StringIO("x\ny\n")) == ["x", "y"]


@pytest.mark.parametrize(
    ("content", "message"), [("{", "line 1 is no JSON"), ("3", "holds no prompt"), ('{"a": 1}', "holds no prompt")]
)
def test_a_line_that_is_no_prompt_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_prompts([], path, None)  # type: ignore[arg-type]


def test_no_prompt_at_all_is_said(tmp_path: Path) -> None:
    import io

    with pytest.raises(DataError, match="no prompt came: standard input"):
        read_prompts([], None, io.StringIO("\n \n"))
    for name in ("p.txt", "p.jsonl"):
        (tmp_path / name).write_text("\n")
        with pytest.raises(DataError, match=f"no prompt came: .*{name}"):
            read_prompts([], tmp_path / name, None)  # type: ignore[arg-type]


def test_embeddings_that_are_not_there_are_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is no file of embeddings .*missing\.npy"):
        read_embeddings(tmp_path / "missing.npy", 1)


def test_fit_takes_one_scenario(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="fit takes one scenario"):
        invoke("fit", "demo_math/*/5", "--out", str(tmp_path / "router"))


def test_two_sources_of_prompts_or_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="give one of them"):
        read_prompts(["a"], tmp_path / "p.txt", None)  # type: ignore[arg-type]
    with pytest.raises(MissingDataError, match="there is no file"):
        read_prompts([], tmp_path / "p.txt", None)  # type: ignore[arg-type]


def test_a_folder_does_not_decide_that_prompts_leave_the_machine() -> None:
    saved = fit_router(rv.KNN(), rv.load_scenario("demo_math/all_strong/3"))
    elsewhere = dataclasses.replace(saved, about={**saved.about, "encoder": "openai:model=x,url=http://127.0.0.1:9/v1"})
    with pytest.raises(MissingDataError, match=r"embedded by a server; if that is meant: --encoder openai:model=x"):
        route(elsewhere, ["secret"])
