"""Names and prompts of strangers do nothing on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

import routereval as rv
from routereval.cli import app
from routereval.report import terminal
from routereval.report.printable import printable
from routereval.report.standings_table import markdown
from routereval.report.tables import details_table, listing_table
from routereval.routers.saving import save_router

RED, TURNED = "\x1b[31mred", "\u202egnp.exe"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (RED, r"\x1b[31mred"),
        (TURNED, r"\u202egnp.exe"),
        ("two\nlines\r\tand\x07", r"two\nlines\r\tand\x07"),
        ("\x9b31m \u2028 \u2066 \ufeff \udc80", r"\x9b31m \u2028 \u2066 \ufeff \udc80"),
        (
            "na\u00efve \u4f60\u597d \u0645\u06cc\u200c\u062e\u0648",
            "na\u00efve \u4f60\u597d \u0645\u06cc\u200c\u062e\u0648",
        ),
        (r"C:\x", r"C:\x"),
    ],
)
def test_what_acts_on_a_terminal_is_written_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_may_be_kept() -> None:
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def drawn(table: object) -> str:
    screen = terminal.console()
    screen.file = io.StringIO()
    screen.print(table)
    return screen.file.getvalue()


def test_no_table_lets_an_escape_through() -> None:
    by_hand = Table(title=RED)
    by_hand.add_column(RED)
    by_hand.add_row(Text(TURNED))
    tables = (by_hand, listing_table([{"model": RED, "of": [TURNED]}]), details_table({"a": RED, "b": [TURNED]}))
    for table in tables:
        text = drawn(table)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert r"\x1b[31m" in text


def test_a_name_with_a_line_break_is_one_row_and_a_prompt_keeps_its_lines() -> None:
    rows = [{"router": "good\nbad", "rank": "1.0"}, {"router": "x", "rank": "2.0"}]
    lines = [line.split() for line in drawn(listing_table(rows, words=False)).splitlines() if line.strip()]
    assert lines[2:] == [[r"good\nbad", "1.0"], ["x", "2.0"]]
    said = drawn(listing_table([{"prompt": "q0", "text": "two\nlines"}]))
    assert [line.split() for line in said.splitlines()][3:5] == [["q0", "two"], ["lines"]]


def test_rank_says_each_router_on_one_line(tmp_path: Path) -> None:
    from routereval.results import ResultStore

    scenario = rv.load_scenario("demo_math/all_strong/3")
    with ResultStore(tmp_path / "r.sqlite") as store:
        for router, name in ((rv.KNN(), "knn"), (rv.BestSingle(), "file:mine\nprotocol paper; encoder none")):
            made = rv.evaluate(router, scenario)
            store.put(replace(made, spec=replace(made.spec, router=name)))
    printed = CliRunner().invoke(app, ["rank", str(tmp_path / "r.sqlite")]).stdout
    assert printed.count(r"mine\nprotocol paper; encoder none") >= 2
    assert not any(line.startswith("protocol paper") for line in printed.splitlines())


def test_nor_does_markdown() -> None:
    assert r"\\x1b\[31mred" in markdown([{"router": RED}])


def test_route_prints_names_and_prompts_on_one_line_each(tmp_path: Path) -> None:
    problem = rv.load_scenario("demo_math/all_strong/3")
    router = rv.BestSingle().fit(problem.train)
    names = (RED, "b\tc\nd", TURNED)
    save_router(router, tmp_path / "saved", model_ids=names, about={"needs_embeddings": False})
    asked = CliRunner().invoke(app, ["route", "--router", str(tmp_path / "saved"), f"hi {RED} {TURNED}\nthere"])
    (line,) = asked.stdout.splitlines()
    assert line.count("\t") == 2
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert line.endswith(r"hi \x1b[31mred \u202egnp.exe there")
    assert r"b\tc\nd" in line
