r"""Tables as LaTeX: ``table*`` environments for a document with ``\usepackage{booktabs,graphicx}``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from routereval.report.formats.escaping import latex_text
from routereval.report.formats.layout import (
    Column,
    columns_of,
    fold,
    heading,
    interval,
    is_best,
    is_incomplete,
    legend,
    number,
    parts_of,
    spans,
    title,
)
from routereval.report.paper_tables import REFERENCE, Across, PaperTable, Row
from routereval.report.table_notes import conditions, provenance

HEAD = r"% made by routereval; put \usepackage{booktabs,graphicx} into the preamble"
ROOM = 560.0
"""Points across: four benchmarks of four numbers, as in the paper. What is wider than the page is shrunk to fit."""
LINES = 44
"""How many lines a table may have: what is more goes on in the next."""
LABEL = 34
"""Characters of a router's name on a line."""
_DIGIT, _SMALL_DIGIT, _BETWEEN = 4.3, 3.1, 7.0
"""Points: a character, one of an interval, the gap between two columns."""
_SYMBOLS = {"mu": r"$\mu$", "V_R": "$V_R$", "V_B": "$V_B$", "V_B_train": r"$V_B$ train", "E_p": "$E_p$"}


@dataclass(frozen=True)
class Piece:
    """What one ``table*`` shows: columns, and rows by pool size, then kind."""

    columns: list[Column]
    blocks: list[tuple[int, list[list[Row]]]]


def latex(tables: Iterable[PaperTable], *, intervals: bool = True) -> str:
    """The tables, each with its notes below; a wide or a long one goes on in further ones."""
    return "\n".join([HEAD, *(line for table in tables for line in _table(table, intervals))]) + "\n"


def _table(table: PaperTable, intervals: bool) -> Iterator[str]:
    columns = columns_of(table)
    widths = [_width(table, column, intervals) for column in columns]
    label = min(LABEL, max((len(row.shown) for row in table.rows), default=0)) * _DIGIT
    parts = parts_of(columns, widths, ROOM - label, 0.0)
    pieces = [Piece([columns[i] for i in part], blocks) for blocks in _pages(table, intervals) for part in parts]
    marks = legend(
        table,
        best="bold",
        mark="dagger",
        references="italics, above the rule: references, which read the answers",
        intervals=intervals,
    )
    for i, piece in enumerate(pieces):
        notes = [provenance(table), marks, *(table.notes if i == len(pieces) - 1 else ())]
        said = f"{table.title}; {conditions(table)}"
        said += f" (part {i + 1} of {len(pieces)})" if len(pieces) > 1 else ""
        yield from _piece(table, piece, said, notes, intervals)


def _width(table: PaperTable, column: Column, intervals: bool) -> float:
    cells = [row.cell(column.across.key) for row in table.rows]
    numbers = max((len(number(cell, column)) + is_incomplete(cell, column) for cell in cells), default=0)
    brackets = max((len(interval(cell, column)) for cell in cells), default=0) if intervals else 0
    return max(numbers * _DIGIT, len(heading(column)) * _DIGIT, brackets * _SMALL_DIGIT) + _BETWEEN


def _pages(table: PaperTable, intervals: bool) -> Iterator[list[tuple[int, list[list[Row]]]]]:
    """The blocks in portions of as many lines as a table may have."""
    page: list[tuple[int, list[list[Row]]]] = []
    left = LINES
    for m, kinds in table.blocks:
        for kind in kinds:
            for row in kind:
                needed = max(len(fold(row.shown, LABEL)), 2 if intervals else 1)
                if needed > left and page:
                    yield page
                    page, left = [], LINES
                if not page or page[-1][0] != m:
                    page.append((m, []))
                    left -= 1
                groups = page[-1][1]
                if not groups or groups[-1][-1].kind != row.kind:
                    groups.append([])
                groups[-1].append(row)
                left -= needed
    yield page


def _piece(table: PaperTable, piece: Piece, said: str, notes: Sequence[str], intervals: bool) -> Iterator[str]:
    above = spans(piece.columns, range(len(piece.columns)))
    yield r"\begin{table*}[tp]"
    yield r"\centering\footnotesize\setlength{\tabcolsep}{3.5pt}"
    yield rf"\caption{{{latex_text(said)}}}"
    yield r"\sbox0{%"
    yield rf"\begin{{tabular}}{{l{''.join('r' * len(under) for _, under in above)}}}"
    yield r"\toprule"
    yield from _titles(table, above)
    yield _row_of(["", *map(_symbol, piece.columns)])
    for m, kinds in piece.blocks:
        yield r"\midrule"
        yield rf"\multicolumn{{{len(piece.columns) + 1}}}{{l}}{{$m = {m}$}} \\"
        for k, rows in enumerate(kinds):
            if k > 0:
                yield rf"\cmidrule(lr){{1-{len(piece.columns) + 1}}}"
            for row in rows:
                yield from _row(row, piece.columns, intervals)
    yield r"\bottomrule"
    yield r"\end{tabular}}%"
    yield r"\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi"
    yield r"\par\smallskip"
    yield r"\begin{minipage}{\textwidth}\scriptsize\raggedright"
    yield "\\par\n".join(latex_text(note) for note in notes if note)
    yield r"\end{minipage}"
    yield r"\end{table*}"


def _titles(table: PaperTable, above: Sequence[tuple[Across, list[int]]]) -> Iterator[str]:
    """What is across, in as many rows as the longest takes, and a rule below each."""
    folded = [(under, fold(title(across, table.by), max(12, 6 * len(under)))) for across, under in above]
    most = max(len(lines) for _, lines in folded)
    for i in range(most):
        cells = [""]
        for under, lines in folded:
            text = ([""] * (most - len(lines)) + lines)[i]
            cells.append(rf"\multicolumn{{{len(under)}}}{{c}}{{{latex_text(text)}}}")
        yield _row_of(cells)
    yield "".join(rf"\cmidrule(lr){{{under[0] + 2}-{under[-1] + 2}}}" for _, under in above)


def _symbol(column: Column) -> str:
    if column.kind == "ours" and column.metric in _SYMBOLS:
        return _SYMBOLS[column.metric]
    return latex_text(heading(column))


def _row(row: Row, columns: Sequence[Column], intervals: bool) -> Iterator[str]:
    labels = [latex_text(line) for line in fold(row.shown, LABEL)]
    if row.kind == REFERENCE:
        labels = [rf"\textit{{{line}}}" for line in labels]
    lines = [[_number(row, one) for one in columns]]
    if intervals:
        brackets = [interval(row.cell(one.across.key), one) for one in columns]
        if any(brackets):
            lines.append([rf"{{\tiny {text.replace('-', '$-$')}}}" if text else "" for text in brackets])
    for k in range(max(len(labels), len(lines))):
        label = labels[k] if k < len(labels) else ""
        # An interval is nearer to its number than to the next.
        space = ("[-1pt]", "[2pt]")[k] if len(lines) == 2 and k < 2 else ""
        yield _row_of([label, *(lines[k] if k < len(lines) else [""] * len(columns))]) + space


def _number(row: Row, column: Column) -> str:
    cell = row.cell(column.across.key)
    text = number(cell, column)
    if not text:
        return ""
    if text[0] in "+-" and len(text) > 1:
        text = f"${text}$"
    text = rf"\textbf{{{text}}}" if is_best(cell, column) else text
    return text + (r"$^\dagger$" if is_incomplete(cell, column) else "")


def _row_of(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
