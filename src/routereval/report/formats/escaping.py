r"""Somebody else's names as text in Markdown, LaTeX and CSV: nothing in them acts.

JSON needs none of this (its own escapes do), the terminal has :func:`~routereval.report.printable.printable`, and HTML
the escaping of its templates.
"""

from __future__ import annotations

import re
import unicodedata

from routereval.report.printable import printable

# What CommonMark and Python-Markdown both read as the character itself when a backslash stands before it ...
_BACKSLASHED = frozenset("\\`*_{}[]")
# ... and what they do not agree on, or what would end a table's cell: as a character reference.
_REFERRED = frozenset("<>&|~$^@")
_AUTOLINK = re.compile(r"(?i)\bwww(?=\.)|:(?=//)")


def markdown_text(text: str) -> str:
    r"""The text inside a Markdown paragraph or table cell: no markup, no link, no HTML, no new cell.

    What acts on a terminal (new lines among it) is written out first, as ``printable`` does. Spaces at either end are
    character references, since a cell would lose them.

    Examples
    --------
    >>> print(markdown_text("a|b *c* <i>"))
    a&#124;b \*c\* &lt;i&gt;
    """
    shown = printable(text)
    inner = shown.strip()
    start = shown.index(inner) if inner else len(shown)
    safe = "".join(_markdown_character(one, inner, i) for i, one in enumerate(inner))
    safe = _AUTOLINK.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", safe)
    return "".join(map(_reference, shown[:start])) + safe + "".join(map(_reference, shown[start + len(inner) :]))


# What would make a heading, a list, a rule or a table's line of a paragraph that begins with it.
_BLOCK = re.compile(r"[#+=:-]|\d+[.)]")


def markdown_line(text: str) -> str:
    r"""The text as a paragraph or an item of a list, which nothing at its start turns into anything else.

    Examples
    --------
    >>> print(markdown_line("# 1. x"))
    &#35; 1. x
    """
    safe = markdown_text(text)
    return _reference(safe[0]) + safe[1:] if _BLOCK.match(safe) else safe


def _markdown_character(one: str, text: str, i: int) -> str:
    if one == "_" and 0 < i < len(text) - 1 and text[i - 1].isalnum() and text[i + 1].isalnum():
        # best_single: within a word it is no markup, and every label is full of them.
        return one
    if one in _BACKSLASHED:
        return f"\\{one}"
    return _reference(one) if one in _REFERRED else one


def _reference(one: str) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(one) or f"&#{ord(one)};"


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # By number: their names need a font encoding or a package that may not be there.
    '"': r"\char34{}",
    "'": r"\char39{}",
    "`": r"\char96{}",
    # At the start of a row they would be taken for arguments of the \\ before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_LETTERS = {
    "\u00df": r"\ss{}",
    "\u00e6": r"\ae{}",
    "\u00c6": r"\AE{}",
    "\u0153": r"\oe{}",
    "\u0152": r"\OE{}",
    "\u00f8": r"\o{}",
    "\u00d8": r"\O{}",
    "\u0142": r"\l{}",
    "\u0141": r"\L{}",
    "\u2013": r"\textendash{}",
    "\u2014": r"\textemdash{}",
}


def latex_text(text: str) -> str:
    r"""The text in LaTeX, whatever the font encoding: no command, no comment, no mathematics, no new cell.

    Letters with the accents that every LaTeX has keep them; any other character beyond ASCII, which pdflatex would stop
    at, becomes its code point: ``U+4E2D``. What acts on a terminal is written out first.

    Examples
    --------
    >>> print(latex_text("50 % of $x_1$"))
    50 \% of \$x\_1\$
    """
    shown = unicodedata.normalize("NFC", printable(text))
    return "".join(map(_latex_character, _unjoined(shown)))


def _unjoined(text: str) -> list[str]:
    """The characters, with nothing in braces between two that a font would join: into a dash, a quotation mark."""
    pieces: list[str] = []
    for i, one in enumerate(text):
        pieces += [one, ""] if text[i : i + 2] in ("--", ",,", "?`", "!`") else [one]
    return pieces


def _latex_character(one: str) -> str:
    if one == "":
        return "{}"
    if one in _LATEX:
        return _LATEX[one]
    if one.isascii():
        return one
    if one in _LETTERS:
        return _LETTERS[one]
    taken_apart = unicodedata.normalize("NFD", one)
    base, mark = taken_apart[:1], taken_apart[1:]
    if mark in _ACCENTS and base.isascii() and base.isalpha():
        # An accent stands above the dotless i and j.
        letter = f"\\{base}" if base in "ij" and mark != "\u0327" else base
        return f"\\{_ACCENTS[mark]}{{{letter}}}"
    return rf"\texttt{{U+{ord(one):04X}}}"


# A tab or a new line at the start as well, which stand written out here.
_FORMULA = re.compile(r"[' ]*(?:[=+\-@\uff1d\uff0b\uff0d\uff20]|\\[tnr])")


def csv_text(text: str) -> str:
    r"""The text of a CSV cell, which no spreadsheet takes for a formula; quoting is left to the writer.

    What acts on a terminal is written out, so that every row is one line. What then begins with ``= + - @``, a tab or
    a new line (after spaces and apostrophes, if any) gets an apostrophe before it, which :func:`csv_name` takes off.

    Examples
    --------
    >>> csv_text("=cmd()")
    "'=cmd()"
    """
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def csv_name(cell: str) -> str:
    """The name that :func:`csv_text` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
