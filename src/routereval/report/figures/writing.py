"""All figures of a results file, drawn into a folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from routereval.catalogue import unknown_name
from routereval.errors import DataError, ParameterError
from routereval.progress import Advance
from routereval.report.figures import FIGURES
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.style import FORMATS, drawing, save
from routereval.report.figures.view import ResultsView, views_of
from routereval.results import ResultStore

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure that was drawn, and where it is.

    Parameters
    ----------
    name, title : of the catalogue, see :data:`~routereval.report.figures.FIGURES`.
    stem : file name without its ending, one for each picture of a results file.
    where : ``strict protocol, encoder shipped, m = 5``.
    protocol, encoder, m : the same apart; m None where a picture has all pool sizes.
    alt : one sentence for those who do not see it.
    note : what stands below it.
    frame : the numbers in it.
    paths : by format; ``csv`` among them where the data were asked for.
    """

    name: str
    title: str
    stem: str
    where: str
    protocol: str
    encoder: str
    m: int | None
    alt: str
    note: str
    frame: pl.DataFrame
    paths: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A figure that was not drawn, why, and which command makes what is missing."""

    name: str
    title: str
    reason: str
    where: str


def draw_all(
    store: ResultStore,
    out: Path,
    formats: Sequence[str] = ("png", "svg"),
    *,
    names: Collection[str] = (),
    scenario: str = "",
    routers: Sequence[str] = (),
    data_too: bool = False,
    advance: Advance = lambda: None,
) -> list[Picture | LeftOut]:
    """Draw figures into files of a folder, which is made.

    Parameters
    ----------
    formats : png, svg, pdf.
    names : of the catalogue; empty: all.
    scenario, routers : as for :func:`~routereval.report.figures.view.views_of`.
    data_too : write the data of each figure beside it, as CSV.
    advance : called after each figure of the catalogue.

    Raises
    ------
    ParameterError : a format that is none.
    UnknownNameError : a figure or a router that nobody has.
    DataError : a file cannot be written.
    """
    if wrong := [one for one in formats if one not in FORMATS]:
        raise ParameterError(f"cannot draw {wrong[0]!r}; formats are {', '.join(FORMATS)}")
    if unknown := [name for name in names if name not in FIGURES]:
        raise unknown_name("figure", unknown[0], FIGURES)
    specs = [spec for name, spec in FIGURES.items() if not names or name in names]
    views = views_of(store, scenario, routers)
    nothing = f"no stored run fits {scenario!r}" if scenario else "the file holds no run that succeeded"
    nothing += "; make some with: routereval run"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {out}: {error.strerror or error}") from error
    made: list[Picture | LeftOut] = []
    for spec in specs:
        for one in _of_spec(spec, views, out, formats, data_too, nothing):
            # What is missing for the same reason everywhere is said once.
            if isinstance(one, Picture) or all(one.reason != other.reason for other in _missing(made, spec.name)):
                made.append(one)
        advance()
    return made


def _missing(made: Sequence[Picture | LeftOut], name: str) -> list[LeftOut]:
    return [one for one in made if isinstance(one, LeftOut) and one.name == name]


def _of_spec(
    spec: FigureSpec, views: Sequence[ResultsView], out: Path, formats: Sequence[str], data_too: bool, nothing: str
) -> Iterator[Picture | LeftOut]:
    if not views:
        yield LeftOut(spec.name, spec.title, nothing, "")
    stems: set[str] = set()
    for whole in views:
        for view in [whole.of_size(m) for m in whole.sizes] if spec.by_size else [whole]:
            where = _where(view)
            with drawing():
                drawn = spec.draw(view)
            if isinstance(drawn, Missing):
                yield LeftOut(spec.name, spec.title, drawn.reason, where)
                continue
            stem = _stem(spec.name, view, len(views) > 1, stems)
            yield _written(spec, view, drawn, out / stem, formats, data_too)


def _written(
    spec: FigureSpec, view: ResultsView, drawn: Drawn, base: Path, formats: Sequence[str], data_too: bool
) -> Picture:
    alt = spec.alt(drawn.frame)
    paths = {}
    for ending in formats:
        paths[ending] = base.with_name(f"{base.name}.{ending}")
        save(drawn.figure, paths[ending], title=spec.title, alt=alt)
    if data_too:
        paths["csv"] = base.with_name(f"{base.name}.csv")
        write_csv(_with_origin(drawn), paths["csv"])
    return Picture(
        name=spec.name,
        title=spec.title,
        stem=base.name,
        where=_where(view),
        protocol=view.protocol,
        encoder=view.encoder,
        m=view.m,
        alt=alt,
        note=drawn.note,
        frame=drawn.frame,
        paths=paths,
    )


def _with_origin(drawn: Drawn) -> pl.DataFrame:
    """The numbers with what stands below the figure, so that the file says by itself where they come from."""
    import polars as pl

    columns = drawn.said.columns
    if "data_hash" in drawn.frame.columns:
        # Each row has that of its own benchmark.
        del columns["data_hashes"]
    return drawn.frame.with_columns(pl.lit(text).alias(name) for name, text in columns.items())


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """A figure's data as CSV; text that a spreadsheet would take for a formula begins with a quote mark instead.

    Raises
    ------
    DataError : the file cannot be written.
    """
    import polars as pl

    safe = frame.with_columns(
        pl.when(text.str.contains(r"^[=+\-@\t\r]")).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(name)
        for name, text in ((name, pl.col(name)) for name, kind in frame.schema.items() if kind == pl.String)
    )
    try:
        safe.write_csv(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def _where(view: ResultsView) -> str:
    encoder = "no embeddings" if view.encoder == "none" else f"encoder {view.encoder}"
    size = "" if view.m is None else f", m = {view.m}"
    return f"{view.protocol} protocol, {encoder}{size}"


def _stem(name: str, view: ResultsView, several: bool, taken: set[str]) -> str:
    """``shares-m5``, with protocol and encoder where a file has runs of several."""
    parts = [name, *([] if view.m is None else [f"m{view.m}"]), *([view.protocol, view.encoder] if several else [])]
    stem = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part)[:40] for part in parts)
    unique, i = stem, 1
    while unique in taken:
        i += 1
        unique = f"{stem}-{i}"
    taken.add(unique)
    return unique
