"""Leaderboards: means as ``rank`` has them, who takes a place, and what is never averaged in silence."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.report.site.benchmark_rows import benchmark_rows
from routereval.report.site.boards import COLUMNS, Board, BoardMaker, Choice
from routereval.report.site.building import build_site, collected
from routereval.report.site.inventory import Inventory, Setting
from routereval.report.standings import Score, standings_of
from routereval.results import ResultStore

Stored = Callable[[Path, Sequence[rv.RunResult]], Path]
Result = Callable[..., rv.RunResult]
MU, GAIN, GAP, BEHIND = (COLUMNS.index(name) for name in ("mu", "gain", "gap", "behind"))


def boards_of(path: Path) -> tuple[Inventory, BoardMaker]:
    with ResultStore(path, create=False) as store:
        return collected(store)


def row(inventory: Inventory, board: Board, label: str) -> int:
    return [inventory.routers[one].label for one in board.rows].index(label)


def value(inventory: Inventory, board: Board, label: str, column: int) -> float:
    return float(board.values[row(inventory, board, label), column, 0])


@pytest.fixture
def suite(tmp_path: Path, result: Result, stored: Stored) -> Path:
    """Two benchmarks, the first with two sizes and two strategies; seeds differ."""
    runs = []
    for router, means in {
        "knn": (0.6, 0.7, 0.8, 0.9),
        "ridge": (0.9, 0.5, 0.6, 0.4),
        "best_single": (0.5,) * 4,
    }.items():
        for where, mean in zip(("one/a/3", "one/b/3", "one/a/10", "two/a/3"), means, strict=True):
            runs += [result(router, mean + d, where, seed=seed, start=7) for seed, d in ((0, 0.0), (1, 0.05))]
    runs += [result("oracle", 0.9, where) for where in ("one/a/3", "one/b/3", "one/a/10", "two/a/3")]
    return stored(tmp_path, runs)


def test_means_are_over_seeds_strategies_sizes_benchmarks(suite: Path) -> None:
    inventory, maker = boards_of(suite)
    board = maker.boards[Choice(None, None, None, "strict", None)]
    one = (((0.625 + 0.725) / 2) + 0.825) / 2
    assert value(inventory, board, "knn", MU) == pytest.approx((one + 0.925) / 2)
    assert value(inventory, board, "knn", GAIN) == pytest.approx((one + 0.925) / 2 - 0.5)
    assert value(inventory, board, "knn", GAP) == pytest.approx(((one + 0.925) / 2 - 0.5) / 0.4)
    assert (board.scenes, board.benchmarks, board.prompts) == (4, 2, (40, 40))
    of_size = maker.boards[Choice("one", 3, None, "strict", None)]
    assert value(inventory, of_size, "ridge", MU) == pytest.approx((0.925 + 0.525) / 2)


def test_numbers_and_intervals_are_those_of_rank(suite: Path) -> None:
    inventory, maker = boards_of(suite)
    board = maker.boards[Choice(None, None, None, "strict", None)]
    with ResultStore(suite, create=False) as store:
        standings = standings_of(store.runs())
    for one in standings.complete:
        found = board.values[row(inventory, board, one.label)]
        wanted: list[tuple[int, Score]] = [(MU, one.mu), (GAIN, one.mean_gain), (GAP, one.gap_closed)]
        for column, score in wanted:
            assert found[column, 0] == pytest.approx(score.value, abs=1e-9)
            assert found[column, 1:] == pytest.approx(score.interval, abs=1e-5)


def test_the_leader_is_compared_prompt_by_prompt(suite: Path) -> None:
    inventory, maker = boards_of(suite)
    board = maker.boards[Choice("two", None, "a", "strict", None)]
    assert inventory.routers[board.leader].label == "knn"
    assert board.values[row(inventory, board, "knn"), BEHIND].tolist() == [0, 0, 0]
    behind = board.values[row(inventory, board, "ridge"), BEHIND]
    assert behind[0] == pytest.approx(0.5)
    # Unpaired, the interval of a difference of two proportions of 40 would be more than half as wide again.
    assert behind[2] - behind[1] < 0.35


def test_references_and_controls_take_no_place(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", 0.6), result("oracle", 0.9), result("majority", 0.8), result("best_single", 0.5)]
    inventory, maker = boards_of(stored(tmp_path, runs))
    (board,) = maker.boards.values()
    places = {inventory.routers[one].label: int(place) for one, place in zip(board.rows, board.position, strict=True)}
    assert places == {"knn": 1, "best_single": 2, "oracle": 0, "majority": 0}


def test_equal_scores_share_a_place_whatever_the_order_of_their_sums(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    runs = [result("best_single", 0.5, f"one/{strategy}/3") for strategy in "abc"]
    # 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1.
    runs += [result("knn", share, f"one/{strategy}/3") for share, strategy in zip((0.1, 0.2, 0.3), "abc", strict=True)]
    runs += [
        result("ridge", share, f"one/{strategy}/3") for share, strategy in zip((0.3, 0.2, 0.1), "abc", strict=True)
    ]
    inventory, maker = boards_of(stored(tmp_path, runs))
    board = maker.boards[Choice(None, None, None, "strict", None)]
    places = {inventory.routers[one].label: int(place) for one, place in zip(board.rows, board.position, strict=True)}
    assert places == {"best_single": 1, "knn": 2, "ridge": 2}


def test_who_failed_somewhere_has_no_place_and_no_difference(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result(router, 0.6, where) for router in ("knn", "kmeans", "mlp") for where in ("one/a/3", "one/b/3")]
    runs += [result("ridge", 0.9, "one/a/3"), result("ridge", where="one/b/3", error="RouterError: no")]
    inventory, maker = boards_of(stored(tmp_path, runs))
    board = maker.boards[Choice(None, None, None, "strict", None)]
    at = row(inventory, board, "ridge")
    assert (board.have[at], board.scenes, board.position[at]) == (1, 2, 0)
    assert math.isnan(board.values[at, BEHIND, 0])
    assert inventory.routers[board.leader].label != "ridge"
    assert [run.spec.router for run in inventory.failed] == ["ridge"]


def test_a_failed_seed_takes_the_scenario_away(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", 0.6, seed=0), result("knn", seed=1, error="RouterError: no"), result("ridge", 0.5)]
    inventory, maker = boards_of(stored(tmp_path, runs))
    (board,) = maker.boards.values()
    assert [inventory.routers[one].label for one in board.rows] == ["ridge"]


def test_a_scenario_that_few_have_is_not_asked_of_all(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result(router, 0.6) for router in ("knn", "kmeans", "mlp")] + [result("knn", 0.9, "rare/all/3")]
    inventory, maker = boards_of(stored(tmp_path, runs))
    board = maker.boards[Choice(None, None, None, "strict", None)]
    assert board.scenes == 1
    assert (board.position > 0).all()
    assert value(inventory, board, "knn", MU) == pytest.approx(0.6)


def test_only_the_newest_data_and_source_are_shown(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("my:Own", 0.2, code="a" * 64, data_hash="old"), result("my:Own", 0.4, code="b" * 64)]
    path = stored(tmp_path, runs)
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET ended = '2020-01-01' WHERE data_hash = 'old'")
    connection.close()
    inventory, maker = boards_of(path)
    (board,) = maker.boards.values()
    assert value(inventory, board, "my:Own", MU) == pytest.approx(0.4)
    assert len(inventory.left_out) == 1


def test_points_of_learning_curves_are_left_out(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", 0.6), result("knn", 0.1, train_size=20), result("knn", where="one/b/3", train_size=9)]
    inventory, maker = boards_of(stored(tmp_path, runs))
    (board,) = maker.boards.values()
    assert value(inventory, board, "knn", MU) == pytest.approx(0.6)
    assert "2 runs on a part of the training prompts" in inventory.left_out[0]


def test_a_damaged_row_leaves_no_number_behind(tmp_path: Path, result: Result, stored: Stored) -> None:
    path = stored(tmp_path, [result("knn", 0.6), result("ridge", 0.5), result("ridge", 0.5, seed=1)])
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET per_prompt = x'00' WHERE router = 'ridge' AND seed = 1")
    connection.close()
    inventory, maker = boards_of(path)
    (board,) = maker.boards.values()
    assert math.isnan(value(inventory, board, "ridge", MU))
    assert ["damaged" in (run.error or "") for run in inventory.failed] == [True]


def test_protocols_are_never_mixed(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", 0.6), result("knn", 0.8, protocol="paper")]
    inventory, maker = boards_of(stored(tmp_path, runs))
    found: dict[str, Any] = {choice.protocol: board.values[0, MU, 0] for choice, board in maker.boards.items()}
    assert found == {"strict": pytest.approx(0.6), "paper": pytest.approx(0.8)}
    assert inventory.protocols == ["strict", "paper"]
    assert all(np.isfinite(board.values[:, MU]).all() for board in maker.boards.values())


def test_encoders_are_never_mixed(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", 0.6), result("knn", 0.8, encoder="tfidf"), result("ridge", 0.7, encoder="tfidf")]
    inventory, maker = boards_of(stored(tmp_path, runs))
    found: dict[Any, Any] = {
        choice.encoder: [value(inventory, board, label, MU) for label in labels]
        for (choice, board), labels in zip(maker.boards.items(), (["knn"], ["knn", "ridge"]), strict=True)
    }
    # There is no choice of all encoders, and that of most runs comes first.
    assert found == {"shipped": [pytest.approx(0.6)], "tfidf": [pytest.approx(0.8), pytest.approx(0.7)]}
    assert inventory.encoders == ["tfidf", "shipped"]
    assert inventory.settings() == [Setting("strict", "tfidf"), Setting("strict", "shipped")]
    assert maker.board(inventory.settings()[0]) is maker.boards[Choice(None, None, None, "strict", "tfidf")]


def test_of_encoders_with_as_many_runs_the_first_of_the_alphabet_is_first(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    runs = [result("knn", 0.6, encoder=encoder) for encoder in ("wordllama", "hashing", "tfidf")]
    inventory, _ = boards_of(stored(tmp_path, runs))
    assert inventory.encoders == ["hashing", "tfidf", "wordllama"]


def test_benchmarks_with_an_encoder_each_have_a_mean_as_rank_takes_it(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    path = stored(tmp_path, [result("knn", 0.6), result("knn", 0.8, "two/all/3", encoder="tfidf")])
    inventory, maker = boards_of(path)
    assert inventory.settings() == [Setting("strict", None)]
    board = maker.boards[Choice(None, None, None, "strict", None)]
    with ResultStore(path, create=False) as store:
        (standing,) = standings_of(store.runs()).complete
    assert value(inventory, board, "knn", MU) == pytest.approx(standing.mu.value) == pytest.approx(0.7)


def test_predictions_and_references_stand_beside_every_encoder(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", mean, encoder=encoder) for encoder, mean in (("e5", 0.6), ("tfidf", 0.8))]
    runs += [
        result("file:mine", 0.7),
        result("oracle", 0.9, encoder="e5"),
        result("knn", 0.5, "one/few/3", encoder="e5"),
    ]
    path = stored(tmp_path, runs)
    inventory, maker = boards_of(path)
    assert inventory.encoders == ["e5", "tfidf"]
    for encoder, places in (("e5", {"knn": 2, "mine": 1, "oracle": 0}), ("tfidf", {"knn": 1, "mine": 2, "oracle": 0})):
        board = maker.boards[Choice(None, None, "all", "strict", encoder)]
        labels = [inventory.routers[one].label for one in board.rows]
        assert dict(zip(labels, board.position.tolist(), strict=True)) == places
        assert {one.encoder for one in board.origins} == {encoder}
    # They are stored as they were, and counted once.
    build_site(path, tmp_path / "out")
    with (tmp_path / "out/data/runs.csv").open(encoding="utf-8", newline="") as file:
        assert sorted((row["router"], row["encoder"]) for row in csv.DictReader(file)) == sorted(
            (run.spec.router, run.spec.encoder) for run in runs
        )
    (page,) = (tmp_path / "out/routers").glob("mine-*.html")
    assert "All of it in one command" in page.read_text("utf-8")


def test_predictions_alone_are_one_table_whatever_they_were_scored_with(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    runs = [result("file:mine", 0.7), result("file:other", 0.6, encoder="e5"), result("file:mine", 0.7, encoder="e5")]
    inventory, maker = boards_of(stored(tmp_path, runs))
    (board,) = maker.boards.values()
    assert [inventory.routers[one].label for one in board.rows] == ["mine", "other"]
    assert inventory.encoders == ["e5"]


def test_every_row_of_the_leaderboards_file_says_its_encoder(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", 0.6), result("knn", 0.8, encoder="tfidf"), result("knn", 0.7, "two/all/3", encoder="tfidf")]
    for i, some in enumerate((runs, runs[:1])):
        (tmp_path / str(i)).mkdir()
        build_site(stored(tmp_path / str(i), some), tmp_path / str(i) / "out")
    both, alone = (
        list(csv.DictReader((tmp_path / str(i) / "out/data/leaderboard.csv").read_text("utf-8").splitlines()))
        for i in range(2)
    )
    assert {(row["benchmark"], row["encoder"], row["encoders"], row["mu"]) for row in both} == {
        *(("all", "shipped", "shipped", "0.6"), ("all", "tfidf", "tfidf", "0.75")),
        *(("one", "shipped", "shipped", "0.6"), ("one", "tfidf", "tfidf", "0.8"), ("two", "tfidf", "tfidf", "0.7")),
    }
    assert [row["encoder"] for row in alone] == ["shipped"]


def test_the_best_routers_of_a_benchmark_are_those_of_one_encoder(
    tmp_path: Path, result: Result, stored: Stored
) -> None:
    runs = [result(router, mean, encoder="shipped") for router, mean in (("knn", 0.6), ("ridge", 0.7))]
    runs += [result(router, mean, encoder="tfidf") for router, mean in (("knn", 0.8), ("ridge", 0.5))]
    inventory, maker = boards_of(stored(tmp_path, runs))
    rows = benchmark_rows(inventory, maker)
    assert [(row["setting"], row["best"], row["mu"].value) for row in rows] == [
        (["shipped"], "ridge", "0.700"),
        (["tfidf"], "knn", "0.800"),
    ]
