"""Every table of the pages and every CSV says where its numbers come from."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import routereval as rv
from routereval.report.provenance import Origin
from routereval.report.site.building import build_site
from routereval.report.site.extras import NOTHING
from routereval.report.site.stated import stated

Result = Callable[..., rv.RunResult]
Stored = Callable[[Path, Sequence[rv.RunResult]], Path]
VERSION = rv.__version__


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, result: Result, stored: Stored) -> Path:
    """Two benchmarks, the second with two seeds; one protocol, one encoder, a failure."""
    runs = [result(name, mean, "one/all/3") for name, mean in (("knn", 0.7), ("best_single", 0.5))]
    for seed in (0, 4):
        runs += [
            result(name, mean, "two/all/3", seed=seed, data_hash="e" * 64)
            for name, mean in (("knn", 0.6), ("best_single", 0.5))
        ]
    runs.append(result("ridge", where="two/all/3", error="RouterError: no", seed=4, data_hash="e" * 64))
    folder = tmp_path_factory.mktemp("stated")
    with pytest.MonkeyPatch.context() as patch:
        # Paired tests alone, no figures.
        patch.setattr("routereval.report.site.building.write_extras", lambda *arguments: NOTHING)
        build_site(stored(folder, runs), folder / "report", extras=True)
    return folder / "report"


def below_tables(page: Path) -> list[str]:
    return re.findall(r'<p class="note stated"[^>]*>(.*?)</p>', page.read_text("utf-8"), flags=re.S)


ONE = f"Protocol strict; encoder shipped; seed 0; data one dddddddd; routereval {VERSION}."
TWO = f"Protocol strict; encoder shipped; seeds 0, 4; data two eeeeeeee; routereval {VERSION}."


def test_below_every_table_stand_protocol_encoder_seeds_data_and_version(report: Path) -> None:
    both = f"{ONE}\n{TWO}"
    assert below_tables(report / "index.html") == [both, both]
    assert below_tables(report / "benchmarks.html") == [both]
    (failure,) = below_tables(report / "failures.html")
    assert failure == TWO.replace("seeds 0, 4", "seed 4")
    (page,) = (report / "benchmarks").glob("two-*.html")
    assert below_tables(page) == [TWO] * 3  # by pool size, against the best single model, against the leader
    (page,) = (report / "routers").glob("knn-*.html")
    assert below_tables(page) == [both]


def rows(report: Path, name: str) -> list[dict[str, str]]:
    with (report / "data" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_of_every_csv_says_the_same(report: Path) -> None:
    board = next(row for row in rows(report, "leaderboard.csv") if row["benchmark"] == "all")
    assert (board["protocol"], board["encoders"], board["seeds"], board["versions"]) == (
        *("strict", "shipped", "0 4", VERSION),
    )
    assert board["data_hashes"] == f"one {'d' * 64}; two {'e' * 64}"
    scenes = {(row["scenario"], row["router"]): row for row in rows(report, "scenarios.csv")}
    scene = scenes["two/all/3", "knn"]
    assert (scene["seeds"], scene["data_hash"], scene["versions"]) == ("0 4", "e" * 64, VERSION)
    assert scenes["one/all/3", "knn"]["seeds"] == "0"
    assert {row["version"] for row in rows(report, "runs.csv")} == {VERSION}


def test_the_sound_protocol_is_stated_first() -> None:
    origins = [Origin("one", protocol, "none", "d" * 64, 0, "1.0") for protocol in ("paper", "strict", "paper")]
    assert [line.partition(";")[0] for line in stated(origins).split("\n")] == ["Protocol strict", "Protocol paper"]


def test_below_the_leaderboard_stands_how_to_make_a_row_again(report: Path) -> None:
    text = (report / "index.html").read_text("utf-8")
    assert "To make a row again, open its router: its page has the commands" in text
    assert '<a href="data/runs.csv" download>' in text
