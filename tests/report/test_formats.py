"""Tables written out: they fit, they lose nothing, they say where they come from, and no name in them acts."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.report.formats.escaping import csv_name, latex_text
from routereval.report.formats.layout import Column, columns_of, fold, parts_of
from routereval.report.paper_tables import (
    FAILED,
    INCOMPLETE,
    REFERENCE,
    ROUTER,
    WHOLE,
    Across,
    Cell,
    Number,
    PaperTable,
    Row,
    TableKey,
)
from routereval.report.printable import printable
from routereval.report.standings import Standings, standings_of
from routereval.report.standings_table import markdown_document
from routereval.report.tabling import FORMATS, Tables
from routereval.results import StoredRun

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    r"$x_1$ & \input{/etc/passwd} %",
    '=cmd|"/C calc"!A0',
    "two\nlines\tand \x1b[31mred\x1b[0m",
    "\u202egnirts",
    "[here](https://example.com) `code` **b** www.example.com",
    "---?`~^#{}\"'",
    "[2pt] starts a row",
    "* so does this",
    "名前 é ß \u0142 \U0001f600",
    "\ud800 half",
    " spaces ",
]


def table(
    labels: Sequence[str], *, benchmarks: int = 2, metrics: Sequence[str] = ("mu", "E_p"), published: bool = False
) -> PaperTable:
    """A reference and these routers at two pool sizes; the value of row i, benchmark j and metric k is i.jk."""
    across = tuple(
        Across(f"b{j}", f"Benchmark {j}", f"b{j}", f"Benchmark {j}", f"{j:064x}", 100) for j in range(benchmarks)
    )
    rows = []
    for m in (3, 10):
        for i, label in enumerate(["oracle", *labels]):
            cells = {
                one.key: Cell(
                    WHOLE,
                    {
                        name: Number(
                            i + j / 10 + k / 100,
                            i + 0.1,
                            i + 0.9,
                            best=i == 1 and name == "mu",
                            published=i + 0.5 if published else None,
                        )
                        for k, name in enumerate(metrics)
                    },
                    ("all_strong", "all_weak"),
                    (0, 1),
                    100,
                    ("0.1.0",),
                    2,
                )
                for j, one in enumerate(across)
            }
            rows.append(Row(m, label, label, REFERENCE if i == 0 else ROUTER, "", "", cells))
    return PaperTable(
        *(
            TableKey("", "paper", "shipped"),
            "benchmark",
            "By benchmark",
            tuple(metrics),
            published,
            across,
            tuple(rows),
        ),
        *((0, 1), {"routereval": ("0.1.0",)}, ("a note",)),
    )


def with_cell(made: PaperTable, row: int, key: str, cell: Cell) -> PaperTable:
    rows = list(made.rows)
    rows[row] = replace(rows[row], cells={**rows[row].cells, key: cell})
    return replace(made, rows=tuple(rows))


def csv_rows(made: PaperTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Tables((made,)).csv())))


# What is written


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_says_protocol_encoder_seeds_data_and_version(format_: str) -> None:
    text = Tables((table(["knn"]),)).written(format_, width=200)
    if format_ in ("csv", "json"):
        rows = (
            csv_rows(table(["knn"])) if format_ == "csv" else [one | {"protocol": "paper"} for one in json.loads(text)]
        )
        assert {"protocol", "encoder", "seeds", "data_hash"} <= set(rows[0])
        assert "0.1.0" in text
        assert f"{1:064x}" in text
        return
    plain = text.replace("\\_", "_")
    said = "protocol paper; encoder shipped; seeds 0, 1; data b0 000000000000, b1 000000000000; routereval 0.1.0"
    assert said in plain
    assert "a note" in plain


@pytest.mark.parametrize("width", [80, 100, 120, 160])
@pytest.mark.parametrize("intervals", [True, False])
@pytest.mark.parametrize("published", [True, False])
def test_a_table_fits_the_terminal_and_no_number_is_lost(width: int, intervals: bool, published: bool) -> None:
    made = table(["knn", "mlp:" + "x=1," * 30], benchmarks=12, metrics=("mu", "V_R", "V_B", "E_p"), published=published)
    text = Tables((made,)).text(width, intervals=intervals)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    shown = re.findall(r"(?<![\[\d.+-])\b\d\.\d{3}\b", text)
    expected = [
        f"{number.value:.3f}" for row in made.rows for cell in row.cells.values() for number in cell.numbers.values()
    ]
    assert sorted(shown) == sorted(expected)
    assert len(re.findall(r"\[\d\.\d\d, \d\.\d\d\]", text)) == (len(expected) if intervals else 0)
    assert len(re.findall(r"[+-]0\.\d\d\b", text)) == (len(expected) if published else 0)
    # The long label stands whole in every part, on several lines.
    parts = text.count("Benchmark 0")
    assert parts >= 1
    assert text.count("x=1") >= 60


def test_a_benchmark_is_not_torn_apart_where_a_table_can_hold_it_and_parts_are_alike() -> None:
    columns = [Column(Across(f"b{j}", "", "", ""), name) for j in range(4) for name in ("mu", "V_B", "E_p")]
    assert parts_of(columns, [10.0] * 12, 95, 5) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    # Three of four would fit, but two and two are more alike.
    assert parts_of(columns, [10.0] * 12, 115, 5) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert parts_of(columns[:3], [10.0] * 3, 25, 5) == [[0, 1], [2]]
    assert parts_of(columns[:2], [10.0] * 2, 1, 5) == [[0], [1]]


def test_a_column_without_any_number_is_left_out() -> None:
    made = table(["knn"], benchmarks=1, metrics=("mu", "V_R"))
    for row in range(4):
        made = with_cell(made, row, "b0", Cell(WHOLE, {"mu": Number(0.5), "V_R": Number()}))
    assert [one.metric for one in columns_of(made)] == ["mu"]
    assert "does not exist" not in Tables((made,)).text()


def test_failed_incomplete_missing_and_absent_look_different() -> None:
    made = table(["knn", "mlp", "ridge"], metrics=("mu", "V_R"))
    made = with_cell(made, 1, "b0", Cell(FAILED, errors=("s: no",)))
    made = with_cell(made, 2, "b0", Cell(INCOMPLETE, {"mu": Number(0.25), "V_R": Number()}))
    made = replace(made, rows=(*made.rows[:3], replace(made.rows[3], cells={}), *made.rows[4:]))
    text = Tables((made,)).text(120, intervals=False)
    first = [line.split() for line in text.splitlines() if line.startswith(("knn", "mlp", "ridge"))][:3]
    assert first == [
        ["knn", "failed", "failed", "1.100*", "1.110"],
        ["mlp", "0.250†", "-", "2.100", "2.110"],
        ["ridge"],
    ]
    for word in ("†: incomplete", "-: does not exist", "empty: not run", "*: best router"):
        assert word in " ".join(text.split())
    assert "| knn | failed | failed | **1.100** | 1.110 |" in Tables((made,)).markdown(intervals=False)
    assert r"mlp & 0.250$^\dagger$ & - & 2.100 & 2.110 \\" in Tables((made,)).latex(intervals=False)
    rows = {(one["m"], one["router"], one["benchmark"], one["metric"]): one for one in csv_rows(made)}
    assert (rows["3", "knn", "b0", "mu"]["status"], rows["3", "knn", "b0", "mu"]["value"]) == ("failed", "")
    assert (rows["3", "mlp", "b0", "mu"]["status"], rows["3", "mlp", "b0", "V_R"]["value"]) == ("incomplete", "")
    assert ("3", "ridge", "b0", "mu") not in rows


def test_blocks_and_references_are_set_apart() -> None:
    text = Tables((table(["knn"], benchmarks=1),)).text(100, intervals=False)
    shape = [
        "rule" if line[0] == "─" else "thin rule" if line[0] == "╌" else line.split()[0]
        for line in text.splitlines()
        if line and line[0] in "─╌mok"
    ]
    block = ["rule", "m", "oracle", "thin rule", "knn"]
    assert shape == [*block, *block, "rule"]


def test_csv_is_one_line_per_number_without_comments_and_numbers_stay_numbers() -> None:
    made = table(["knn"], published=True)
    text = Tables((made,)).csv()
    assert text.splitlines()[0].startswith("benchmark,strategy,subset,m,router,aside,kind,metric,value,low,high,best,")
    frame = pl.read_csv(io.StringIO(text))
    assert frame.height == 4 * 2 * 2
    row = frame.filter(router="oracle", m=3, benchmark="b0", metric="mu").to_dicts()[0]
    assert (row["value"], row["published"], row["difference"]) == (0.0, 0.5, -0.5)
    assert (row["seeds"], row["strategies"], row["protocol"], row["encoder"]) == (
        "0;1",
        "all_strong;all_weak",
        "paper",
        "shipped",
    )
    assert frame["difference"].dtype == pl.Float64
    assert frame["best"].dtype == pl.Boolean


def test_the_frame_is_what_csv_and_json_have() -> None:
    made = table(["knn"], published=True)
    frame = Tables((made,)).frame()
    assert frame.height == 16
    assert frame.schema["subset"] == pl.String
    assert frame.schema["low"] == pl.Float64
    (one,) = json.loads(Tables((made,)).json())
    assert frame.drop("protocol", "encoder").to_dicts() == one["numbers"]
    assert [row["router"] for row in csv_rows(made)] == frame["router"].to_list()


def test_json_has_null_and_never_nan() -> None:
    made = with_cell(table(["knn"]), 1, "b0", Cell(WHOLE, {"mu": Number(math.nan)}))
    text = Tables((made,)).json()
    assert "NaN" not in text
    assert any(one["value"] is None for one in json.loads(text)[0]["numbers"])


def test_a_difference_of_nothing_has_no_minus() -> None:
    made = with_cell(table(["knn"], published=True), 1, "b0", Cell(WHOLE, {"mu": Number(0.498, published=0.5)}))
    assert "+0.00" in Tables((made,)).text(160)
    assert "-0.00" not in Tables((made,)).text(160)


def test_lines_are_broken_behind_marks_and_wide_characters_count_as_wide() -> None:
    assert fold("mlp:hidden=256,epochs=10", 16) == ["mlp:hidden=256,", "epochs=10"]
    assert fold("abcdefgh", 3) == ["abc", "def", "gh"]
    assert fold("名前名前", 4, cell_len) == ["名前", "名前"]
    assert fold("名前", 1, cell_len) == ["名", "前"]
    assert fold("", 5) == [""]


# Names of others


def hostile() -> PaperTable:
    made = table(HOSTILE, benchmarks=3)
    across = tuple(replace(one, title=name) for one, name in zip(made.across, HOSTILE[:3], strict=True))
    key = TableKey("", "paper", HOSTILE[0])
    return replace(made, across=across, key=key, title=HOSTILE[2], notes=tuple(HOSTILE))


def test_hostile_names_act_on_no_terminal() -> None:
    text = Tables((hostile(),)).text(120)
    assert text == printable(text, keep="\n")
    assert r"\x1b[31mred" in text
    assert max(map(cell_len, text.splitlines())) <= 120


def test_hostile_names_are_text_in_markdown() -> None:
    text = Tables((hostile(),)).markdown()
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    assert set(re.findall(r"</?([a-z0-9]+)", rendered)) <= {
        *("p", "strong", "em", "table", "thead", "tbody", "tr", "th", "td", "ul", "li")
    }
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    cells: list[list[str]] = []
    for i, token in enumerate(tokens):
        if token.type == "tr_open":
            cells.append([])
        if token.type in ("td_open", "th_open"):
            cells[-1].append(
                "".join(one.content for one in tokens[i + 1].children or [] if one.type.startswith("text"))
            )
    assert len({len(row) for row in cells}) == 1
    labels = [row[0] for row in cells]
    for name in HOSTILE:
        assert labels.count(printable(name)) == 2, name
    assert cells[0][1:7:2] == [f"{name} mu" for name in HOSTILE[:3]]


def standings(name: str) -> Standings:
    """A router of this name that beats the best single model on a benchmark of this name, and one that failed."""
    n, scenario = 50, f"{name.replace('/', '|')}/all/3"
    columns = {one: np.full(n, 0.5) for one in ("best_single", "best_single_train", "baseline")}
    columns |= {"oracle": np.ones(n)}
    made = []
    for router, score in ((name, 1.0), ("knn", 0.5), ("mlp", None)):
        given = columns | {"chosen": np.full(n, score or 0.0)}
        outcome = Outcome(tuple(map(str, range(n))), ("a", "b"), np.ones(n, dtype=bool), given, np.full(2, 0.5))
        spec = rv.RunSpec(scenario, router, {}, name, "strict", 0, "0" * 64)
        error = name if score is None else None
        made.append(StoredRun.of(rv.RunResult(spec, None if error else outcome, 1.0, error=error)))
    return standings_of(made)


@pytest.mark.parametrize("name", [*HOSTILE, "![x](http://example.com/x.png)", "# head", "1. one", "+ plus", "--- -"])
def test_hostile_names_are_text_in_standings_in_markdown(name: str) -> None:
    text = markdown_document(standings(name))
    parser = MarkdownIt("commonmark").enable("table")
    rendered = parser.render(text)
    # Two tables, a paragraph, a list: no heading, no link, no picture, no code, and no list within the list.
    assert set(re.findall(r"</?([a-z0-9]+)", rendered)) == {
        *("p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li")
    }
    assert (rendered.count("<tr>"), rendered.count("<ul>")) == (2 * 3, 1)
    shown = "\n".join(
        "".join(one.content for one in token.children or [] if one.type.startswith("text"))
        for token in parser.parse(text)
    )
    # As a row of both tables, as the best, over the baselines, as the encoder, and as what went wrong.
    assert shown.count(printable(name)) >= 6
    assert f"{printable(name.replace('/', '|'))}: 1 of 2 routers beat the best single model" in shown


def test_hostile_names_are_no_formulas_in_csv_and_the_same_in_json() -> None:
    made = hostile()
    text = Tables((made,)).csv()
    assert len(text.splitlines()) == 1 + len(csv_rows(made))
    for row in csv.reader(io.StringIO(text)):
        assert all(cell[:1] not in ("=", "+", "@", "\t", "\r") for cell in row)
        assert all(cell[:1] != "-" or float(cell) for cell in row)
    names = {csv_name(row["router"]) for row in csv_rows(made)}
    assert names == {"oracle", *map(printable, HOSTILE)}
    (one,) = json.loads(Tables((made,)).json())
    assert {row["router"] for row in one["numbers"]} == {"oracle", *HOSTILE}
    assert one["encoder"] == HOSTILE[0]
    assert Tables((made,)).json().isascii()
    assert set(HOSTILE) - set(Tables((made,)).frame()["router"]) == {"\ud800 half"}  # no UTF-8 holds it


def test_hostile_names_are_text_in_latex() -> None:
    text = Tables((hostile(),)).latex()
    assert text.isascii()
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"\input" not in text
    # A row that begins with a bracket or a star would give it to the \\ before it.
    assert not re.search(r"^\s*[\[*]", text, re.MULTILINE)
    assert "U+540D" in text
    assert r"\'{e} \ss{} \l{}" in text


# LaTeX


def environments(text: str) -> list[str]:
    return re.findall(r"\\begin\{table\*\}.*?\\end\{table\*\}", text, re.DOTALL)


def cells_of(line: str) -> int:
    """How many columns a row of a tabular fills."""
    count = len(re.findall(r"(?<!\\)&", line)) + 1
    return count + sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))


def test_latex_has_booktabs_rules_and_as_many_cells_as_columns_everywhere() -> None:
    made = table([f"router_{i}" for i in range(60)], benchmarks=6, metrics=("mu", "V_R", "V_B", "E_p"), published=True)
    text = Tables((made,)).latex()
    found = environments(text)
    assert len(found) > 4
    for one in found:
        assert one.count(r"\toprule") == one.count(r"\bottomrule") == one.count(r"\caption") == 1
        assert r"\hline" not in one
        columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", one)[1])
        rows = [line for line in one.splitlines() if re.search(r"\\\\(\[-?\dpt\])?$", line)]
        assert {cells_of(line) for line in rows} == {columns}
        assert len(rows) < 65
        assert "protocol paper; encoder shipped" in one
    values = re.findall(r"(?<![\[\d.])\b\d+\.\d{3}\b", text)
    assert len(values) == 61 * 2 * 24
    assert text.count(r"\textbf{") == 2 * 6
    # What else is to be known stands below the last part.
    assert text.count("a note") == 1
    assert "a note" in found[-1]


def test_a_long_name_goes_on_on_the_next_line_in_latex() -> None:
    name = "mlp:" + ",".join(f"option_{i}={i}" for i in range(9))
    text = Tables((table([name], benchmarks=1),)).latex(intervals=False).replace("\\_", "_")
    first = [line.split(" & ")[0] for line in text.splitlines() if re.match(r"[a-z0-9].* & ", line)]
    assert len(first) > 2 * 3
    assert max(map(len, first)) <= 34
    assert "".join(first) == name * 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed (texlive-latex-recommended)")
@pytest.mark.parametrize(("intervals", "encoding"), [(True, ""), (False, r"\usepackage[T1]{fontenc}")])
def test_latex_compiles(tmp_path: Path, intervals: bool, encoding: str) -> None:
    wide = table([f"router_{i}" for i in range(30)], benchmarks=4, metrics=("mu", "V_B"), published=True)
    made = Tables((hostile(), wide))
    every = "".join(chr(i) for i in range(1, 0x250)) + "\u0152\u0153\u2013\u2014\u1e00\u4e2d"
    (tmp_path / "tables.tex").write_text(made.latex(intervals=intervals), encoding="utf-8")
    (tmp_path / "main.tex").write_text(
        rf"\documentclass{{article}}{encoding}\usepackage{{booktabs,graphicx}}\begin{{document}}"
        rf"{{\hfuzz=\maxdimen {latex_text(every)}\par}}\input{{tables.tex}}\end{{document}}",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "main.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=300,
    )
    log = (tmp_path / "main.log").read_text(encoding="latin-1")
    assert done.returncode == 0, log[-2000:]
    assert "Missing character" not in log
    # No table and no note is wider than the page, nor a table longer.
    assert "Overfull" not in log
    assert "Float too large" not in log
