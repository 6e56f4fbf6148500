"""Figures as files: which are written, that they are the same each time, and names that would act."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.errors import ParameterError, UnknownNameError
from routereval.report.figures import FIGURES
from routereval.report.figures.style import distinct, short
from routereval.report.figures.writing import LeftOut, Picture, draw_all, write_csv
from routereval.results.curves import CurvePoint, CurveSpec

Make = Callable[..., Any]
GOOD, BAD = [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]
SCORES = [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
HOSTILE = (
    "<script>alert(1)</script>",
    "a $\\frac{1}{$ b",
    "$x$",
    "_hidden",
    "line\nbreak\x1b[31m",
    "\u202eright to left",
    "\U0001f600 " + "long " * 60,
    "=1+1",
)


def everything(run: Make, record: Make, stored: Make, names: tuple[str, ...] = ("knn", "ridge")) -> Any:
    """A file that has enough for every figure; routers, models and benchmark have these names."""
    benchmark = names[0].replace("/", "|")
    scenario = f"{benchmark}/all_strong/2"
    runs = []
    for i, name in enumerate(names):
        given = {"predicted": [0.8, 0.7, 0.9, 0.1], "share": (0.25, 0.75), "benchmark": benchmark}
        runs += [run(name, GOOD if i % 2 else BAD, m=m, **given) for m in (2, 3)]
        runs += [run(name, BAD, train_size=size, **given) for size in (10, 100)]
    store = stored(runs, [record(SCORES, scenario=scenario, models=(names[0], names[1]))])
    for policy, setting in (("oracle", "none"), ("random", "none"), (names[0], "strict")):
        encoder = "none" if setting == "none" else "shipped"
        spec = CurveSpec(benchmark, policy, {}, encoder, setting, "test", 2, 0, "d" * 16)
        store.put_points([CurvePoint(spec, m, np.array([0.4, 0.6])) for m in (2, 5, 10)])
    return store


def test_every_figure_is_drawn_in_every_format(run: Make, record: Make, stored: Make, tmp_path: Path) -> None:
    made = draw_all(everything(run, record, stored), tmp_path / "out", ("png", "svg", "pdf"), data_too=True)
    pictures = [one for one in made if isinstance(one, Picture)]
    assert {one.name for one in pictures} == set(FIGURES)
    for one in pictures:
        assert set(one.paths) == {"png", "svg", "pdf", "csv"}
        assert all(path.stat().st_size > 0 for path in one.paths.values())
        assert one.alt.endswith(".")
        assert "Strict protocol; encoder shipped" in one.note
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert all(pictures[0].paths[kind].read_bytes().startswith(start) for kind, start in starts.items())


def test_the_same_results_make_the_same_files(run: Make, record: Make, stored: Make, tmp_path: Path) -> None:
    store = everything(run, record, stored)
    first, second = (draw_all(store, tmp_path / name, ("svg", "pdf")) for name in "ab")
    for one, other in zip(first, second, strict=True):
        if isinstance(one, Picture) and isinstance(other, Picture):
            for kind, path in one.paths.items():
                assert path.read_bytes() == other.paths[kind].read_bytes(), path.name


def test_names_that_would_act_are_drawn_as_text(run: Make, record: Make, stored: Make, tmp_path: Path) -> None:
    made = draw_all(everything(run, record, stored, HOSTILE), tmp_path, ("svg", "pdf"))
    pictures = [one for one in made if isinstance(one, Picture)]
    assert {one.name for one in pictures} == set(FIGURES)
    for one in pictures:
        text = one.paths["svg"].read_text(encoding="utf-8")
        assert "<script" not in text
        # Well-formed, so no name has closed what it stands in.
        ET.fromstring(text)
        assert "\x1b" not in one.note + one.alt
        assert "\u202e" not in one.note + one.alt


def test_a_dollar_sign_is_a_dollar_sign(run: Make, stored: Make, tmp_path: Path) -> None:
    (one,) = draw_all(stored([run("$x$ and $y$", GOOD)]), tmp_path, ("svg",), names=["strategies"])
    assert isinstance(one, Picture)
    assert "$x$ and $y$" in one.paths["svg"].read_text(encoding="utf-8")


def test_a_formula_in_a_name_is_text_in_a_spreadsheet(run: Make, stored: Make, tmp_path: Path) -> None:
    (one,) = draw_all(stored([run("=1+1", GOOD)]), tmp_path, ("svg",), names=["strategies"], data_too=True)
    assert isinstance(one, Picture)
    assert ",'=1+1," in one.paths["csv"].read_text(encoding="utf-8")
    assert one.frame["router"].to_list() == ["=1+1"]


def test_runs_of_two_protocols_make_two_files(run: Make, stored: Make, tmp_path: Path) -> None:
    store = stored([run("knn", GOOD), run("knn", BAD, protocol="paper")])
    made = draw_all(store, tmp_path, ("svg",), names=["strategies"])
    assert [one.stem for one in made if isinstance(one, Picture)] == [
        "strategies-m2-paper-shipped",
        "strategies-m2-strict-shipped",
    ]
    assert [one.frame["mu"].to_list() for one in made if isinstance(one, Picture)] == [[0.25], [0.75]]


def test_every_csv_says_where_its_numbers_come_from(run: Make, record: Make, stored: Make, tmp_path: Path) -> None:
    made = draw_all(everything(run, record, stored), tmp_path, ("svg",), data_too=True)
    files = {one.name: rows_of(one) for one in made if isinstance(one, Picture)}
    assert set(files) == set(FIGURES)
    for name, rows in files.items():
        # Which models solve what depends on no seed.
        seeds = "" if name == "coverage" else "0"
        expected = {"protocol": "strict", "encoder": "shipped", "seeds": seeds, "versions": rv.__version__}
        for row in rows:
            assert {column: row[column] for column in expected} == expected, name
            assert row.get("data_hash", row.get("data_hashes")) in ("d" * 16, f"knn {'d' * 16}"), name


def test_a_csv_has_the_protocol_encoder_and_seeds_of_its_own_figure(run: Make, stored: Make, tmp_path: Path) -> None:
    runs = [run("knn", GOOD, seed=seed) for seed in (5, 3)]
    runs.append(run("knn", BAD, protocol="paper", encoder="=tfidf", seed=7))
    made = draw_all(stored(runs), tmp_path, ("svg",), names=["strategies"], data_too=True)
    found = [rows_of(one) for one in made if isinstance(one, Picture)]
    assert [(row["protocol"], row["encoder"], row["seeds"]) for rows in found for row in rows] == [
        ("paper", "'=tfidf", "7"),
        ("strict", "shipped", "3 5"),
    ]


def rows_of(picture: Picture) -> list[dict[str, str]]:
    with picture.paths["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    return rows


def test_what_is_missing_is_said_once_with_the_reason(run: Make, stored: Make, tmp_path: Path) -> None:
    store = stored([run("knn", GOOD, m=m) for m in (2, 3)])
    made = draw_all(store, tmp_path, ("svg",), names=["coverage", "learning_curve"])
    assert [(one.name, "routereval run" in one.reason) for one in made if isinstance(one, LeftOut)] == [
        ("coverage", True),
        ("learning_curve", True),
    ]
    assert list(tmp_path.glob("*.svg")) == []


def test_a_file_without_runs_has_no_figures(stored: Make, tmp_path: Path) -> None:
    made = draw_all(stored([]), tmp_path / "out")
    assert {one.name for one in made if isinstance(one, LeftOut)} == set(FIGURES)


def test_unknown_formats_and_figures_are_refused(run: Make, stored: Make, tmp_path: Path) -> None:
    store = stored([run("knn", GOOD)])
    with pytest.raises(ParameterError, match="cannot draw 'gif'; formats are png, svg, pdf"):
        draw_all(store, tmp_path, ("gif",))
    with pytest.raises(UnknownNameError, match="did you mean 'scaling'"):
        draw_all(store, tmp_path, names=["scalign"])


def test_long_names_lose_their_middle() -> None:
    assert short("abcdefghij", 7) == "abc…hij"
    assert short("abcdefg", 7) == "abcdefg"
    assert short("a\nb") == "a\\nb"


def test_names_are_told_apart_by_what_they_do_not_share() -> None:
    assert distinct(["leaderboard__alpha", "leaderboard__beta"]) == ["alpha", "beta"]
    assert distinct(["alpha", "beta"]) == ["alpha", "beta"]
    assert distinct(["leaderboard__", "leaderboard__beta"]) == ["leaderboard__", "leaderboard__beta"]
    assert distinct([]) == []


def test_a_frame_without_text_is_written_as_it_is(tmp_path: Path) -> None:
    import polars as pl

    write_csv(pl.DataFrame({"m": [1, 2]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "m\n1\n2\n"
