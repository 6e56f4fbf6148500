"""What a mean may be taken over: predictions, which no encoder of ours made, stand beside routers with any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.errors import ParameterError
from routereval.report.comparison import compare
from routereval.report.standings import standings_of
from routereval.report.unmixed import of_choice, refuse_mixed, with_one_encoder
from routereval.results import StoredRun

GOOD, BAD = [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]


def run(router: str, chosen: list[float] = GOOD, encoder: str = "shipped", **spec: Any) -> StoredRun:
    columns = {name: np.full(4, 0.5) for name in ("best_single", "best_single_train", "baseline")}
    columns |= {"chosen": np.array(chosen), "oracle": np.ones(4)}
    outcome = Outcome(tuple("0123"), ("a", "b"), np.ones(4, dtype=bool), columns, np.array([0.5, 0.5]))
    asked = {"scenario": "one/all/3", "params": {}, "protocol": "strict", "seed": 0, "data_hash": "d" * 8} | spec
    made = rv.RunSpec(router=router, encoder=encoder, **asked)
    return replace(StoredRun.of(rv.RunResult(made, outcome, 1.0)), key=made.key)


def test_predictions_are_ranked_beside_routers_of_whatever_encoder() -> None:
    # Scored on the data as they are shipped, while the routers were given other embeddings.
    runs = [run("knn", BAD, "wordllama"), run("ridge", GOOD, "wordllama"), run("file:mine", GOOD)]
    found = standings_of(runs)
    assert {one.label: (one.rank, one.cells) for one in found.complete} == {
        "knn": (3.0, 1),
        "ridge": (1.5, 1),
        "mine": (1.5, 1),
    }
    assert [one.encoder for one in found.provenance] == ["wordllama"]
    assert len(compare(runs).pairs) == 3
    assert compare(runs).pairs[0].encoder == "wordllama"


def test_they_come_along_with_every_encoder_that_is_chosen() -> None:
    runs = [run("knn", BAD), run("knn", GOOD, "e5"), run("file:mine", GOOD), run("oracle", GOOD)]
    for encoder, rank in (("shipped", 1.0), ("e5", 1.5)):
        found = standings_of(runs, encoder=encoder)
        assert {one.label: one.rank for one in found.complete}["mine"] == rank
        assert [one.encoder for one in found.provenance] == [encoder]
    # It is the routers that have to be told apart, and only what they have can be chosen.
    with pytest.raises(ParameterError, match="one was run with 2 encoders, e5 and shipped, which"):
        compare([*runs, run("file:other", encoder="tfidf")])


def test_what_they_are_stored_under_stays() -> None:
    mine = run("file:mine")
    (_, counted) = with_one_encoder([run("knn", encoder="e5"), mine])
    assert (counted.spec.encoder, counted.key) == ("e5", mine.key)
    assert mine.spec.encoder == "shipped"


def test_the_same_choices_scored_twice_count_once_and_those_of_the_encoder_itself_first() -> None:
    own = replace(run("file:mine", encoder="e5"), ended="2020")
    other = replace(run("file:mine"), ended="2021")
    knn = run("knn", encoder="e5")
    assert [one.key for one in with_one_encoder([other, own, knn])] == [knn.key, own.key]
    assert not any("older versions" in note for note in compare([other, own, knn]).notes)
    newer = replace(run("file:mine", encoder="tfidf"), ended="2022")
    assert [one.key for one in with_one_encoder([newer, other, knn])] == [knn.key, newer.key]


def test_among_themselves_they_count_to_one_encoder() -> None:
    runs = [run("file:mine"), run("file:other", encoder="e5")]
    refuse_mixed([one.spec for one in runs])
    assert {one.spec.encoder for one in with_one_encoder(runs)} == {"e5"}


def test_they_are_no_runs_of_an_encoder_that_no_router_has_on_their_data() -> None:
    runs = [run("knn", encoder="e5"), run("file:mine", scenario="two/all/3"), run("file:mine")]
    assert [one.spec.scenario for one in of_choice(runs, None, "e5")] == ["one/all/3", "one/all/3"]
    by_paper = run("knn", protocol="paper")
    with pytest.raises(ParameterError, match="no stored run has protocol paper and encoder e5"):
        of_choice([*runs, by_paper, run("file:mine", protocol="paper")], "paper", "e5")
