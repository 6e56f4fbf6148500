"""What a figure is: a name, how it is drawn from a view of the results, and what it looks like in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from routereval.report.figures.statement import Statement
    from routereval.report.figures.view import ResultsView


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure that was drawn.

    Parameters
    ----------
    figure : with the note below it.
    frame : the numbers in it, one row per mark.
    note : what a reader must know: what is left out, then the statement (protocol, encoder, seeds, data, version).
    said : that statement.
    """

    figure: Figure
    frame: pl.DataFrame
    note: str
    said: Statement


@dataclass(frozen=True)
class Missing:
    """A figure that the results do not suffice for, and why; says which command would make what is missing."""

    reason: str


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the catalogue.

    Parameters
    ----------
    name, title : as files are named; as a heading has it.
    about : one sentence, what it shows and how to read it.
    draw : from a view: one protocol, one encoder; of one pool size, where ``by_size``.
    alt : one sentence, what is seen in it, from its data: for those who do not see it.
    by_size : whether there is one for each pool size.
    """

    name: str
    title: str
    about: str
    draw: Callable[[ResultsView], Drawn | Missing]
    alt: Callable[[pl.DataFrame], str]
    by_size: bool = False
