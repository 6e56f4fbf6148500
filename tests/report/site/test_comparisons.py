"""Paired tests on the pages: runs by several protocols or encoders have tests of their own, none are mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import routereval as rv
from routereval.report.site import comparisons
from routereval.report.site.building import collected
from routereval.results import ResultStore

Result = Callable[..., rv.RunResult]
Stored = Callable[[Path, Sequence[rv.RunResult]], Path]


def found_in(path: Path) -> comparisons.Tested:
    with ResultStore(path, create=False) as store:
        inventory, maker = collected(store)
    return comparisons.tested(path, inventory, maker, lambda: None)["one"]


def differences(table: dict[str, object]) -> dict[str, str]:
    rows = table["rows"]
    assert isinstance(rows, list)
    return {row[0][0]: row[1][0] for row in rows}


def test_each_protocol_has_its_own_tests(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [
        result(router, mean, protocol=protocol)
        for protocol, knn in (("strict", 0.6), ("paper", 0.8))
        for router, mean in (("knn", knn), ("best_single", 0.5))
    ]
    found = found_in(stored(tmp_path, runs))
    assert [table["title"] for table in found.tables] == [
        "Paired tests against the best single model, best_single (protocol strict)",
        "Paired tests against the leader, knn (protocol strict)",
        "Paired tests against the best single model, best_single (protocol paper)",
        "Paired tests against the leader, knn (protocol paper)",
    ]
    assert [differences(table) for table in found.tables[::2]] == [{"knn": "+0.100"}, {"knn": "+0.300"}]
    assert [table["stated"].partition(";")[0] for table in found.tables[::2]] == ["Protocol strict", "Protocol paper"]
    assert found.detectable.count("prompts") >= 2
    assert "protocol paper: one: " in found.detectable
    assert found.note == ""


def test_each_encoder_has_its_own_tests(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [
        result(router, mean, encoder=encoder)
        for encoder, knn in (("shipped", 0.6), ("tfidf", 0.4))
        for router, mean in (("knn", knn), ("best_single", 0.5))
    ]
    found = found_in(stored(tmp_path, runs))
    against = {table["title"]: differences(table) for table in found.tables}
    assert against["Paired tests against the best single model, best_single (encoder shipped)"] == {"knn": "+0.100"}
    assert against["Paired tests against the best single model, best_single (encoder tfidf)"] == {"knn": "−0.100"}
    # There the best single model leads, and nobody is tested against it twice.
    assert len(against) == 3


def test_of_one_protocol_and_encoder_nothing_is_said_beside(tmp_path: Path, result: Result, stored: Stored) -> None:
    found = found_in(stored(tmp_path, [result("knn", 0.6), result("best_single", 0.5)]))
    assert found.tables[0]["title"] == "Paired tests against the best single model, best_single"
    assert found.detectable.startswith("one: ")


def test_a_choice_of_one_router_has_no_tests_and_the_others_keep_theirs(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    runs = [result("knn", 0.6), result("best_single", 0.5), result("knn", 0.7, protocol="paper")]
    found = found_in(stored(tmp_path, runs))
    assert {table["title"].partition("(")[2] for table in found.tables} == {"protocol strict)"}
