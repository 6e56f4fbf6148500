"""A submission's folder is checked, and added to a leaderboard where nothing is wrong with it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import routereval as rv
from routereval.datasets import Datasets
from routereval.errors import DataError, MissingDataError, ResultsError
from routereval.results.submitted import Submission, is_web_address, put_submission, submissions_in
from routereval.submissions import Report, check, publish
from routereval.submissions.alignment import Hits, hits_of, together
from routereval.submissions.folder import LIMITS, METADATA, PREDICTIONS, start
from routereval.submissions.metadata import ENTRIES, read_metadata, template

SCENARIO = "topics/all/4"
TOPICS = ("sum", "poem", "law", "moon")
FILLER = ("tell", "me", "about", "it", "please", "now", "again", "in", "short", "words")

Choose = Callable[[rv.Scenario], Sequence[int]]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four models, each better at one topic: right on 8 of 10 of its prompts and on 4 of 10 of the others."""
    draw = random.Random(5)
    rows = ["prompt_id,text,split,a,b,c,d"]
    for i in range(640):
        topic = i % 4
        words = [*draw.choices(FILLER, k=6), TOPICS[topic], TOPICS[topic], str(i)]
        scores = [int(draw.random() < (0.8 if k == topic else 0.4)) for k in range(4)]
        rows.append(f"q{i},{' '.join(words)},{'train' if i < 400 else 'test'},{','.join(map(str, scores))}")
    path = tmp_path_factory.mktemp("table") / "topics.csv"
    path.write_text("\n".join(rows))
    return str(path)


@pytest.fixture(scope="module")
def scenario(table: str) -> rv.Scenario:
    return rv.load_table(table).scenario("all", 4)


DESCRIPTION: dict[str, Any] = {
    "router": "ours",
    "authors": ["Ada", "Bob"],
    "contact": "ada@example.org",
    "description": "Looks at the topic.\nThen chooses.",
    "protocol": "strict",
    "encoder": "none",
    "training_data": "nothing else",
    "date": "2026-01-31",
    "test_prompts_seen": False,
}


def by_topic(scenario: rv.Scenario) -> list[int]:
    """As an honest router that learnt all there is to learn."""
    texts = scenario.test.queries.texts
    assert texts is not None
    return [next(k for k, topic in enumerate(TOPICS) if f" {topic} " in text) for text in texts]


def always_the_first(scenario: rv.Scenario) -> list[int]:
    return [0] * len(scenario.test)


def answers_known(share: float) -> Choose:
    """r_o(share): a model that is right, with this probability, else any."""

    def choose(scenario: rv.Scenario) -> list[int]:
        draw = np.random.default_rng(3)
        right = scenario.test.scores.dense().argmax(axis=1)
        return np.where(draw.random(len(right)) < share, right, draw.integers(0, scenario.m, len(right))).tolist()

    return choose


def rows_of(scenario: rv.Scenario, choose: Choose = by_topic) -> list[dict[str, str]]:
    models = scenario.pool.model_ids
    ids = scenario.test.queries.ids
    return [
        {"scenario": scenario.id, "prompt": prompt, "choice": models[column]}
        for prompt, column in zip(ids, choose(scenario), strict=True)
    ]


def a_folder(path: Path, rows: Sequence[dict[str, Any]], **changes: Any) -> Path:
    """A submission; an entry that is changed to None is left out."""
    path.mkdir(exist_ok=True)
    (path / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = {name: value for name, value in (DESCRIPTION | changes).items() if value is not None}
    (path / "submission.json").write_text(json.dumps(said))
    return path


def checked(path: Path, table: str) -> Report:
    return check(path, Datasets(), [table])


def texts(report: Report, name: str, status: str = "failed") -> list[str]:
    return [one.text for one in report.findings if (one.check, one.status) == (name, status)]


def test_a_submission_in_order_is_accepted_with_numbers_recomputed_from_its_choices(
    scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    report = checked(a_folder(tmp_path / "s", rows_of(scenario)), table)
    assert report.ok
    assert {(one.check, one.status) for one in report.findings} == {
        (name, "passed") for name in ("description", "predictions", "plausibility")
    }
    (result,) = report.results
    dense = scenario.test.scores.dense()
    assert result.mu == pytest.approx(dense[range(len(dense)), by_topic(scenario)].mean())
    assert result.spec.router == "file:ours"
    assert (result.spec.scenario, result.spec.protocol) == (SCENARIO, "strict")


def test_the_protocol_is_that_of_the_description(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    report = checked(a_folder(tmp_path / "s", rows_of(scenario), protocol="paper"), table)
    assert [one.spec.protocol for one in report.results] == ["paper"]


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_description_is_read_as_toml_and_as_json(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"submission.{ending}"
    if ending == "json":
        path.write_text(json.dumps(DESCRIPTION))
    else:
        values = {**DESCRIPTION, "date": 0}
        path.write_text(
            "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()).replace("date = 0", "date = 2026-01-31")
        )
    metadata, problems = read_metadata(path)
    assert problems == []
    assert metadata is not None
    assert metadata.values == DESCRIPTION


def test_everything_that_is_wrong_with_a_description_is_said_at_once(
    scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    folder = a_folder(
        tmp_path / "s",
        rows_of(scenario),
        router="KNN",
        authors="Ada",
        contact=None,
        description=" ",
        protocol="fast",
        encoder="two\nlines",
        date="January",
        test_prompts_seen="no",
        url="javascript:alert(1)",
        colour="red",
        code_ulr="https://example.org",
        claims={SCENARIO: {"accuracy": 1}},
    )
    report = checked(folder, table)
    assert not report.ok
    assert report.results == ()
    said = "\n".join(texts(report, "description"))
    for line in (
        "router is 'KNN', which is a router of this package",
        "authors is a str; expected a list of texts",
        "contact is not there: an e-mail address",
        "description is empty",
        "protocol is 'fast'; expected paper or strict",
        "encoder holds control characters or more than one line",
        "date is 'January'; expected a date like 2026-01-31",
        "test_prompts_seen is a str; expected true or false",
        "url is 'javascript:alert(1)'; expected an address that begins with https://",
        "'colour' is no entry; there are router, ",
        "'code_ulr' is no entry; did you mean 'code_url'?",
        "claims has topics/all/4: 'accuracy', which is no metric",
    ):
        assert line in said, line
    assert len(texts(report, "description")) == 12


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000, '{"router": NaN}', "\xff"])
def test_a_description_that_is_none_is_a_finding(text: str, scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "submission.json").write_bytes(text.encode("latin-1"))
    assert texts(checked(folder, table), "description")


def test_texts_have_a_largest_length(tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    path.write_text(json.dumps(DESCRIPTION | {"router": "x" * 81, "authors": ["a"] * 101}))
    _, problems = read_metadata(path)
    assert problems == [
        "router has 81 characters; at most 80 are kept",
        "authors has 101 entries; at most 100 are kept",
    ]


def test_missing_extra_duplicate_and_unknown_predictions_are_listed(
    scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    rows = rows_of(scenario)
    twice, lost = rows[3]["prompt"], rows[4]["prompt"]
    rows[4] = dict(rows[3])
    rows[5]["choice"] = "gpt-9"
    rows.append({"scenario": SCENARIO, "prompt": "q0", "choice": "a"})
    rows.append({"scenario": "nowhere/all/4", "prompt": "q0", "choice": "a"})
    report = checked(a_folder(tmp_path / "s", rows), table)
    said = texts(report, "predictions")
    assert len(said) == 5
    assert f"row 5: duplicate prediction for {SCENARIO}, prompt '{twice}'" in said
    assert f"{SCENARIO}: 1 prompts have no prediction: {lost}" in said
    assert f"{SCENARIO}: 1 predictions are for prompts that are no test prompts of it: q0" in said
    assert f"{SCENARIO}: 1 choices are not in the pool: {rows[5]['prompt']} -> gpt-9" in said
    assert "unknown scenario 'nowhere/all/4'" in said


def test_of_many_that_are_missing_the_first_are_named(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    rows = rows_of(scenario)
    rows, lost = rows[:3], [row["prompt"] for row in rows[3:]]
    (said,) = texts(checked(a_folder(tmp_path / "s", rows), table), "predictions")
    first = ", ".join(lost[:5])
    assert said == f"{SCENARIO}: {len(lost)} prompts have no prediction: {first} and {len(lost) - 5} more"
    rows = [{"scenario": SCENARIO, "prompt": str(i)} for i in range(50)] + rows
    said = texts(checked(a_folder(tmp_path / "s", rows), table), "predictions")
    assert len(said) == 21
    assert said[-1] == "and 31 more problems: routereval score FILE"


def test_scenarios_that_the_description_lists_must_be_there(tmp_path: Path) -> None:
    one = rv.load_scenario("demo_math/all_strong/3")
    folder = a_folder(tmp_path / "s", rows_of(one, always_the_first), scenarios=["demo_math/*/3"])
    (missing,) = texts(check(folder, Datasets()), "predictions")
    assert missing == (
        "2 scenarios that the description lists have no predictions: demo_math/all_weak/3, demo_math/strong_to_weak/3"
    )
    folder = a_folder(tmp_path / "s", rows_of(one, always_the_first), scenarios=["demo_math/all_strong/3"])
    assert check(folder, Datasets()).ok


@pytest.mark.parametrize("named", ["predictions", "description"])
def test_a_submission_cannot_have_files_of_this_machine_read(
    named: str, scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    rows = rows_of(scenario)
    if named == "predictions":
        folder = a_folder(tmp_path / "s", [*rows, {"scenario": f"{table}/all/4", "prompt": "q400", "choice": "a"}])
    else:
        folder = a_folder(tmp_path / "s", rows, scenarios=[f"{table}/all/4"])
    (said,) = texts(check(folder, Datasets(), [table]), "predictions")
    assert "which a submission cannot" in said


def test_claims_are_compared_with_what_the_choices_give(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    dense = scenario.test.scores.dense()
    mu = float(dense[range(len(dense)), by_topic(scenario)].mean())
    rounded = a_folder(tmp_path / "s", rows_of(scenario), claims={SCENARIO: {"mu": round(mu, 2)}})
    assert texts(checked(rounded, table), "claims", "passed") == ["1 claimed numbers are what the choices give"]
    better = a_folder(tmp_path / "s", rows_of(scenario), claims={SCENARIO: {"mu": 0.99}, "other/all/2": {"mu": 0.5}})
    assert texts(checked(better, table), "claims") == [
        f"{SCENARIO}: mu is claimed to be 0.99; recomputed from the choices it is {mu:.4f}",
        "numbers are claimed for other/all/2, which has no predictions",
    ]


def test_a_claim_with_one_digit_is_not_taken_for_rounding(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    dense = scenario.test.scores.dense()
    mu = float(dense[range(len(dense)), by_topic(scenario)].mean())
    assert 0.005 < abs(round(mu, 1) - mu) < 0.05
    folder = a_folder(tmp_path / "s", rows_of(scenario), claims={SCENARIO: {"mu": round(mu, 1)}})
    assert len(texts(checked(folder, table), "claims")) == 1


@pytest.mark.parametrize(
    ("choose", "verdict"),
    [
        (by_topic, "passed"),
        (always_the_first, "passed"),
        (answers_known(0.3), "passed"),
        (answers_known(0.8), "failed"),
        (answers_known(1.0), "failed"),
    ],
    ids=["by topic", "one model", "r_o(0.3)", "r_o(0.8)", "oracle"],
)
def test_choices_that_follow_the_answers_are_found_out_and_honest_ones_are_not(
    choose: Choose, verdict: str, scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    report = checked(a_folder(tmp_path / "s", rows_of(scenario, choose)), table)
    (text,) = texts(report, "plausibility", verdict)
    assert report.ok == (verdict == "passed")
    if verdict == "failed":
        assert "beyond what routing can do" in text
        assert "knn, ridge, kmeans, trained here" in text


def test_honest_routers_of_the_package_pass(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    for router in (rv.KNN(k=20), rv.KMeans()):
        choices = rv.evaluate(router, scenario).outcome.choices.tolist()
        report = checked(a_folder(tmp_path / "s", rows_of(scenario, lambda _, said=choices: said)), table)
        assert report.ok, router


def test_where_prompts_say_who_is_right_an_honest_router_may_always_be(tmp_path: Path) -> None:
    """Every prompt is answered by the model of its topic and by no other: alignment 1, and nothing is wrong with it."""
    rows = ["prompt_id,text,split,a,b,c,d"]
    for i in range(400):
        scores = ",".join(str(int(k == i % 4)) for k in range(4))
        text = f"tell me {TOPICS[i % 4]} again {TOPICS[i % 4]} now {i}"
        rows.append(f"q{i},{text},{'train' if i < 240 else 'test'},{scores}")
    path = tmp_path / "sure.csv"
    path.write_text("\n".join(rows))
    scenario = rv.load_table(path).scenario("all", 4)
    report = checked(a_folder(tmp_path / "s", rows_of(scenario)), str(path))
    (judged,) = report.plausibility
    assert judged.hits.alignment == 1.0
    assert judged.verdict == "plausible"
    assert judged.honest is not None
    assert max(judged.honest.values()) == 1.0
    assert judged.limit == 1.0


def test_without_anything_to_go_by_a_close_likeness_is_a_warning(tmp_path: Path) -> None:
    draw = random.Random(1)
    rows = ["prompt_id,split,a,b,c"] + [
        f"q{i},{'train' if i < 50 else 'test'},{','.join(str(int(draw.random() < 0.5)) for _ in range(3))}"
        for i in range(250)
    ]
    (tmp_path / "bare.csv").write_text("\n".join(rows))
    scenario = rv.load_table(tmp_path / "bare.csv").scenario("all", 3)
    report = checked(a_folder(tmp_path / "s", rows_of(scenario, answers_known(1.0))), str(tmp_path / "bare.csv"))
    assert report.ok
    (text,) = texts(report, "plausibility", "warning")
    assert "No honest router could be run here to hold beside it" in text


def test_an_oracle_of_too_few_prompts_to_be_sure_is_a_warning(tmp_path: Path) -> None:
    scenario = rv.load_scenario("demo_math/all_strong/3")
    report = check(a_folder(tmp_path / "s", rows_of(scenario, answers_known(1.0))), Datasets())
    assert report.ok
    (judged,) = report.plausibility
    assert judged.hits.alignment == 1.0
    assert 0.001 < judged.p < 0.05
    (text,) = texts(report, "plausibility", "warning")
    assert "ask how they were made" in text
    assert report.submission is not None
    assert report.submission.warnings == (text,)


def test_hits_are_counted_as_by_hand() -> None:
    """Six prompts, three models; the first is everybody's, the last nobody's, so four are contested."""
    scores = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0]], dtype=np.float32)
    ids = tuple("abcdef")
    test = rv.Partition(rv.Queries(ids), rv.ScoreMatrix.from_dense(scores, ids, ("x", "y", "z")))
    hits = hits_of(np.array([0, 0, 1, 0, 0, 0], dtype=np.int32), test)
    # It chooses x five times in six and y once: by chance right on b 5/6, c 1/6, d 1/6, e 5/6.
    assert (hits.contested, hits.hits) == (4, 3)
    assert hits.expected == pytest.approx(2.0)
    assert hits.variance == pytest.approx(4 * 5 / 36)
    # At most one model of three is right on b and c.
    assert (hits.hard, hits.hard_hits) == (2, 2)
    assert hits.hard_expected == pytest.approx(1.0)
    assert hits.alignment == pytest.approx(0.5)
    assert hits.z == pytest.approx(1 / (20 / 36) ** 0.5)


def test_the_mix_of_models_is_that_of_each_subset() -> None:
    """x in one subset and y in the other is what the subset says, and no sign of knowing more."""
    n = 40
    scores = np.tile(np.array([[1, 0], [0, 1]], dtype=np.float32), (n // 2, 1))
    ids = tuple(map(str, range(n)))
    choices = np.array([0, 1] * (n // 2), dtype=np.int32)
    matrix = rv.ScoreMatrix.from_dense(scores, ids, ("x", "y"))
    alone = hits_of(choices, rv.Partition(rv.Queries(ids), matrix))
    assert (alone.hits, alone.expected, alone.alignment) == (n, n / 2, 1.0)
    divided = rv.Queries(ids, subsets=("odd", "even") * (n // 2))
    known = hits_of(choices, rv.Partition(divided, matrix))
    assert (known.hits, known.expected, known.alignment) == (n, n, 0.0)


def test_small_subsets_are_taken_together() -> None:
    ids = tuple(map(str, range(6)))
    scores = np.tile(np.array([[1, 0], [0, 1]], dtype=np.float32), (3, 1))
    own_subset = rv.Partition(rv.Queries(ids, subsets=ids), rv.ScoreMatrix.from_dense(scores, ids, ("x", "y")))
    assert hits_of(np.array([0, 1] * 3, dtype=np.int32), own_subset).expected == pytest.approx(3.0)


def test_cells_that_were_not_observed_are_no_answers() -> None:
    ids = ("a", "b")
    scores = np.array([[1, np.nan, 0], [np.nan, np.nan, np.nan]], dtype=np.float32)
    test = rv.Partition(rv.Queries(ids), rv.ScoreMatrix.from_dense(scores, ids, ("x", "y", "z"), missing=True))
    hits = hits_of(np.array([0, -1], dtype=np.int32), test)
    assert (hits.contested, hits.hits, hits.expected) == (1, 1, 1.0)


def test_the_chance_of_so_many_hits_is_a_binomial_tail() -> None:
    """Ten prompts, half of them by chance: at 20 % of the rest a hit has chance 0.6; 0.6^10 that all are hits."""
    hits = Hits(10, 10, 5.0, 2.5, 0, 0, 0.0, prompts=10)
    assert hits.p_at(0.2) == pytest.approx(0.6**10)
    # Two pools on the same ten prompts are no more evidence than one, two benchmarks are.
    assert together([hits, hits], same_prompts=True).p_at(0.2) == pytest.approx(0.6**10)
    assert together([hits, hits], same_prompts=False).p_at(0.2) == pytest.approx(0.6**20)


@pytest.mark.parametrize(("choose", "verdict"), [("knn", "plausible"), ("r_o", "implausible")])
def test_on_real_scores_knn_passes_and_an_oracle_four_times_in_five_does_not(
    choose: str, verdict: str, shared: Path, tmp_path: Path
) -> None:
    data = shared / "data" / "official"
    one = rv.load_scenario("mmlu_pro/strong_to_weak/10", data)
    knn: Choose = lambda scenario: rv.evaluate(rv.KNN(k=10), scenario).outcome.choices  # noqa: E731
    rows = rows_of(one, knn if choose == "knn" else answers_known(0.8))
    report = check(a_folder(tmp_path / "s", rows), Datasets(data))
    assert [judged.verdict for judged in report.plausibility] == [verdict]


def test_test_prompts_among_own_training_prompts_are_found(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    train, test = scenario.train.queries, scenario.test.queries
    assert train.texts is not None
    assert test.texts is not None
    prompts = [train.texts[0], test.texts[0].upper() + "  ", "something else", {"text": test.texts[7]}]
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "training_prompts.jsonl").write_text(
        "\n".join(json.dumps(one if isinstance(one, dict) else {"text": one}) for one in prompts)
    )
    (text,) = texts(checked(folder, table), "duplicates")
    assert "2 of 240 test prompts are near-identical" in text
    assert f"{test.ids[0]}, {test.ids[7]}; its description says that none was seen" in text
    a_folder(folder, rows_of(scenario), test_prompts_seen=True)
    report = checked(folder, table)
    assert report.ok
    (text,) = texts(report, "duplicates", "warning")
    assert "its description says so" in text


def test_training_prompts_of_the_benchmark_are_nobodys_fault(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    train = scenario.train.queries.texts
    assert train is not None
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "training_prompts.jsonl").write_text("\n".join(json.dumps(text) for text in train))
    assert texts(checked(folder, table), "duplicates", "passed") == [
        "topics: none of 400 own training prompts is a test prompt"
    ]


def test_own_training_prompts_are_compared_by_the_embeddings_they_bring(tmp_path: Path) -> None:
    scenario = rv.load_scenario("demo_math/all_strong/3")
    vectors = scenario.test.queries.require_embeddings()
    folder = a_folder(tmp_path / "s", rows_of(scenario, always_the_first))
    rows = [{"text": "another wording", "embedding": vectors[i].tolist()} for i in (0, 5)]
    (folder / "training_prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = check(folder, Datasets())
    said = texts(report, "duplicates") + texts(report, "duplicates", "passed")
    assert said
    if scenario.test.queries.texts is None:
        assert f": {scenario.test.queries.ids[0]}, {scenario.test.queries.ids[5]}" in said[0]
    else:
        # Texts that differ in more than a few words are other prompts, whatever an encoder makes of them.
        assert "none of 2 own training prompts" in said[0]


def test_near_identical_prompts_of_the_benchmark_itself_are_a_warning(tmp_path: Path) -> None:
    rows = ["prompt_id,text,split,a,b"]
    rows += [f"q{i},number {i} of them all,{'train' if i < 60 else 'test'},{i % 2},{i % 3 % 2}" for i in range(100)]
    rows += ['r1,"Number 60  of them ALL",train,1,0', "r2,quite another text,train,0,1"]
    path = tmp_path / "twins.csv"
    path.write_text("\n".join(rows))
    scenario = rv.load_table(path, encoder="none").scenario("all", 2)
    report = check(a_folder(tmp_path / "s", rows_of(scenario, always_the_first)), Datasets(encoder="none"), [str(path)])
    assert report.ok
    (text,) = texts(report, "duplicates", "warning")
    assert text == "twins: 1 of 40 test prompts are near-identical to a training prompt of the benchmark itself"
    # Who trained on the benchmark's training prompts has seen that one, as everybody may.
    (tmp_path / "s" / "training_prompts.jsonl").write_text('"number 60 of them all"')
    assert texts(checked(tmp_path / "s", str(path)), "duplicates") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": 3}', "line 1 has no text"),
        ('"fine"\n{', "line 2 cannot be read"),
        ("3", "line 1 cannot be read"),
        ('{"text": "a", "embedding": [1, 2]}\n{"text": "b"}', "1 of 2 prompts have an embedding"),
        ('{"text": "a", "embedding": [1, 2]}\n{"text": "b", "embedding": [1]}', "2 of 2 prompts have an embedding"),
        ('{"text": "a", "embedding": ["x"]}', "line 2 cannot be read"),
        ('{"text": "a", "embedding": [NaN]}', "embeddings are not finite"),
    ],
)
def test_own_training_prompts_that_cannot_be_read_are_a_finding(
    content: str, message: str, scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "training_prompts.jsonl").write_text(content)
    (text,) = texts(checked(folder, table), "duplicates")
    assert message in text


def test_a_folder_that_is_not_there_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is no folder .*none; make one with: routereval submit --init"):
        check(tmp_path / "none", Datasets())


def test_what_a_folder_lacks_or_has_twice_is_said(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    assert texts(checked(tmp_path / "s", table), "folder") == [
        f"there is no file of predictions: {' or '.join(PREDICTIONS)}",
        f"there is no file of description: {' or '.join(METADATA)}",
    ]
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "predictions.csv").write_text("")
    (folder / "notes.txt").write_text("hello")
    report = checked(folder, table)
    assert texts(report, "folder") == ["there are predictions.jsonl and predictions.csv; keep one of them"]
    assert texts(report, "folder", "warning") == ["1 others are not read: notes.txt"]


def test_links_out_of_the_folder_pipes_and_files_that_are_too_large_are_not_read(
    scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    predictions = folder / "predictions.jsonl"
    predictions.rename(tmp_path / "elsewhere.jsonl")
    predictions.symlink_to(tmp_path / "elsewhere.jsonl")
    assert texts(checked(folder, table), "folder") == [
        "predictions.jsonl is a link to outside of the folder; put the file itself there"
    ]
    predictions.unlink()
    predictions.symlink_to(predictions)
    assert "leads nowhere" in texts(checked(folder, table), "folder")[0]
    predictions.unlink()
    os.mkfifo(predictions)
    assert texts(checked(folder, table), "folder") == ["predictions.jsonl is no regular file"]
    predictions.unlink()
    with predictions.open("wb") as file:
        file.truncate(LIMITS[PREDICTIONS] + 1_000_000)  # a hole: it takes no space
    assert texts(checked(folder, table), "folder") == ["predictions.jsonl has 1,001 MB; at most 1,000 MB are read"]


def test_a_small_file_of_too_many_rows_is_not_read(
    scenario: rv.Scenario, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "predictions.jsonl").unlink()
    pl.DataFrame(rows_of(scenario)).write_parquet(folder / "predictions.parquet")
    assert checked(folder, table).ok
    monkeypatch.setattr("routereval.submissions.checking.MOST_ROWS", 100)
    assert texts(checked(folder, table), "predictions") == ["predictions.parquet has 240 rows; at most 100 are read"]
    (folder / "predictions.parquet").write_bytes(b"PAR1")
    (text,) = texts(checked(folder, table), "predictions")
    assert "cannot be read as parquet" in text


def test_a_link_within_the_folder_is_followed(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "s", rows_of(scenario))
    (folder / "predictions.jsonl").rename(folder / "v2.jsonl")
    (folder / "predictions.jsonl").symlink_to("v2.jsonl")
    assert checked(folder, table).ok


def test_the_template_asks_for_every_entry_and_passes_once_filled_in(tmp_path: Path) -> None:
    made = start(tmp_path / "new")
    assert made.read_text() == template()
    assert all(f"\n{name} = " in template() or f"\n# {name} = " in template() for name in ENTRIES)
    _, problems = read_metadata(made)
    assert sorted(problem.split()[0] for problem in problems) == [
        *("authors", "contact", "date", "description", "encoder", "router", "training_data")
    ]
    with pytest.raises(DataError, match=r"submission.toml is there already"):
        start(tmp_path / "new")


def test_an_accepted_submission_is_added_once_with_whose_it_is(
    scenario: rv.Scenario, table: str, tmp_path: Path
) -> None:
    board = tmp_path / "board.sqlite"
    folder = a_folder(tmp_path / "s", rows_of(scenario), url="https://example.org/router")
    report = checked(folder, table)
    assert publish(report, board) == 1
    assert publish(report, board) == 0
    with rv.ResultStore(board, create=False) as store:
        (run,) = store.runs()
        assert store.record(run.spec).prompt_ids == scenario.test.queries.ids
    (submission,) = submissions_in(board)
    assert submission.made(run.spec)
    assert submission.authors == ("Ada", "Bob")
    assert submission.links == {"url": "https://example.org/router"}
    assert submission.metadata["description"] == DESCRIPTION["description"]


def test_what_fails_is_not_added(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    report = checked(a_folder(tmp_path / "s", rows_of(scenario)[1:]), table)
    with pytest.raises(DataError, match="fails 1 checks, so nothing was added"):
        publish(report, tmp_path / "board.sqlite")
    assert not (tmp_path / "board.sqlite").exists()


def test_two_submissions_of_one_name_are_not_taken_for_one(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    board = tmp_path / "board.sqlite"
    publish(checked(a_folder(tmp_path / "s", rows_of(scenario)), table), board)
    other = checked(a_folder(tmp_path / "t", rows_of(scenario, always_the_first)), table)
    with pytest.raises(ResultsError, match="a submission called 'ours' with other predictions"):
        publish(other, board)
    with rv.ResultStore(board, create=False) as store:
        assert len(store.runs()) == 1


def test_a_corrected_description_replaces_the_old_one(scenario: rv.Scenario, table: str, tmp_path: Path) -> None:
    board = tmp_path / "board.sqlite"
    publish(checked(a_folder(tmp_path / "s", rows_of(scenario)), table), board)
    publish(checked(a_folder(tmp_path / "s", rows_of(scenario), authors=["Eve"]), table), board)
    (submission,) = submissions_in(board)
    assert submission.authors == ("Eve",)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://", False),
        ("//example.org", False),
        ('https://example.org/"onload="', False),
        ("https://example.org/<script>", False),
        ("https://exa mple.org", False),
        ("https://bank.example@evil.example/", False),
        ("https://[", False),
        ("https://ex\u0430mple.org", False),
        (" https://example.org", False),
        (3, False),
    ],
)
def test_only_plain_web_addresses_are_links(text: object, good: bool) -> None:
    assert is_web_address(text) is good
    # Whatever got into a file by another way, too.
    links = Submission("file:x", "1" * 64, {"url": text, "title": "https://example.org"}).links
    assert links == ({"url": text} if good else {})


def test_a_file_from_before_there_were_submissions_has_none(tmp_path: Path) -> None:
    rv.ResultStore(tmp_path / "r.sqlite").close()
    assert submissions_in(tmp_path / "r.sqlite") == []
    with pytest.raises(ResultsError, match="there is no results file"):
        submissions_in(tmp_path / "none.sqlite")


def test_a_damaged_submission_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    put_submission(path, Submission("file:ours", "1" * 64, {}))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE submissions SET metadata = '[1]'")
    with pytest.raises(ResultsError, match="the submission 'file:ours' is damaged"):
        submissions_in(path)
