"""Whatever a name is, what a reader of the format gets back is the name."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from routereval.report.formats.escaping import csv_name, csv_text, latex_text, markdown_line, markdown_text
from routereval.report.printable import printable

# Mostly characters that mean something somewhere.
names = st.text(
    st.one_of(st.sampled_from("|\\`*_{}[]()<>#+-.!&$%^~@=:/'\"\n\r\t \x1b\u202e\u00e9\u4e2dwaiI0"), st.characters())
)


@given(names)
@example("a|b")
@example("\\|")
@example(" www.x.y http://z `")
@example("&lt; &amp;#38;")
def test_a_markdown_table_gives_back_the_name(name: str) -> None:
    source = f"| a | b |\n| --- | --- |\n| {markdown_text(name)} | x |"
    tokens = MarkdownIt("commonmark").enable("table").parse(source)
    cells = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    children = cells[0].children or []
    assert {one.type for one in children} <= {"text", "text_special"}
    assert "".join(one.content for one in children) == printable(name)


@given(names)
@example("*a* _b_ [c](d) <e>")
def test_a_markdown_paragraph_gives_back_the_name(name: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"- {markdown_text('x' + name + 'x')}")
    (inline,) = [token for token in tokens if token.type == "inline"]
    assert "".join(one.content for one in inline.children or []) == printable(f"x{name}x")


@given(names)
@example("# head")
@example("12. item")
@example("3) item")
@example("+ item")
@example("- - -")
@example("=== x")
@example(": x")
@example("    code")
def test_a_markdown_item_that_begins_with_the_name_is_a_paragraph(name: str) -> None:
    assume(name)
    tokens = MarkdownIt("commonmark").parse(f"- {markdown_line(name)}")
    assert [one.type for one in tokens][:3] == ["bullet_list_open", "list_item_open", "paragraph_open"]
    (inline,) = [token for token in tokens if token.type == "inline"]
    assert "".join(one.content for one in inline.children or []) == printable(name)


@pytest.mark.parametrize("link", ["www.example.com", "https://example.com", "HTTP://x.y", "see www.a.b."])
def test_no_bare_address_becomes_a_link(link: str) -> None:
    # GitHub makes links of these where it finds them in the source.
    assert not re.search(r"(?i)www\.|://", markdown_text(link))


def test_labels_stay_readable_in_markdown() -> None:
    assert (
        markdown_text("knn:k=50,ties=train_mean (earlier code 1a2b)") == "knn:k=50,ties=train_mean (earlier code 1a2b)"
    )


@given(names)
@example("=cmd()")
@example("'=cmd()")
@example("\t=1")
@example("\\t")
@example(" +1")
@example("'")
def test_csv_gives_back_the_name_and_no_formula(name: str) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([csv_text(name), 1])
    assert text.getvalue().count("\n") == 1
    ((cell, _),) = csv.reader(io.StringIO(text.getvalue()))
    assert csv_name(cell) == printable(name)
    assert cell.lstrip(" ")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d")


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(name: str) -> None:
    assert csv_text(name).startswith("'")


COMMANDS = (
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "texttt"),
    *("textendash", "textemdash"),
    *("char34", "char39", "char96", "ss", "ae", "AE", "oe", "OE", "o", "O", "l", "L", "i", "j"),
)
ALLOWED = re.compile(
    r"\\(?:" + "|".join(COMMANDS) + r")(?![a-zA-Z0-9])(?:\{\})?"  # a letter or sign by name
    r"|\\[`'^~=.\"urHvc]\{(?:[A-Za-z]|\\i|\\j)\}"  # an accent on one letter
    r"|\\[{}$&#%_]"  # a sign with a backslash
    r"|\{[\[\]*]\}|\{\}"  # in braces
    r"|\{U\+[0-9A-F]{4,6}\}"  # of \texttt
    r"|[A-Za-z0-9 !()+,./:;=?@-]"
)


@given(names)
@example(r"\input{/etc/passwd}")
@example("$x_1$ & 50 % ^~#{}")
@example("--,,?`!`-\u2013-\u2014")
@example("\u0130\u0131i\u0307")
def test_no_special_character_of_latex_is_left(name: str) -> None:
    text = latex_text(name)
    rest = ALLOWED.sub("", text)
    assert rest == "", (text, rest)
    # Nothing that a font would join into another sign.
    assert not re.search(r"--|,,|[?!]`", text)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_latex_of_ascii_says_the_same(name: str) -> None:
    said = {
        r"\textbackslash{}": "\\",
        r"\textasciicircum{}": "^",
        r"\textasciitilde{}": "~",
        r"\textless{}": "<",
        r"\textgreater{}": ">",
        r"\textbar{}": "|",
        r"\char34{}": '"',
        r"\char39{}": "'",
        r"\char96{}": "`",
        **{f"{{{one}}}": one for one in "[]*"},
        **{f"\\{one}": one for one in "{}$&#%_"},
        "{}": "",
    }
    pattern = re.compile("|".join(map(re.escape, sorted(said, key=len, reverse=True))))
    assert pattern.sub(lambda found: said[found[0]], latex_text(name)) == name
